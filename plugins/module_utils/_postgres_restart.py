# SPDX-License-Identifier: GPL-3.0-or-later
"""The restart that brings what waits for one."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres import (
    connect,
    connection_argument,
    endpoint,
    one_row,
)

ARGUMENT_SPEC: dict[str, Any] = {
    **connection_argument(),
    "parameters": {"type": "list", "elements": "str", "required": True},
    "command": {"type": "list", "elements": "str", "required": True},
    "timeout": {"type": "int", "default": 60},
}
_POLL_SECONDS = 0.1
_STARTED = "select pg_postmaster_start_time()::text as at"


def restart(options: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    """Restart the server when ``parameters`` wait for it, and see that it is another process that answers.

    :raises TuningError: when the command fails or the server is not back in ``timeout`` seconds.
    """
    waiting = sorted(set(options["parameters"]))
    if not waiting:
        return {"changed": False, "diff": {"before": {}, "after": {}}}
    if not check_mode:
        before = _started(options["connection"])
        _run(options["command"], options["connection"], options["timeout"])
        _wait_until_back(options, before)
    return {
        "changed": True,
        "diff": {"before": {"restart": f"awaited by {', '.join(waiting)}"}, "after": {"restart": "done"}},
        "needs": {"restart": "restart"},
    }


def _started(where: Mapping[str, Any]) -> str:
    with connect(where) as connection:
        at: str = one_row(connection.execute(_STARTED))["at"]
    return at


def _run(command: list[str], where: Mapping[str, Any], timeout: int) -> None:
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
        raise TuningError(f"postgres_restart_command on {endpoint(where)}: {error}; see that it runs by hand") from error
    if done.returncode:
        raise TuningError(
            f"postgres_restart_command on {endpoint(where)}: {command[0]} ended with {done.returncode}; "
            "see the server's log for the reason"
        )


def _wait_until_back(options: Mapping[str, Any], before: str) -> None:
    deadline = time.monotonic() + options["timeout"]
    while True:
        try:
            if _started(options["connection"]) != before:
                return
            reason = "it was not restarted"
        except TuningError as error:
            reason = str(error)
        if time.monotonic() > deadline:
            raise TuningError(
                f"postgres_restart_command on {endpoint(options['connection'])}: the server is not back after "
                f"{options['timeout']} s: {reason}"
            )
        time.sleep(_POLL_SECONDS)
