# SPDX-License-Identifier: GPL-3.0-or-later
"""One apply per environment at a time: a lock that says who holds it.

It is a file that names a process, not a lock on an open file: it is taken by a task's worker, which ends at once, for the
playbook process, which lives as long as the run.
"""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.plugin_utils._record import is_alive, now


def _path(directory: Path, environment: str) -> Path:
    return directory / f"{environment}.lock"


def holder(directory: Path, environment: str) -> dict[str, Any] | None:
    """Who holds the lock: who, host, pid, since; None when nobody does, or when that process is gone."""
    try:
        held: dict[str, Any] = json.loads(_path(directory, environment).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    if held["host"] == socket.gethostname() and not is_alive(held["pid"]):
        return None
    return held


def take(directory: Path, environment: str, who: str, pid: int) -> None:
    """Take the lock for the process ``pid``.

    :raises TuningError: when another run holds it.
    """
    held = holder(directory, environment)
    if held and held["pid"] != pid:
        raise TuningError(
            f"another apply of {environment} is running: {held['who']} on {held['host']}, process {held['pid']}, since "
            f"{held['since']}; wait for it, or remove {_path(directory, environment)} if that machine is gone"
        )
    directory.mkdir(mode=0o750, parents=True, exist_ok=True)
    mine = directory / f"{environment}.lock.{pid}"
    mine.write_text(json.dumps({"who": who, "host": socket.gethostname(), "pid": pid, "since": now()}), encoding="utf-8")
    try:
        if held is None:
            _path(directory, environment).unlink(missing_ok=True)  # left behind by a process that is gone
        os.link(mine, _path(directory, environment))
    except FileExistsError:
        now_held = holder(directory, environment)
        if now_held is None or now_held["pid"] != pid:
            raise TuningError(f"another apply of {environment} started at the same time; run again") from None
    finally:
        mine.unlink(missing_ok=True)


def release(directory: Path, environment: str, pid: int) -> None:
    """Give the lock back when the process ``pid`` holds it."""
    held = holder(directory, environment)
    if held and held["pid"] == pid:
        _path(directory, environment).unlink(missing_ok=True)
