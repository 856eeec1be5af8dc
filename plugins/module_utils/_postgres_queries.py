# SPDX-License-Identifier: GPL-3.0-or-later
"""The report on slow queries: the statements that took most time, their plans, and the indexes that would help."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils import _postgres_plans as plans
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres import connect, connection_argument, endpoint
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_explain import (
    NotExplainedError,
    Plan,
    explain,
    looking,
)
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_statements import (
    Statement,
    settings_of,
    top_statements,
    view_of,
)
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_suggestions import Tables, suggestion

try:
    import psycopg
except ImportError:  # connect() says so
    pass

ARGUMENT_SPEC: dict[str, Any] = {
    **connection_argument(),
    "databases": {"type": "list", "elements": "str", "required": True},
    "top": {"type": "int", "default": 5},
    "large_table_rows": {"type": "int", "default": 10000},
}

_NOT_RUN = "the values of its parameters are not kept, and no statement is run for a report"


def report(options: Mapping[str, Any], _check_mode: bool) -> dict[str, Any]:
    """Report on every database; nothing is changed and no statement is run, in check mode or without.

    :raises TuningError: when no database could be read. One that could not is named in the report, with the reason.
    """
    where = endpoint(options["connection"])
    if not options["databases"]:
        raise TuningError(f"postgres_databases on {where} is empty; name the application's databases")
    databases: list[dict[str, Any]] = []
    unread: list[dict[str, str]] = []
    for database in options["databases"]:
        try:
            with connect(options["connection"], database) as connection:
                databases.append({"database": database, **_of_database(connection, options, database, where)})
        except TuningError as error:
            unread.append({"database": database, "reason": str(error)})
    if not databases:
        raise TuningError("; ".join(dict.fromkeys(entry["reason"] for entry in unread)))
    return {"changed": False, "report": {"databases": databases, "unread": unread}}


def _of_database(
    connection: psycopg.Connection[Any], options: Mapping[str, Any], database: str, where: str
) -> dict[str, Any]:
    connection.prepare_threshold = None  # a statement of this session's own is explained by name
    view = view_of(connection)
    if view is None:
        raise TuningError(
            f"database {database} on {where} has no pg_stat_statements; name it in postgres_extensions and in "
            "shared_preload_libraries of postgres_settings, and apply"
        )
    top = top_statements(connection, view, database, options["top"], where)
    with looking(connection):
        tables = Tables(connection)
        statements = [_of_statement(connection, statement, tables, options["large_table_rows"]) for statement in top]
    entries = {
        name: entry
        for statement in statements
        for found in statement["suggestions"]
        for name, entry in found["postgres_indexes"].items()
    }
    return {"statements": statements, "postgres_indexes": plans.merged(entries)}


def _of_statement(connection: psycopg.Connection[Any], statement: Statement, tables: Tables, large: int) -> dict[str, Any]:
    found: dict[str, Any] = {
        **statement.figures(),
        "plan_kind": "generic",
        "plan": None,
        "not_explained": "",
        "not_analyzed": _NOT_RUN,
        "sequential_scans": [],
        "suggestions": [],
    }
    settings = settings_of(connection, statement.role_oid)

    def explained() -> Plan:
        return explain(connection, statement.text, settings)

    try:
        plan = explained()
    except NotExplainedError as error:
        return {**found, "plan_kind": None, "not_explained": str(error)}
    found["plan"] = plan
    for scan in plans.sequential_scans(plan):
        facts = tables.facts(scan.schema, scan.table)
        if facts is None or facts["rows"] < large:
            continue
        found["sequential_scans"].append({"table": facts["table"], "rows": round(facts["rows"]), "filter": scan.condition})
        helpful = suggestion(connection, tables, scan, plan, explained)
        if helpful is not None and helpful not in found["suggestions"]:
            found["suggestions"].append(helpful)
    return found
