# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person reads of the report on queries; its form is in the documentation of the module postgres_queries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from retune import show
from retune.record import Record

_STATEMENT_LENGTH = 240
_COLUMNS = ("", "statement", "calls", "mean, ms", "share", "rows", "temp blocks written")
_PROOFS = {"hypopg": "the planner, with HypoPG", "arithmetic": "arithmetic on the statistics, without HypoPG"}


def show_reports(record: Record) -> None:
    """Print every host's report: its statements, what was found of each, and the variable that creates the indexes."""
    indexes: dict[str, Any] = {}
    for host, report in record.data["reports"].items():
        for found in report["databases"]:
            _show_database(host, found)
            if found["postgres_indexes"]:
                indexes[found["database"]] = found["postgres_indexes"]
        for entry in report["unread"]:
            print(f"warning: {host}: {entry['reason']}")
    if indexes:
        print("\nFor the inventory, to have these indexes created by the next apply:\n")
        print(yaml.safe_dump({"postgres_indexes": indexes}, sort_keys=False, width=120), end="")


def _show_database(host: str, found: Mapping[str, Any]) -> None:
    statements = found["statements"]
    if not statements:
        print(f"{host}, database {found['database']}: no statement has been counted yet")
        return
    rows = [_row(number, statement) for number, statement in enumerate(statements, 1)]
    show.table(f"{host}, database {found['database']}: the statements that took most time", _COLUMNS, rows)
    for number, statement in enumerate(statements, 1):
        for line in notes(statement):
            print(f"  {number}. {line}")


def _row(number: int, statement: Mapping[str, Any]) -> tuple[str, ...]:
    text = statement["statement"]
    return (
        str(number),
        text if len(text) <= _STATEMENT_LENGTH else f"{text[:_STATEMENT_LENGTH]}...",
        f"{statement['calls']:,}",
        f"{statement['mean_ms']:,}",
        f"{statement['share']:.0%}",
        f"{statement['rows']:,}",
        f"{statement['temp_blocks_written']:,}",
    )


def _run(statement: Mapping[str, Any]) -> str:
    if statement["analyzed"] is None:
        return f"not run: {statement['not_analyzed']}"
    measured = statement["analyzed"]
    plan = measured["plan"]
    blocks = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
    return f"run once: {measured['execution_ms']:,} ms, {plan['Actual Rows']:,} rows, {blocks:,} blocks"


def notes(statement: Mapping[str, Any]) -> Iterator[str]:
    """What was found of one statement, a line each."""
    if statement["n_plus_one"]:
        yield "may be run for each row of another's result: one row at most, and a tenth of all calls or more"
    if statement["not_explained"]:
        yield f"has no plan: {statement['not_explained']}"
        return
    plan = statement["plan"]
    yield f"{statement['plan_kind']} plan: {plan['Node Type']}, cost {plan['Total Cost']:,}; {_run(statement)}"
    for scan in statement["sequential_scans"]:
        condition = f" for {scan['filter']}" if scan["filter"] else ""
        yield f"reads all {scan['rows']:,} rows of {scan['table']}{condition}"
    for found in statement["suggestions"]:
        yield (
            f"an index on {found['table']} ({', '.join(found['columns'])}) takes its cost from {found['cost_before']:,} to"
            f" {found['cost_after']:,} by {_PROOFS[found['confirmed_by']]}; about {found['bytes'] / 2**20:,.1f} MB, and one"
            f" more beside {found['indexes_on_table']} to keep at {found['rows_written_per_second']:,} rows written a second"
        )
