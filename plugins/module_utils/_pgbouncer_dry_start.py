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
from collections.abc import Mapping
from pathlib import Path

from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._other_user import as_user
from ansible_collections.leadgen.tuning.plugins.module_utils._pgbouncer import Process

_PORT = 6432  # of the socket's name alone
_SECONDS = 10.0
_POLL_SECONDS = 0.01
# A socket in a folder of its own is all that is opened, and nothing is written elsewhere.
_OVERRIDES = {
    "listen_addr": "",
    "listen_port": str(_PORT),
    "unix_socket_group": "",
    "so_reuseport": "0",
    "pidfile": "",
    "logfile": "",
    "syslog": "0",
    "user": "",
}


def reason_not_to_start(process: Process, text: str, main: Mapping[str, str], named: Mapping[str, str]) -> str | None:
    """Why PgBouncer would not start with a file of this text, in its own words; None when it does.

    :param main: what the section [pgbouncer] of the text and of the files that it includes says.
    :param named: the text of files that are not there yet, by the setting that names them.
    :raises TuningError: when it neither starts nor ends.
    """
    folder = Path(tempfile.mkdtemp(prefix="retune-pgbouncer-"))
    try:
        candidate, wrapper, log = (folder / name for name in ("pgbouncer.ini", "wrapper.ini", "log"))
        candidate.write_text(text, encoding="utf-8")
        for setting, content in named.items():
            (folder / setting).write_text(content, encoding="utf-8")
        # Where a section begins again, PgBouncer gives all of it its defaults: so each value stands once more, or another.
        values = {**main, **_OVERRIDES, "unix_socket_dir": folder, **{setting: folder / setting for setting in named}}
        lines = [f"%include {candidate}", "[pgbouncer]", *(f"{name} = {value}" for name, value in values.items())]
        wrapper.write_text("\n".join(lines) + "\n", encoding="utf-8")
        user = as_user(process.uid, process.gid)
        if user:
            for path in (folder, *folder.iterdir()):
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
        # It would leave a rule out that it does not understand, and go on: with a warning, which of a new file is an error.
        refused = ("ERROR", "FATAL", "WARNING hba line") if "auth_hba_file" in named else ("ERROR", "FATAL")
        return _first_error(log.read_text(encoding="utf-8", errors="replace"), str(candidate), refused)
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


def _first_error(log: str, candidate: str, refused: tuple[str, ...]) -> str | None:
    errors = [line for line in log.splitlines() if any(word in line for word in refused)]
    return errors[0].partition("] ")[2].replace(candidate, "the new pgbouncer.ini") if errors else None


def _end(started: subprocess.Popen[bytes]) -> None:
    if started.poll() is None:
        started.send_signal(signal.SIGTERM)
        started.wait(_SECONDS)
