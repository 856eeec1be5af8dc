# SPDX-License-Identifier: GPL-3.0-or-later
"""One apply per environment at a time: a lock that says who holds it.

It is a file that names a process, not a lock on an open file: it is taken by a task's worker, which ends at once, for the
playbook process, which lives as long as the run.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.plugin_utils._record import identity, is_alive, now


def _path(directory: Path, environment: str) -> Path:
    return directory / f"{environment}.lock"


def holder(directory: Path, environment: str) -> dict[str, Any] | None:
    """Who holds the lock: who, host, pid, since; None when nobody does, or when that process is gone."""
    try:
        held: dict[str, Any] = json.loads(_path(directory, environment).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    if not isinstance(held, dict) or not {"who", "host", "pid", "process", "since"} <= set(held):
        return None  # torn
    if held["host"] == socket.gethostname() and not is_alive(held["pid"], held["process"]):
        return None
    return held


def take(directory: Path, environment: str, who: str, pid: int) -> None:
    """Take the lock for the process ``pid``.

    :raises TuningError: when another run holds it.
    """
    directory.mkdir(mode=0o750, parents=True, exist_ok=True)
    mine = {"who": who, "host": socket.gethostname(), "pid": pid, "process": identity(pid), "since": now()}
    with _alone(directory):
        held = holder(directory, environment)
        if held and not _is_same(held, mine):
            raise TuningError(
                f"another apply of {environment} is running: {held['who']} on {held['host']}, process {held['pid']}, since "
                f"{held['since']}; wait for it, or remove {_path(directory, environment)} if that machine is gone"
            )
        _path(directory, environment).write_text(json.dumps(mine), encoding="utf-8")


def release(directory: Path, environment: str, pid: int) -> None:
    """Give the lock back when the process ``pid`` of this machine holds it."""
    if not _path(directory, environment).exists():
        return
    with _alone(directory):
        held = holder(directory, environment)
        if held and _is_same(held, {"host": socket.gethostname(), "pid": pid}):
            _path(directory, environment).unlink(missing_ok=True)


def _is_same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return (one["host"], one["pid"]) == (other["host"], other["pid"])


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Keep two processes from looking and taking at the same time."""
    folder = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)
