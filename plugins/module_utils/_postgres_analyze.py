# SPDX-License-Identifier: GPL-3.0-or-later
"""EXPLAIN ANALYZE of statements as they are seen running, where that is proved to change nothing."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils._postgres import one_row
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_explain import STATEMENT_SECONDS, as_role
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_read_only import why_not_safe

try:
    import psycopg
    from psycopg import sql
except ImportError:  # connect() says so
    pass

_SAMPLE_SECONDS = 2.0
_POLL_SECONDS = 0.05
_QUERY_ID_SINCE = 140000
# A text as long as the server keeps may be cut short. The size is in bytes, and one of them ends the text.
_RUNNING = """
    select query_id::text as queryid, query from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
      and query_id::text = any(%s)
      and octet_length(query) < (select setting::int from pg_settings where name = 'track_activity_query_size') - 1
"""
# A plan's conditions hold the values of the statement, and values may be anyone's personal data: only these leave here.
_FIELDS = frozenset(
    "Node Type,Parent Relationship,Join Type,Strategy,Partial Mode,Command,Scan Direction,Schema,Relation Name,Alias,"
    "Index Name,CTE Name,Subplan Name,Function Name,Startup Cost,Total Cost,Plan Rows,Plan Width,Actual Startup Time,"
    "Actual Total Time,Actual Rows,Actual Loops,Rows Removed by Filter,Rows Removed by Index Recheck,"
    "Rows Removed by Join Filter,Heap Fetches,Shared Hit Blocks,Shared Read Blocks,Shared Dirtied Blocks,"
    "Shared Written Blocks,Local Hit Blocks,Local Read Blocks,Temp Read Blocks,Temp Written Blocks,Sort Method,"
    "Sort Space Used,Sort Space Type,Hash Buckets,Hash Batches,Peak Memory Usage,Exact Heap Blocks,Lossy Heap Blocks,"
    "Workers Planned,Workers Launched".split(",")
)


class NotAnalyzedError(Exception):
    """A statement that was not run; the text says why, without its values."""


def sampled(connection: psycopg.Connection[Any], queryids: Collection[str]) -> dict[str, str]:
    """The texts, values and all, that sessions of this database are seen to run within two seconds, by queryid.

    They are for EXPLAIN alone, and must not reach a result. An idle session still shows the last statement it ran.
    """
    found: dict[str, str] = {}
    if connection.info.server_version < _QUERY_ID_SINCE or not queryids:
        return found
    deadline = time.monotonic() + _SAMPLE_SECONDS
    while True:
        # Each look is a transaction of its own, since within one the server shows the first look again.
        missing = [queryid for queryid in queryids if queryid not in found]
        found.update({row["queryid"]: row["query"] for row in connection.execute(_RUNNING, (missing,))})
        if len(found) == len(queryids) or time.monotonic() > deadline:
            return found
        time.sleep(_POLL_SECONDS)


def analyze(connection: psycopg.Connection[Any], text: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What EXPLAIN ANALYZE says of a statement, run once within ``looking`` as the role that runs it.

    :param text: with its values; see ``sampled``.
    :param settings: of the role; see ``settings_of``.
    :returns: ``planning_ms``, ``execution_ms``, and ``plan`` without the statement's conditions.
    :raises NotAnalyzedError: for a statement that is not proved to change nothing, and for what the server refuses.
    """
    if not settings["allowed"]:
        raise NotAnalyzedError("the tuning role is no member of the role that runs it")
    reason = why_not_safe(connection, text)
    if reason:
        raise NotAnalyzedError(reason)
    try:
        with as_role(connection, settings):
            query = sql.SQL("explain (analyze, buffers, format json) ") + sql.SQL(text)
            found = one_row(connection.execute(query))["QUERY PLAN"][0]
    except psycopg.errors.QueryCanceled as error:
        raise NotAnalyzedError(f"it was ended after {STATEMENT_SECONDS} s") from error
    except psycopg.Error as error:
        if connection.broken:
            raise
        # Not the server's sentence: that may quote a value.
        raise NotAnalyzedError(f"the server refused it (SQLSTATE {error.sqlstate})") from error
    return {
        "planning_ms": found["Planning Time"],
        "execution_ms": found["Execution Time"],
        "plan": without_values(found["Plan"]),
    }


def without_values(plan: Mapping[str, Any]) -> dict[str, Any]:
    """A plan with the fields that hold names and figures only."""
    kept = {name: value for name, value in plan.items() if name in _FIELDS}
    return {**kept, "Plans": [without_values(child) for child in plan["Plans"]]} if "Plans" in plan else kept
