# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``retune``.

Exit codes of plan, drift and audit: 0 in sync, 2 something differs, 1 could not tell. Of the rest: 0 done, 1 not.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from retune import audit, show
from retune.errors import RetuneError
from retune.playbook import Request, explain, run
from retune.project import find_environment, find_project, log_directory
from retune.record import Record, read_log

IN_SYNC, COULD_NOT_TELL, DIFFERS = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace, Path], int] = options.command
    try:
        return command(options, find_project())
    except RetuneError as error:
        print(f"error: {error}", file=sys.stderr)
        return COULD_NOT_TELL
    except KeyboardInterrupt:
        print("error: stopped", file=sys.stderr)
        return COULD_NOT_TELL


class _Parser(argparse.ArgumentParser):
    """Ends a usage error with 1: argparse's own 2 means here that something differs."""

    def error(self, message: str) -> NoReturn:
        self.exit(COULD_NOT_TELL, f"{self.format_usage()}error: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="retune", description="Applies the performance tuning guide to an environment.")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    for name, command, text in (
        ("plan", _plan, "list what apply would change, and change nothing"),
        ("apply", _apply, "bring the environment to its inventory; measure before and after"),
        ("drift", _drift, "look for drift: the quick check for a schedule"),
        ("audit", _audit, "measure and judge, and change nothing: indexes and vacuum"),
        ("doctor", _doctor, "see whether the environment can be reached and tuned from here"),
    ):
        _add_run_options(verbs.add_parser(name, help=text, description=text), name, command)
    text = "report the statements that took most time, their plans, and the indexes that would help"
    queries = verbs.add_parser("queries", help=text, description=text)
    _add_run_options(queries, "queries", _queries)
    queries.add_argument("--top", type=int, metavar="N", help="the first N statements of each database (default: 5)")
    log = verbs.add_parser("log", help="show the performance log")
    log.add_argument("environment", metavar="ENV")
    log.add_argument("--last", type=int, default=10, metavar="N", help="show the last N runs (default: 10)")
    log.add_argument("--json", action="store_true", help="print the records as JSON lines")
    log.set_defaults(command=_log)
    _add_sandbox(verbs)
    return parser


def _add_run_options(parser: argparse.ArgumentParser, name: str, command: Callable[..., int]) -> None:
    parser.set_defaults(command=command)
    parser.add_argument("environment", metavar="ENV", help="a folder of inventories/, or the path of an inventory folder")
    parser.add_argument("--tags", action="append", default=[], help="only these controls")
    parser.add_argument("--limit", metavar="PATTERN", help="only these hosts")
    parser.add_argument(
        "-e", "--extra-vars", action="append", default=[], metavar="VARS", help="as ansible-playbook takes it"
    )
    parser.add_argument("--vault-id", action="append", default=[], metavar="ID")
    parser.add_argument("--vault-password-file", action="append", default=[], metavar="FILE")
    parser.add_argument("--ask-vault-pass", "-J", action="store_true")
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help="end the run after this long")
    parser.add_argument("--json", action="store_true", help="print the run's record as JSON")
    if name in ("plan", "apply"):
        parser.add_argument("--allow-restart", action="store_true", help="restart services for what waits for it")
    if name == "apply":
        parser.add_argument("--yes", "-y", action="store_true", help="apply without showing a plan and asking first")


def _run(options: argparse.Namespace, project: Path, playbook: str, check: bool) -> Record:
    extra_vars = list(options.extra_vars)
    if getattr(options, "allow_restart", False):
        extra_vars.append('{"tuning_allow_restart": true}')
    request = Request(
        playbook=playbook,
        environment=find_environment(project, options.environment),
        check=check,
        tags=options.tags,
        limit=options.limit,
        extra_vars=extra_vars,
        vault_ids=options.vault_id,
        vault_password_files=options.vault_password_file,
        ask_vault_pass=options.ask_vault_pass,
        timeout=options.timeout,
    )
    outcome = run(project, request, None if options.json else show.progress)
    if outcome.record is None:
        raise explain(outcome)
    if outcome.record.failures:
        show.failures(outcome.record)
    elif not outcome.record.data["checked"]:
        raise RetuneError("no control was looked at; check --tags and --limit (docs/controls.md has the controls' ids)")
    elif outcome.stopped or (outcome.returncode and outcome.record.data["outcome"] not in ("drift", "audited")):
        raise explain(outcome)
    return outcome.record


def _compare(options: argparse.Namespace, project: Path, playbook: str, title: str) -> int:
    record = _run(options, project, playbook, check=True)
    if options.json:
        print(json.dumps(record.data))
    elif record.rows():
        show.changes(record, title)
    if not options.json:
        show.waiting(record)
        show.warnings(record)
    if record.failures:
        return COULD_NOT_TELL
    if record.rows():
        return DIFFERS
    if not options.json:
        print(f"{record.data['environment']} is in sync: {len(record.data['checked'])} controls, nothing to change")
    return IN_SYNC


def _plan(options: argparse.Namespace, project: Path) -> int:
    return _compare(options, project, "apply.yml", "Plan")


def _drift(options: argparse.Namespace, project: Path) -> int:
    return _compare(options, project, "drift.yml", "Drift")


def _audit(options: argparse.Namespace, project: Path) -> int:
    record = _run(options, project, "audit.yml", check=True)
    if options.json:
        print(json.dumps(record.data))
    else:
        audit.report(record)
    if record.failures or audit.untold(record):
        return COULD_NOT_TELL
    return IN_SYNC if audit.passed(record) else DIFFERS


def _apply(options: argparse.Namespace, project: Path) -> int:
    if not options.yes:
        code = _compare(options, project, "apply.yml", "Plan")
        if code != DIFFERS:
            return code
        if not _confirmed():
            return COULD_NOT_TELL
    record = _run(options, project, "apply.yml", check=False)
    if options.json:
        print(json.dumps(record.data))
    else:
        if record.rows():
            show.changes(record, "Applied")
            show.effects(record)
        elif not record.failures:
            print(f"{record.data['environment']} was in sync; nothing was changed")
        show.waiting(record)
        show.warnings(record)
    return COULD_NOT_TELL if record.failures else 0


def _confirmed() -> bool:
    if not sys.stdin.isatty():
        raise RetuneError("there is no one to ask whether to apply this; add --yes")
    if input("Apply these changes? [y/N] ").strip().lower() in ("y", "yes"):
        return True
    print("nothing was changed")
    return False


def _doctor(options: argparse.Namespace, project: Path) -> int:
    from retune.doctor import examine  # noqa: PLC0415 - imports what only it needs

    findings = examine(project, options.environment)
    if not options.json:
        for finding in findings:
            print(f"{'ok ' if finding.ok else 'BAD'}  {finding.text}")
    healthy = all(finding.ok for finding in findings)
    if healthy:
        record = _run(options, project, "doctor.yml", check=False)
        healthy = not record.failures
        if not options.json and healthy:
            print("ok   every host answers, and the inventory's values suit it")
    if options.json:
        print(json.dumps({"healthy": healthy, "findings": [finding._asdict() for finding in findings]}))
    return 0 if healthy else COULD_NOT_TELL


def _queries(options: argparse.Namespace, project: Path) -> int:
    from retune.queries import show_reports  # noqa: PLC0415 - what only it needs

    if options.top is not None:
        options.extra_vars.append(json.dumps({"postgres_top_statements": options.top}))
    record = _run(options, project, "queries.yml", check=True)
    if options.json:
        print(json.dumps(record.data))
    else:
        show_reports(record)
    unread = any(report["unread"] for report in record.data["reports"].values())
    return COULD_NOT_TELL if record.failures or unread else 0


def _log(options: argparse.Namespace, project: Path) -> int:
    environment = find_environment(project, options.environment)
    records, problems = read_log(log_directory(project) / f"{environment.name}.jsonl")
    for problem in problems:
        print(f"warning: {problem}", file=sys.stderr)
    records = records[-max(options.last, 1) :]
    if not records and not options.json:
        print(f"nothing has been applied to {environment.name} yet")
    for record in records:
        if options.json:
            print(json.dumps(record.data))
            continue
        data = record.data
        revision = data["revision"] or "no revision"
        title = f"{data['started']}  {data['outcome']}  by {data['who']} at {revision}  (run {data['run']})"
        if record.rows():
            show.changes(record, title)
            show.effects(record)
        else:
            print(title)
        for failure in record.failures:
            print(f"failed: {failure['host']} {', '.join(failure['controls'])}: {failure['message']}")
    return 0


def _add_sandbox(verbs: argparse._SubParsersAction[_Parser]) -> None:
    parser = verbs.add_parser("sandbox", help="private, untuned services on this machine, to try things on")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    for name, text in (
        ("up", "start it"),
        ("down", "stop it and remove its data"),
        ("status", "say what runs, and where"),
        ("load", "drive it as an application would"),
        ("restart", "restart its services"),
    ):
        action = actions.add_parser(name, help=text)
        action.set_defaults(command=_sandbox, action=name)
        action.add_argument("--directory", type=Path, help="where it keeps its data (default: .sandbox in the checkout)")
        action.add_argument("--inventory", type=Path, help="the folder that gets hosts.yml (default: inventories/sandbox)")
        if name == "status":
            action.add_argument("--json", action="store_true")
        if name == "up":
            action.add_argument(
                "--with",
                dest="extra",
                action="append",
                default=[],
                metavar="SERVICE",
                help="start this too: kubernetes, an API server with its controllers; may be given again",
            )
        if name == "load":
            action.add_argument("--seconds", type=int, default=30)


def _sandbox(options: argparse.Namespace, project: Path) -> int:
    from retune.sandbox import DEFAULT, Sandbox, SandboxError, grant  # noqa: PLC0415 - imports the services' clients

    sandbox = Sandbox(options.directory or project / ".sandbox", options.inventory or project / "inventories" / "sandbox")
    try:
        if options.action == "load":
            print(json.dumps(sandbox.load(options.seconds)))
        elif options.action == "up":
            sandbox.up(services=(*DEFAULT, *options.extra), grant=lambda: grant(project, sandbox.hosts_file.parent))
        elif options.action != "status":
            getattr(sandbox, options.action)()
        if options.action in ("up", "status"):
            _print_status(sandbox.status(), getattr(options, "json", False))
    except SandboxError as error:
        raise RetuneError(str(error)) from error
    return 0


def _print_status(status: dict[str, dict[str, object]], as_json: bool) -> None:
    if as_json:
        print(json.dumps(status))
    elif not status:
        print("the sandbox is not up")
    else:
        for name, service in status.items():
            print(f"{name:10} {service['endpoint']:22} {'ready' if service['ready'] else 'NOT READY'}")
