# SPDX-License-Identifier: GPL-3.0-or-later
"""What PgBouncer did during a window: transactions, how long clients waited, and its connections."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils._counters import (
    deltas,
    measure_window,
    per_second,
    window_arguments,
)
from ansible_collections.leadgen.tuning.plugins.module_utils._pgbouncer import connect, connection_argument, show

ARGUMENT_SPEC: dict[str, Any] = {
    **connection_argument(),
    **window_arguments(),
}
# Counts and microseconds since the start, by database (PgBouncer documentation, SHOW STATS).
_COUNTERS = ("total_xact_count", "total_query_count", "total_xact_time", "total_query_time", "total_wait_time")
_CONSOLE = "pgbouncer"


def measure(options: Mapping[str, Any], _check_mode: bool) -> dict[str, Any]:
    """Read the counters, or give the figures of the window; see ``measure_window``.

    :raises TuningError: when the console cannot be reached.
    """
    return measure_window(options, lambda: _read(options["connection"]), figures)


def _read(where: Mapping[str, Any]) -> dict[str, Any]:
    with connect(where) as console:
        stats = [row for row in show(console, "stats") if row["database"] != _CONSOLE]
        pools = [row for row in show(console, "pools") if row["database"] != _CONSOLE]
    return {
        "at": time.time(),
        "totals": {name: _sum(stats, name) for name in _COUNTERS},
        "clients": _sum(pools, "cl_active", "cl_waiting"),
        "clients_waiting": _sum(pools, "cl_waiting"),
        "longest_wait_ms": max((row["maxwait"] * 1000 + row["maxwait_us"] / 1000 for row in pools), default=0.0),
        "server_connections": _sum(pools, "sv_active", "sv_idle", "sv_used", "sv_tested", "sv_login"),
    }


def _sum(rows: Iterable[Mapping[str, Any]], *names: str) -> float:
    return float(sum(row[name] for row in rows for name in names))


def figures(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of the window between two readings; null where it could not be measured. Clients are those at its end."""
    seconds = second["at"] - first["at"]
    grown = deltas(first["totals"], second["totals"])
    return {
        "window_seconds": round(seconds, 1),
        "transactions_per_second": grown and per_second(grown["total_xact_count"], seconds),
        "mean_query_ms": grown and _mean_ms(grown["total_query_time"], grown["total_query_count"]),
        "mean_transaction_ms": grown and _mean_ms(grown["total_xact_time"], grown["total_xact_count"]),
        "mean_wait_ms": grown and _mean_ms(grown["total_wait_time"], grown["total_xact_count"]),
        "clients": round(second["clients"]),
        "clients_waiting": round(second["clients_waiting"]),
        "longest_wait_ms": round(second["longest_wait_ms"], 3),
        "server_connections": round(second["server_connections"]),
    }


def _mean_ms(microseconds: float, count: float) -> float | None:
    return round(microseconds / 1000 / count, 3) if count > 0 else None
