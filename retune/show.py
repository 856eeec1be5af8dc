# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person reads: tables on standard output, progress on standard error."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from retune.record import Record

_FIGURES = {
    "commits_per_second": "commits/s",
    "rollbacks_per_second": "rollbacks/s",
    "cache_hit_ratio": "cache hit ratio",
    "dead_rows": "dead rows",
    "dead_row_ratio": "dead row ratio",
    "statement_mean_ms": "statement mean, ms",
    "statement_p95_ms": "statement p95, ms",
    "transactions_per_second": "transactions/s",
    "mean_query_ms": "query mean, ms",
    "mean_transaction_ms": "transaction mean, ms",
    "mean_wait_ms": "wait for a server connection, mean, ms",
    "clients_waiting": "clients waiting",
    "longest_wait_ms": "longest wait, ms",
    "server_connections": "server connections",
    "operations_per_second": "operations/s",
    "hit_ratio": "hit ratio",
    "evictions_per_second": "evictions/s",
    "expired_per_second": "expired/s",
    "latency_p50_ms": "latency p50, ms",
    "latency_p99_ms": "latency p99, ms",
    "latency_p999_ms": "latency p99.9, ms",
    "delayed_fsyncs": "delayed fsyncs",
    "last_fork_ms": "last fork, ms",
    "fragmentation_ratio": "fragmentation ratio",
    "used_memory_bytes": "used memory, bytes",
    "ready_pods": "ready pods",
    "guaranteed_pods": "guaranteed pods",
    "container_restarts": "container restarts",
    "oom_kills": "kills for want of memory",
    "cpu_utilization_percent": "CPU utilization, %",
    "event_loop_lag_p99_ms": "event-loop lag p99, ms",
}


def table(title: str, columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    """Print a table, to the terminal's width, or as wide as it needs to be where there is none."""
    from rich import box  # noqa: PLC0415 - a check that finds nothing prints no table
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    print(title)
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        shown.add_column(column, overflow="fold")
    for row in rows:
        shown.add_row(*(Text(cell) for cell in row))
    Console(width=None if sys.stdout.isatty() else 160, highlight=False).print(shown)


def changes(record: Record, title: str) -> None:
    """Print what changed, or would."""
    rows = [tuple(row) for row in record.rows()]
    table(title, ("control", "host", "parameter", "now", "then", "needs"), rows)


def waiting(record: Record) -> None:
    """Print what awaits a restart."""
    for host, names in record.waiting().items():
        print(f"{host}: awaits a restart: {', '.join(names)} (apply --allow-restart permits it)")


def warnings(record: Record) -> None:
    """Print what is as the inventory says, and still not what its author may think."""
    for host, text in record.warnings():
        print(f"warning: {host}: {text}")


def effects(record: Record) -> None:
    """Print the measurements before and after."""
    rows = [
        (host, _figure(figure), _number(before), _number(after), _ratio(before, after))
        for host, figure, before, after in record.effects()
        if before is not None or after is not None
    ]
    if rows:
        table("Measured effect", ("host", "figure", "before", "after", "change"), rows)


def _figure(name: str) -> str:
    kind, _slash, statement = name.partition("/")
    return f"{_FIGURES.get(kind, kind)} {f'(query {statement})' if statement else ''}".rstrip()


def _number(value: Any) -> str:
    return "-" if value is None else f"{value:,}"


def _ratio(before: Any, after: Any) -> str:
    if not before or after is None:
        return ""
    return f"{(after - before) / before:+.0%}"


def failures(record: Record) -> None:
    """Print each failed task as one line."""
    for failure in record.failures:
        where = " ".join(filter(None, (failure["host"], ", ".join(failure["controls"]))))
        print(f"error: {where}: {failure['message']}", file=sys.stderr)


def progress(event: dict[str, Any]) -> None:
    """Print host, control and what came of it, as each task ends."""
    data = event.get("event_data") or {}
    result = data.get("res") or {}
    if not isinstance(result, dict):
        return
    for control, word in _words(event.get("event", ""), result):
        print(f"  {data.get('host', ''):24} {word:16} {control}", file=sys.stderr, flush=True)


def _words(kind: str, result: dict[str, Any]) -> list[tuple[str, str]]:
    """A control and what came of it, for each control that the task was for."""
    if kind in ("runner_on_failed", "runner_on_unreachable"):
        return [(control, kind.removeprefix("runner_on_")) for control in result.get("controls") or ()]
    if kind != "runner_on_ok":
        return []
    if "audit" in result:
        return [(entry["control"], entry["verdict"]) for entry in result["audit"]]
    if "report" in result:
        return [(control, "read") for control in sorted(result.get("controls") or ())]
    if "measurements" in result:
        return [("", f"measured {result['phase']}")]
    diff = result.get("diff") or {}
    owners = result.get("owners") or {}
    changed = {owners.get(name) for name in diff.get("after") or ()} if isinstance(diff, dict) else set()
    moved = "differs" if result.get("check_mode") else "changed"
    at_rest = "verified" if result.get("verified") else "in sync"
    return [(control, moved if {control, None} & changed else at_rest) for control in sorted(result.get("controls") or ())]
