# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a playbook through ansible-runner, and returns the record that the callback wrote.

ansible-runner's sharp edges are kept in this file: it records the environment, leaves its signal handlers behind, and on a
cancel kills the process group of ansible-playbook, whose workers have sessions of their own (ansible-core 2.19 and later).
"""

from __future__ import annotations

import shlex
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from retune.environment import run_environment
from retune.errors import RetuneError
from retune.options import extra_vars_arguments, vault_arguments
from retune.project import Environment
from retune.record import Record

# Whether a cancel was asked for is looked at this often, in seconds.
_LOOK_SECONDS = 1
_FROM_RUNNER = (
    "ANSIBLE_CALLBACK_PLUGINS",
    "ANSIBLE_STDOUT_CALLBACK",
    "AWX_ISOLATED_DATA_DIR",
    "ORIGINAL_STDOUT_CALLBACK",
)

OnEvent = Callable[[dict[str, Any]], None]


@dataclass
class Request:
    """A playbook run: the options have Ansible's own meaning; ``timeout`` is in seconds, None for none."""

    playbook: str
    environment: Environment
    check: bool
    tags: Sequence[str] = ()
    limit: str | None = None
    extra_vars: Sequence[str] = ()
    vault_ids: Sequence[str] = ()
    vault_password_files: Sequence[str] = ()
    ask_vault_pass: bool = False
    timeout: float | None = None


@dataclass
class Outcome:
    """What came of it. ``record`` is None when the run ended before the callback could write one."""

    record: Record | None
    returncode: int
    stopped: str = ""  # why it was cancelled
    output: list[str] = field(default_factory=list)  # what Ansible printed outside of tasks


def run(project: Path, request: Request, on_event: OnEvent | None = None) -> Outcome:
    """Run the playbook to its end.

    :raises RetuneError: for options that cannot be handed on.
    """
    with tempfile.TemporaryDirectory(prefix="retune-") as private:  # mode 0700, and gone afterwards
        record_file = Path(private) / "record.json"
        outcome = _run(project, request, Path(private), record_file, on_event)
        if record_file.is_file():
            outcome.record = Record.parse(record_file.read_text(encoding="utf-8"), str(record_file))
        return outcome


def _run(project: Path, request: Request, private: Path, record_file: Path, on_event: OnEvent | None) -> Outcome:
    from ansible_runner.interface import init_runner  # noqa: PLC0415 - only here, so that --help is quick

    outcome = Outcome(None, 1)

    def event_handler(event: dict[str, Any]) -> bool:
        if event.get("event") in ("verbose", "error", "warning") and event.get("stdout"):
            outcome.output.append(event["stdout"])
        if on_event is not None:
            on_event(event)
        return True  # anything else would drop the event

    with _stop_requested(request.timeout) as why_stop:

        def cancel() -> bool:
            if not why_stop():
                return False
            end_workers()
            return True

        runner = init_runner(
            private_data_dir=str(private),
            project_dir=str(project),
            playbook=str(project / "playbooks" / request.playbook),
            inventory=str(request.environment.inventory),
            cmdline=shlex.join(_arguments(request, private)),
            settings={"pexpect_timeout": _LOOK_SECONDS, "idle_timeout": 0, "job_timeout": 0},
            event_handler=event_handler,
            cancel_callback=cancel,
            quiet=True,
        )
        environment = run_environment(project, request.environment.name, record_file)
        given = {name: value for name, value in runner.config.env.items() if name in _FROM_RUNNER}
        runner.config.env = {**environment, **given}
        runner.run()
        outcome.stopped = why_stop()
    outcome.returncode = runner.rc
    return outcome


def _arguments(request: Request, private: Path) -> list[str]:
    arguments = ["--diff", *(["--check"] if request.check else [])]
    for tags in request.tags:
        arguments += ["--tags", tags]
    if request.limit:
        arguments += ["--limit", request.limit]
    arguments += extra_vars_arguments(request.extra_vars, private)
    return arguments + vault_arguments(request.vault_ids, request.vault_password_files, request.ask_vault_pass, private)


@contextmanager
def _stop_requested(timeout: float | None) -> Iterator[Callable[[], str]]:
    """A function that says why the run is to stop (empty: it is not); the former signal handlers come back at the end."""
    deadline = None if timeout is None else time.monotonic() + timeout
    reason = ""

    def asked(number: int, _frame: Any) -> None:
        nonlocal reason
        reason = f"stopped by {signal.Signals(number).name}"

    def why() -> str:
        nonlocal reason
        if not reason and deadline is not None and time.monotonic() > deadline:
            reason = f"stopped after {timeout:g} s"
        return reason

    former = {number: signal.signal(number, asked) for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)}
    try:
        yield why
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def end_workers() -> None:
    """End ansible-playbook's workers, and no deeper: what a worker started in a session of its own, such as the restart of
    a service, is let finish, since half of a restart is a service that is down.

    ansible-playbook itself is held still meanwhile, so that it starts no other; ansible-runner then ends it.
    """
    import psutil  # noqa: PLC0415 - needed for this alone

    workers = []
    for playbook in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):
            playbook.suspend()
            workers += playbook.children()
    for worker in workers:
        with suppress(psutil.NoSuchProcess):
            worker.terminate()
    _gone, alive = psutil.wait_procs(workers, timeout=3)
    for worker in alive:
        with suppress(psutil.NoSuchProcess):
            worker.kill()


def explain(outcome: Outcome) -> RetuneError:
    """The error of a run that ended without a record."""
    if outcome.stopped:
        return RetuneError(f"the run was {outcome.stopped}; run apply again to finish what was left")
    lines = [line.strip() for text in outcome.output for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if "ERROR" in line or line.startswith("fatal")] or lines[-3:]
    return RetuneError("; ".join(errors) or f"ansible-playbook ended with {outcome.returncode} and said nothing")
