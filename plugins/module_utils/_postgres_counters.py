# SPDX-License-Identifier: GPL-3.0-or-later
"""What PostgreSQL did during a window: transactions, cache hits, statement times, dead rows."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils._counters import (
    deltas,
    per_second,
    ratio,
    wait_for_window,
    weighted_percentile,
    window_arguments,
)
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres import connect, connection_argument, one_row

try:
    import psycopg
except ImportError:  # connect() says so
    pass

ARGUMENT_SPEC: dict[str, Any] = {
    **connection_argument(),
    "databases": {"type": "list", "elements": "str", "required": True},
    **window_arguments(),
    "statements": {"type": "list", "elements": "str", "default": []},
}

# Enough for the busiest statements, and small enough to hand from one task to the next.
_STATEMENTS = 500
_TOP = 5
_RENAMED_SINCE = 130000  # total_time became total_exec_time
_DATABASES = (
    "select coalesce(sum(xact_commit), 0)::float8 as commits, coalesce(sum(xact_rollback), 0)::float8 as rollbacks,"
    " coalesce(sum(blks_hit), 0)::float8 as blocks_hit, coalesce(sum(blks_read), 0)::float8 as blocks_read,"
    " coalesce(sum(temp_bytes), 0)::float8 as temp_bytes, coalesce(sum(deadlocks), 0)::float8 as deadlocks"
    " from pg_stat_database where datname = any(%s)"
)
_DEAD_ROWS = (
    "select coalesce(sum(n_dead_tup), 0)::float8 as dead, coalesce(sum(n_live_tup), 0)::float8 as live"
    " from pg_stat_user_tables"
)


def measure(options: Mapping[str, Any], _check_mode: bool) -> dict[str, Any]:
    """Read the counters; with ``since``, an earlier reading, wait for the window to pass and give the figures of it.

    :raises TuningError: when the server cannot be reached.
    """
    since = options["since"]
    if since:
        wait_for_window(since, options["window"])
    with connect(options["connection"]) as connection:
        reading = _read(connection, options["databases"])
    for database in options["databases"]:
        with connect(options["connection"], database) as connection:
            rows = one_row(connection.execute(_DEAD_ROWS))
            reading["dead_rows"] += rows["dead"]
            reading["live_rows"] += rows["live"]
            if reading["statements"] is None:  # the view stands in any one of them, and shows the statements of all
                reading["statements"] = _statements(connection, options["databases"])
    result: dict[str, Any] = {"changed": False, "counters": reading}
    if since:
        # The raw reading has served; only the figures go into the record.
        means = statement_means(since["statements"], reading["statements"], options["statements"], reading["role"])
        named = {f"statement_mean_ms/{queryid}": mean for queryid, mean in means.items()}
        measured = {**figures(since, reading), **named}
        result = {"changed": False, "measurements": measured, "statements": list(means), "phase": options["phase"]}
    return result


def _read(connection: psycopg.Connection[Any], databases: list[str]) -> dict[str, Any]:
    totals = one_row(connection.execute(_DATABASES, (databases,)))
    return {
        "at": time.time(),
        "totals": totals,
        "statements": None,
        "role": one_row(connection.execute("select oid::text as role from pg_roles where rolname = session_user"))["role"],
        "dead_rows": 0.0,
        "live_rows": 0.0,
    }


def _statements(connection: psycopg.Connection[Any], databases: list[str]) -> dict[str, list[float]] | None:
    """Calls and milliseconds of the busiest statements, by identity; None where pg_stat_statements is not loaded."""
    column = "total_exec_time" if connection.info.server_version >= _RENAMED_SINCE else "total_time"
    try:
        rows = connection.execute(
            "select concat_ws('/', s.dbid, s.userid, s.queryid) as id, sum(s.calls)::float8 as calls,"  # noqa: S608 - a constant
            f" sum(s.{column})::float8 as milliseconds from pg_stat_statements as s"
            " join pg_database as d on d.oid = s.dbid where d.datname = any(%s) and s.queryid is not null"
            f" group by 1 order by calls desc limit {_STATEMENTS}",
            (databases,),
        ).fetchall()
    except (psycopg.errors.UndefinedTable, psycopg.errors.ObjectNotInPrerequisiteState):
        return None
    return {row["id"]: [row["calls"], row["milliseconds"]] for row in rows}


def figures(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of the window between two readings; null where it could not be measured."""
    seconds = second["at"] - first["at"]
    grown = deltas(first["totals"], second["totals"])
    blocks = grown and grown["blocks_hit"] + grown["blocks_read"]
    return {
        "window_seconds": round(seconds, 1),
        "commits_per_second": grown and per_second(grown["commits"], seconds),
        "rollbacks_per_second": grown and per_second(grown["rollbacks"], seconds),
        "cache_hit_ratio": grown and ratio(grown["blocks_hit"], blocks or 0),
        "dead_rows": round(second["dead_rows"]),
        "dead_row_ratio": ratio(second["dead_rows"], second["dead_rows"] + second["live_rows"]),
        **_statement_figures(first["statements"], second["statements"]),
    }


def _statement_figures(
    first: Mapping[str, list[float]] | None, second: Mapping[str, list[float]] | None
) -> dict[str, float | None]:
    """Mean and 95th percentile of execution time, in milliseconds.

    The view keeps no distribution, so the percentile is that of the statements' own means in the window, weighted by
    calls: 95% of the calls were of statements which took no longer on average.
    """
    spent = [(milliseconds / calls, calls) for calls, milliseconds in _grown(first, second).values()]
    total = sum(calls for _mean, calls in spent)
    if first is None or not total:
        return {"statement_mean_ms": None, "statement_p95_ms": None}
    percentile = weighted_percentile(spent, 0.95)
    return {
        "statement_mean_ms": round(sum(mean * calls for mean, calls in spent) / total, 3),
        "statement_p95_ms": None if percentile is None else round(percentile, 3),
    }


def statement_means(
    first: Mapping[str, list[float]] | None, second: Mapping[str, list[float]] | None, wanted: Sequence[str], role: str
) -> dict[str, float | None]:
    """Milliseconds a call of the wanted statements, by queryid; without any wanted, of those that took most time.

    Null where a statement was not run in the window. Those of ``role``, an oid, are our own readings, and are left out
    unless there are no others.
    """
    spent: dict[str, list[float]] = {}
    grown = _grown(first, second) if first is not None else {}
    others = {identity: window for identity, window in grown.items() if identity.split("/")[1] != role}
    for identity, (calls, milliseconds) in (others or grown).items():
        total = spent.setdefault(identity.rpartition("/")[2], [0.0, 0.0])
        total[0] += calls
        total[1] += milliseconds
    slowest = sorted(spent, key=lambda queryid: -spent[queryid][1])[:_TOP]
    return {
        queryid: round(spent[queryid][1] / spent[queryid][0], 3) if queryid in spent else None
        for queryid in (wanted or slowest)
    }


def _grown(
    first: Mapping[str, list[float]] | None, second: Mapping[str, list[float]] | None
) -> dict[str, tuple[float, float]]:
    """Calls and milliseconds that each statement had in the window; those that had none are left out."""
    grown = {}
    complete = len(first or {}) < _STATEMENTS  # else what is not in the first reading may merely have been cut off
    for identity, (calls, milliseconds) in (second or {}).items():
        if identity not in (first or {}) and not complete:
            continue
        calls_before, milliseconds_before = (first or {}).get(identity, (0.0, 0.0))
        if calls > calls_before and milliseconds >= milliseconds_before:
            grown[identity] = (calls - calls_before, milliseconds - milliseconds_before)
    return grown
