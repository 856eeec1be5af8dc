# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory's command that restarts a service."""

from __future__ import annotations

import subprocess

from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError


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
