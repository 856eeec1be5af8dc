# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of a run, and the performance log that keeps it. The schema is docs/performance-log.md.

A run's record is one JSON object on one line of ``<directory>/<environment>.jsonl``. While a run goes on, what it has
done so far is kept in ``<run>.partial`` beside it, so that a run which is killed still leaves its decisions: the next one
appends them with the outcome ``interrupted``.
"""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

SCHEMA = 1


def log_directory(project: Path) -> Path:
    """Where the log is kept: ``RETUNE_LOG_DIRECTORY``, else ``performance-log`` in the project."""
    return Path(os.environ.get("RETUNE_LOG_DIRECTORY") or project / "performance-log")


def environment_name(variables: Mapping[str, Any], inventories: Iterable[str]) -> str:
    """What the runner was given, else the variable ``tuning_environment``, else the name of the inventory's folder."""
    given = os.environ.get("RETUNE_ENVIRONMENT") or variables.get("tuning_environment")
    if given:
        return str(given)
    for source in inventories:
        path = Path(source)
        return path.name if path.is_dir() else path.resolve().parent.name
    return "unnamed"


def user() -> str:
    """Who runs this: the person behind sudo, where there is one."""
    return os.environ.get("SUDO_USER") or getpass.getuser()


def now() -> str:
    """The time in UTC, as ISO 8601 with seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def by_owner(controls: list[str], result: dict[str, Any]) -> dict[tuple[str, ...], dict[str, Any]]:
    """Part what a task reports among its controls, by the owner of each parameter; what has none belongs to them all.

    The parts hold changed, before, after, needs, pending_restart and warnings, as in a Decision.
    """
    owner = result.get("owners") or {}
    before, after = _values(result.get("diff"))
    needs, pending = result.get("needs") or {}, result.get("pending_restart") or []
    parts: dict[tuple[str, ...], dict[str, Any]] = {}

    def part_of(name: str) -> dict[str, Any]:
        key = (owner[name],) if name in owner else tuple(controls)
        empty = {"changed": False, "before": {}, "after": {}, "needs": {}, "pending_restart": [], "warnings": []}
        return parts.setdefault(key, empty)

    for name in after:
        part = part_of(name)
        part["changed"] = bool(result.get("changed"))
        part["before"][name], part["after"][name] = before.get(name), after[name]
        if name in needs:
            part["needs"][name] = needs[name]
    for name in pending:
        part_of(name)["pending_restart"].append(name)
    if result.get("warnings"):
        part_of("")["warnings"] = list(result["warnings"])
    if result.get("changed") and not after:
        part_of("")["changed"] = True  # a task of another collection, which tells no more
    return parts


def _values(diff: Any) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """What differs, by name; none where a module gives texts, or a list of them, as those that write files do."""
    before, after = (diff.get(side) or {} for side in ("before", "after")) if isinstance(diff, Mapping) else ({}, {})
    return (before, after) if isinstance(before, Mapping) and isinstance(after, Mapping) else ({}, {})


@dataclass
class Decision:
    """What one task decided on one host for its controls."""

    controls: list[str]
    host: str
    task: str
    changed: bool
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    needs: dict[str, str] = field(default_factory=dict)
    pending_restart: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass
class Failure:
    """A task that failed, or a host that could not be reached."""

    controls: list[str]
    host: str
    task: str
    message: str


@dataclass
class Record:
    """One run. ``mode`` is check or apply; ``measurements`` are by host and then by phase, before and after."""

    environment: str
    mode: str
    who: str
    revision: str
    run: str = field(default_factory=lambda: f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}")
    started: str = field(default_factory=now)
    finished: str | None = None
    outcome: str = "running"
    checked: dict[str, list[str]] = field(default_factory=dict)  # hosts looked at, by control
    decisions: list[Decision] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    measurements: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    reports: dict[str, dict[str, Any]] = field(default_factory=dict)  # by host
    audit: list[dict[str, Any]] = field(default_factory=list)  # verdicts of the audit's modules, each with its host
    schema: int = SCHEMA

    def add_result(self, controls: Iterable[str], host: str, task: str, result: dict[str, Any]) -> bool:
        """Take in a task's result; return whether it changed something."""
        if "measurements" in result:
            self.measurements.setdefault(host, {})[result.get("phase", "before")] = result["measurements"]
        if "report" in result:
            self.reports[host] = result["report"]
        self.audit += [{"host": host, **verdict} for verdict in result.get("audit") or ()]
        names = sorted(controls)
        if not names:
            return False
        for name in names:
            hosts = self.checked.setdefault(name, [])
            if host not in hosts:
                hosts.append(host)
        for owned_by, part in by_owner(names, result).items():
            if part["changed"] or part["pending_restart"] or part["warnings"]:
                self.decisions.append(Decision(controls=list(owned_by), host=host, task=task, **part))
        return bool(result.get("changed"))

    def add_failure(self, controls: Iterable[str], host: str, task: str, message: str) -> None:
        """Take in a failed task. One that ends a rescue repeats the first error and adds what became of it: that is one."""
        for failure in self.failures:
            if failure.host == host and failure.message in message:
                failure.message = message
                return
        self.failures.append(Failure(sorted(controls), host, task, message))

    def finish(self) -> None:
        """Set the outcome by what was taken in."""
        self.finished = now()
        if self.failures:
            self.outcome = "failed"
        elif any(decision.changed for decision in self.decisions):
            self.outcome = "changed" if self.mode == "apply" else "drift"
        elif self.audit:
            self.outcome = "audited"
        else:
            self.outcome = "in_sync"

    def worth_keeping(self) -> bool:
        """Whether the log needs it: an apply that changed something, or that failed. A plan or an audit decides nothing."""
        return self.mode == "apply" and self.outcome not in ("in_sync", "audited")

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self), separators=(",", ":"))


class PerformanceLog:
    """The log of one environment."""

    def __init__(self, directory: Path, environment: str) -> None:
        self.path = directory / f"{environment}.jsonl"

    def append(self, *lines: str) -> None:
        """Append whole lines under a lock, on the disk when this returns."""
        self.path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o640)
        with os.fdopen(descriptor, "rb+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            size = file.seek(0, os.SEEK_END)
            if size and os.pread(file.fileno(), 1, size - 1) != b"\n":
                file.write(b"\n")  # a writer died in the middle of its line: keep ours whole
            file.write("".join(f"{line}\n" for line in lines).encode())
            file.flush()
            os.fsync(file.fileno())

    def partial(self, record: Record) -> Path:
        """The file of what a run has done so far."""
        return self.path.parent / f"{record.environment}.{record.run}.partial"

    def keep_partial(self, record: Record) -> None:
        """Write what the run has done so far, so that it outlives the run's sudden end."""
        path = self.partial(record)
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        beside = path.with_suffix(".new")
        with open(beside, "w", encoding="utf-8") as file:
            json.dump({"pid": os.getpid(), "process": identity(os.getpid()), "record": asdict(record)}, file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)

    def drop_partial(self, record: Record) -> None:
        """Remove the file of what the run had done: the log has it now."""
        self.partial(record).unlink(missing_ok=True)

    def adopt_interrupted(self) -> None:
        """Append what runs that died had done; those still going on are left alone."""
        for path in sorted(self.path.parent.glob(f"{self.path.stem}.*.partial")):
            if "." in path.name.removeprefix(f"{self.path.stem}.").removesuffix(".partial"):
                continue  # of an environment whose name begins with this one's and a dot
            try:
                left = json.loads(path.read_text(encoding="utf-8"))
                if is_alive(left["pid"], left["process"]):
                    continue
                record = {**left["record"], "outcome": "interrupted"}
            except (OSError, ValueError, KeyError, TypeError):
                continue  # not one of ours, or not whole
            self.append(json.dumps(record, separators=(",", ":")))
            path.unlink(missing_ok=True)


def identity(pid: int) -> str:
    """What tells a process from a later one of the same id, the boot and when it started; empty when it is gone."""
    try:
        # The fields come after the name, which is in parentheses and may hold anything (proc_pid_stat(5)).
        started = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    except OSError:
        return ""
    return f"{boot}/{started}"


def is_alive(pid: int, known_as: str) -> bool:
    """Whether the process of that id on this machine is still the one that was known as ``known_as``."""
    return bool(known_as) and identity(pid) == known_as
