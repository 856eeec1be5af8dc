# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a statement that is not run, and the transaction in which it is looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils._postgres import one_line, one_row
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_sql import why_not_one_query

try:
    import psycopg
    from psycopg import sql
except ImportError:  # connect() says so
    pass

Plan = Mapping[str, Any]
Explain = Callable[[], Plan]

_GENERIC_PLAN_SINCE = 160000
_NAME = "leadgen_tuning_explained"
STATEMENT_SECONDS = 5
_SETTINGS = {
    "statement_timeout": f"{STATEMENT_SECONDS}s",
    "lock_timeout": "1s",
    "standard_conforming_strings": "on",  # as the parser reads strings
    "plan_cache_mode": "force_generic_plan",
}


class NotExplainedError(Exception):
    """A statement that has no plan here; the text says why."""


@contextmanager
def looking(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """A transaction that writes nothing, waits for no one and is rolled back."""
    with connection.transaction(force_rollback=True):
        connection.execute("set transaction read only")
        for name, value in _SETTINGS.items():
            connection.execute("select set_config(%s, %s, true)", (name, value))
        yield


@contextmanager
def as_role(connection: psycopg.Connection[Any], settings: Mapping[str, Any]) -> Iterator[None]:
    """Within ``looking``, a savepoint as the role that runs a statement: what fails leaves the transaction usable.

    :param settings: ``role`` to be where ``allowed``, and its ``search_path`` or None; both go with the savepoint.
    """
    with connection.transaction(force_rollback=True):
        if settings["search_path"]:
            connection.execute("select set_config('search_path', %s, true)", (settings["search_path"],))
        if settings["allowed"]:
            connection.execute("select set_config('role', %s, true)", (settings["role"],))
        yield


def explain(connection: psycopg.Connection[Any], text: str, settings: Mapping[str, Any]) -> Plan:
    """The plan of a statement within ``looking``, the generic one where its parameters have no values.

    :param settings: of the role that ran it; see ``settings_of``.
    :raises NotExplainedError: for what is not a single query, and for what the server refuses.
    """
    reason = why_not_one_query(text)
    if reason:
        raise NotExplainedError(reason)
    try:
        with as_role(connection, settings):
            return _plan(connection, sql.SQL(text))
    except psycopg.Error as error:
        if connection.broken:
            raise
        raise NotExplainedError(error.diag.message_primary or one_line(error)) from error


def _plan(connection: psycopg.Connection[Any], statement: sql.SQL) -> Plan:
    if connection.info.server_version >= _GENERIC_PLAN_SINCE:
        query = sql.SQL("explain (generic_plan, verbose, format json) ") + statement
        return _root(one_row(connection.execute(query)))
    name = sql.Identifier(_NAME)
    connection.execute(sql.SQL("prepare {} as ").format(name) + statement)
    # In full, since the search_path in force is the one of the role that ran the statement.
    prepared = (
        "select pg_catalog.cardinality(parameter_types) as count from pg_catalog.pg_prepared_statements"
        " where name operator(pg_catalog.=) %s"
    )
    try:
        with connection.transaction():  # so that DEALLOCATE, which no rollback does, can follow an error
            count = one_row(connection.execute(prepared, (_NAME,)))["count"]
            values = sql.SQL("({})").format(sql.SQL(", ").join([sql.NULL] * count)) if count else sql.SQL("")
            execute = sql.SQL("explain (verbose, format json) execute {}").format(name) + values
            return _root(one_row(connection.execute(execute)))
    finally:
        if not connection.broken:
            connection.execute(sql.SQL("deallocate {}").format(name))


def _root(row: Mapping[str, Any]) -> Plan:
    plan: Plan = row["QUERY PLAN"][0]["Plan"]
    return plan
