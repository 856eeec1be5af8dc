# SPDX-License-Identifier: GPL-3.0-or-later
"""The report on slow queries: the statements that took most time, their plans, and the indexes that would help."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils import _postgres_plans as plans
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres import connect, connection_argument, endpoint
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_analyze import (
    NotAnalyzedError,
    analyze,
    sampled,
    why_not_sampled,
    without_values,
)
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_explain import (
    STATEMENT_SECONDS,
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
    "explain_analyze": {"type": "bool", "default": False},
}


def report(options: Mapping[str, Any], _check_mode: bool) -> dict[str, Any]:
    """Report on every database; nothing is changed, in check mode or without.

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


@dataclass(frozen=True)
class _Subject:
    """A statement, the settings of its role, and its text with values where a session was seen running it."""

    statement: Statement
    settings: Mapping[str, Any]
    sample: str | None


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
    refusal = why_not_sampled(connection) if options["explain_analyze"] else "postgres_explain_analyze is off"
    samples = {} if refusal else sampled(connection, top)
    with looking(connection):
        tables = Tables(connection)
        subjects = [_Subject(each, settings_of(connection, each.role_oid), samples.get(each.queryid)) for each in top]
        statements = [
            {
                **subject.statement.figures(),
                **_analyzed(connection, subject, refusal),
                **_planned(connection, subject, tables, options["large_table_rows"]),
            }
            for subject in subjects
        ]
    entries = {
        name: entry
        for statement in statements
        for found in statement["suggestions"]
        for name, entry in found["postgres_indexes"].items()
    }
    return {"statements": statements, "postgres_indexes": plans.merged(entries)}


def _planned(connection: psycopg.Connection[Any], subject: _Subject, tables: Tables, large: int) -> dict[str, Any]:
    """The plan and what was found in it, or why there is none."""
    found: dict[str, Any] = {"plan_kind": None, "plan": None, "not_explained": "", "sequential_scans": [], "suggestions": []}
    text, kind = subject.statement.text, "generic"

    def explained() -> Plan:
        return explain(connection, text, subject.settings)

    try:
        plan = explained()
    except NotExplainedError as error:
        found["not_explained"] = str(error)
        if subject.sample is None:
            return found
        text, kind = subject.sample, "sampled"
        try:
            plan = explained()
        except NotExplainedError:
            return found  # with the first reason: this one may quote a value
    values = kind == "sampled"
    found |= {"plan_kind": kind, "plan": without_values(plan) if values else plan, "not_explained": ""}
    for scan in plans.sequential_scans(plan):
        facts = tables.facts(scan.schema, scan.table)
        if facts is None or facts["rows"] < large:
            continue
        condition = "" if values else scan.condition
        found["sequential_scans"].append({"table": facts["table"], "rows": round(facts["rows"]), "filter": condition})
        helpful = suggestion(connection, tables, scan, plan, explained)
        if helpful is not None and helpful not in found["suggestions"]:
            found["suggestions"].append(helpful)
    return found


def _analyzed(connection: psycopg.Connection[Any], subject: _Subject, refusal: str) -> dict[str, Any]:
    """What EXPLAIN ANALYZE found, or why it was not asked."""
    try:
        if refusal:
            raise NotAnalyzedError(refusal)
        if subject.statement.mean_ms > STATEMENT_SECONDS * 1000:
            raise NotAnalyzedError(f"it takes more than {STATEMENT_SECONDS} s")
        if subject.sample is None:
            raise NotAnalyzedError("no session of its role was seen running it")
        return {"analyzed": analyze(connection, subject.sample, subject.settings), "not_analyzed": ""}
    except NotAnalyzedError as error:
        return {"analyzed": None, "not_analyzed": str(error)}
