# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory's command that restarts a service: what its module refuses, waits for and tells, whatever the service."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError

_POLL_SECONDS = 0.1


def refuse_without_command(label: str, command: list[str], waiting: list[str], service: str) -> None:
    """Refuse a restart that is permitted and that nothing says how to do; ``label`` names the variable and the host.

    :raises TuningError: when the command is empty.
    """
    if not command:
        raise TuningError(
            f"{label}: {', '.join(waiting)} waits for a restart, which is permitted, and the command is empty; give the "
            f"program that restarts {service}"
        )


def restart_result(waiting: list[str]) -> dict[str, Any]:
    """The module's result, done or planned, for the parameters that wait; unchanged where none does."""
    if not waiting:
        return {"changed": False, "diff": {"before": {}, "after": {}}}
    return {
        "changed": True,
        "diff": {"before": {"restart": f"awaited by {', '.join(waiting)}"}, "after": {"restart": "done"}},
        "needs": {"restart": "restart"},
    }


def wait_until_back(label: str, service: str, is_another: Callable[[], bool], seconds: int) -> None:
    """Wait until ``is_another`` answers that the service was started anew; a TuningError of its own means not yet.

    :raises TuningError: when it has not in time, with the last reason.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            if is_another():
                return
            reason = "it was not restarted"
        except TuningError as error:
            reason = str(error)
        if time.monotonic() > deadline:
            raise TuningError(f"{label}: {service} is not back after {seconds} s: {reason}")
        time.sleep(_POLL_SECONDS)


def run_restart_command(label: str, command: list[str], timeout: int) -> None:
    """Run the command to its end; ``label`` names its variable and the host.

    :raises TuningError: when it cannot be run, fails, or takes longer than ``timeout`` seconds.
    """
    # No pipe: a server started by the command would inherit it and hold it open. A session of its own: a run that is ended
    # in the middle ends its workers' sessions, and must not leave the service between its stop and its start.
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=timeout,
            check=False,
            start_new_session=True,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TuningError(f"{label}: {error}; see that it runs by hand") from error
    if done.returncode:
        raise TuningError(f"{label}: {command[0]} ended with {done.returncode}; see the server's log for the reason")
