# SPDX-License-Identifier: GPL-3.0-or-later
"""What an audit found, for a person, and what follows from its verdicts."""

from __future__ import annotations

from typing import Any

from retune.record import Record
from retune.show import table

_KIBI = 1024


def passed(record: Record) -> bool:
    """Whether every verdict is a pass, and there is one."""
    found = _verdicts(record)
    return bool(found) and all(entry["verdict"] == "pass" for entry in found)


def untold(record: Record) -> bool:
    """Whether nothing fails and something could not be told: what was not measured is no pass."""
    return not passed(record) and all(entry["verdict"] != "fail" for entry in _verdicts(record))


def report(record: Record) -> None:
    """Print the verdicts, then the findings with the statement that a person could run."""
    found = _verdicts(record)
    if not found:
        return
    columns = ("control", "host", "verdict", "figure", "reason")
    rows = [(e["control"], e["host"], e["verdict"], _figure(e["figure"]), e["reason"]) for e in found]
    table("Audit", columns, rows)
    findings = [_row(entry["host"], finding) for entry in found for finding in entry["findings"]]
    if findings:
        table("Findings; none of the statements was run", ("host", "what", "where", "size", "why", "statement"), findings)


def _verdicts(record: Record) -> list[dict[str, Any]]:
    return list(record.data.get("audit") or ())


def _row(host: str, finding: dict[str, Any]) -> tuple[str, ...]:
    name = finding["index"] or finding["table"]
    where = f"{finding['database']}: {name}" if finding.get("database") else name
    return host, finding["kind"], where, size(finding["bytes"]), finding["why"], finding["statement"]


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:,}"


def size(value: float | None) -> str:
    """Bytes as a person reads them; ``-`` for none."""
    if value is None:
        return "-"
    for unit in ("B", "kB", "MB", "GB"):
        if value < _KIBI:
            return f"{value:.0f} {unit}"
        value /= _KIBI
    return f"{value:.1f} TB"
