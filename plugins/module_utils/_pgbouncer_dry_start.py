# SPDX-License-Identifier: GPL-3.0-or-later
"""A file that PgBouncer could not load is found before the running one is told to.

A RELOAD of such a file stops half-way: settings after the wrong line have their defaults then, admin_users among them, so
that the console refuses everyone (seen with 1.18). So PgBouncer itself starts with the file first, on no port.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._other_user import as_user
from ansible_collections.leadgen.tuning.plugins.module_utils._pgbouncer import Process

_PORT = 6432  # of the socket's name alone
_SECONDS = 10.0
_POLL_SECONDS = 0.01
# What follows the file holds: a socket in a folder of its own is all that is opened, and nothing is written elsewhere.
_OVERRIDES = """%include {candidate}
[pgbouncer]
listen_addr =
listen_port = {port}
unix_socket_dir = {folder}
unix_socket_group =
so_reuseport = 0
pidfile =
logfile =
syslog = 0
user =
"""


def reason_not_to_start(process: Process, text: str) -> str | None:
    """Why PgBouncer would not start with a file of this text, in its own words; None when it does.

    :raises TuningError: when it neither starts nor ends.
    """
    folder = Path(tempfile.mkdtemp(prefix="retune-pgbouncer-"))
    try:
        candidate, wrapper, log = (folder / name for name in ("pgbouncer.ini", "wrapper.ini", "log"))
        candidate.write_text(text, encoding="utf-8")
        wrapper.write_text(_OVERRIDES.format(candidate=candidate, port=_PORT, folder=folder), encoding="utf-8")
        user = as_user(process.uid, process.gid)
        if user:
            for path in (folder, candidate, wrapper):
                os.chown(path, process.uid, process.gid)
        with log.open("wb") as output:
            started = subprocess.Popen(
                [process.program, wrapper],
                cwd=process.folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=output,
                **user,
            )
        try:
            _wait(started, folder / f".s.PGSQL.{_PORT}")
        finally:
            _end(started)
        return _first_error(log.read_text(encoding="utf-8", errors="replace"), str(candidate))
    finally:
        shutil.rmtree(folder)


def why_not_readable(process: Process, name: str) -> str | None:
    """Why the process cannot read a file that its configuration names; it would go on without it, or refuse its clients."""
    path = process.path(name)
    if not path.exists():
        return f"{path} is not there"
    readable = subprocess.run(["test", "-r", path], check=False, **as_user(process.uid, process.gid)).returncode == 0
    return None if readable else f"{path} cannot be read by the user that PgBouncer runs as"


def _wait(started: subprocess.Popen[bytes], socket: Path) -> None:
    deadline = time.monotonic() + _SECONDS
    while started.poll() is None and not socket.exists():
        if time.monotonic() > deadline:
            raise TuningError(
                f"PgBouncer did not start with its new file in {_SECONDS:.0f} s; nothing was changed, run again"
            )
        time.sleep(_POLL_SECONDS)


def _first_error(log: str, candidate: str) -> str | None:
    errors = [line for line in log.splitlines() if "ERROR" in line or "FATAL" in line]
    return errors[0].partition("] ")[2].replace(candidate, "the new pgbouncer.ini") if errors else None


def _end(started: subprocess.Popen[bytes]) -> None:
    if started.poll() is None:
        started.send_signal(signal.SIGTERM)
        started.wait(_SECONDS)
