# SPDX-License-Identifier: GPL-3.0-or-later
"""Lets the sandbox's role without superuser tune its PostgreSQL, as an operator does once: by the playbook."""

from pathlib import Path

from retune.errors import RetuneError
from retune.playbook import Request, explain, run
from retune.project import find_environment

from .processes import SandboxError


def grant(project: Path, inventory: Path) -> None:
    """Run playbooks/grants.yml on the inventory's PostgreSQL."""
    try:
        outcome = run(project, Request("grants.yml", find_environment(project, str(inventory)), check=False))
    except RetuneError as error:
        raise SandboxError(str(error)) from error
    if outcome.record is not None and outcome.record.failures:
        raise SandboxError(outcome.record.failures[0]["message"])
    if outcome.returncode or outcome.stopped:
        raise SandboxError(str(explain(outcome)))
