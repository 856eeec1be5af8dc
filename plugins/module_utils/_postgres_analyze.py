# SPDX-License-Identifier: GPL-3.0-or-later
"""EXPLAIN ANALYZE of statements as they are seen running, where that is proved to change nothing."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils._postgres import one_row
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_explain import STATEMENT_SECONDS, as_role
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_read_only import why_not_safe, why_not_trusted
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_sql import is_same_statement
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_statements import Statement

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
    select query_id::text as queryid, usesysid as role_oid, query from pg_stat_activity
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


def why_not_sampled(connection: psycopg.Connection[Any]) -> str:
    """Why no text with values may be used in this session; empty where it may, and what it runs is counted nowhere then."""
    if connection.info.server_version < _QUERY_ID_SINCE:
        return "sessions show the queryid of what they run from PostgreSQL 14 on"
    reason = why_not_trusted(connection)
    if reason:
        return reason
    try:
        # Else it counts what is run for a report, and before PostgreSQL 16 it keeps the constants of an EXPLAIN.
        connection.execute("set pg_stat_statements.track = 'none'")
    except psycopg.errors.InsufficientPrivilege:
        return "pg_stat_statements would keep its values: GRANT SET ON PARAMETER pg_stat_statements.track to the tuning role"
    return ""


def sampled(connection: psycopg.Connection[Any], statements: Collection[Statement]) -> dict[str, str]:
    """The texts, values and all, that sessions of this database are seen to run within two seconds, by queryid.

    They are for EXPLAIN alone, and must not reach a result. An idle session still shows the last statement it ran. A text is
    of the role whose statement it is, since it is run with that role's rights, and of that very statement: the server gives
    a text the queryid of what it runs inside, too.
    """
    found: dict[str, str] = {}
    wanted = {statement.queryid: statement for statement in statements}
    if not wanted:
        return found
    deadline = time.monotonic() + _SAMPLE_SECONDS
    while True:
        # Each look is a transaction of its own, since within one the server shows the first look again.
        for row in connection.execute(_RUNNING, ([*(wanted.keys() - found.keys())],)):
            statement = wanted[row["queryid"]]
            if row["role_oid"] == statement.role_oid and is_same_statement(row["query"], statement.text):
                found[row["queryid"]] = row["query"]
        if len(found) == len(wanted) or time.monotonic() > deadline:
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
        raise NotAnalyzedError("the tuning role may not SET ROLE to the role that runs it")
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
