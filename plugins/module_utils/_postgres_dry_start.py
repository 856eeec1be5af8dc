# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a server would start with what its files say now, found while it still runs.

The server's own program is started on a scratch data directory that holds a copy of what it needs to get as far as working
out its shared memory (``postgres -C shared_memory_size``, PostgreSQL 15): it reads the real configuration files, loads the
libraries and holds the values against each other, and opens no port. What only the kernel can refuse shows at the restart.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ansible_collections.leadgen.tuning.plugins.module_utils._other_user import as_user

_NEEDED = ("PG_VERSION", "global/pg_control", "postgresql.auto.conf")
_RUNNING = ("postmaster.pid", "postmaster.opts")
_SECONDS = 30


def reason_not_to_start(data_directory: Path) -> str | None:
    """What the server says that would keep it from starting; None where nothing would, or where it cannot be tried here.

    ``data_directory`` is that of a running server of this machine.
    """
    try:
        owner = data_directory.stat()
        if os.geteuid() not in (0, owner.st_uid):
            return None
        program, *arguments = shlex.split((data_directory / "postmaster.opts").read_text(encoding="utf-8"))
        with tempfile.TemporaryDirectory(prefix="retune-start-") as name:
            scratch = Path(name)
            _copy(data_directory, scratch, owner)
            done = subprocess.run(
                [program, *_arguments(arguments, data_directory, scratch)],
                cwd=scratch,
                capture_output=True,
                text=True,
                timeout=_SECONDS,
                check=False,
                **as_user(owner.st_uid, owner.st_gid),
            )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    # Before PostgreSQL 15 there is no such parameter, and nothing is told.
    if done.returncode == 0 or "unrecognized configuration parameter" in done.stderr:
        return None
    return _said(done.stderr) or f"{program} ended with {done.returncode}"


def _copy(data_directory: Path, scratch: Path, owner: os.stat_result) -> None:
    (scratch / "global").mkdir()
    for name in _NEEDED:
        # No link: root would read for the data directory's owner what that may not read.
        with open(os.open(data_directory / name, os.O_RDONLY | os.O_NOFOLLOW), "rb") as given:
            (scratch / name).write_bytes(given.read())
    for path in (scratch, *scratch.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)  # it refuses a data directory that others may read
        os.chown(path, owner.st_uid, owner.st_gid)
    for path in data_directory.iterdir():  # what is named without a folder, such as server.crt
        if path.is_file() and path.name not in (*_NEEDED, *_RUNNING):
            (scratch / path.name).symlink_to(path)


def _arguments(given: Sequence[str], data_directory: Path, scratch: Path) -> list[str]:
    """The running server's own arguments, with the scratch directory in place of its data."""
    kept = list(given)
    if "-D" in kept:
        at = kept.index("-D")
        del kept[at : at + 2]
    files = [] if any("config_file=" in word for word in kept) else [f"config_file={data_directory / 'postgresql.conf'}"]
    options = [word for setting in [*files, f"data_directory={scratch}"] for word in ("-c", setting)]
    return ["-D", str(scratch), *kept, *options, "-C", "shared_memory_size"]


def _said(output: str) -> str:
    """The line that tells, without what stands before it in every line of a log."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    for line in lines:
        for word in ("FATAL:", "PANIC:"):
            if word in line:
                return line.partition(word)[2].strip()
    return lines[-1] if lines else ""
