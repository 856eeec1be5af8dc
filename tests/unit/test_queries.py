# SPDX-License-Identifier: GPL-3.0-or-later
"""The report on queries as a person reads it."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from retune.queries import notes, show_reports
from retune.record import Record

SUGGESTED = {
    "table": "public.t",
    "columns": ["a", "b"],
    "confirmed_by": "arithmetic",
    "cost_before": 1000.0,
    "cost_after": 10.0,
    "bytes": 2**20,
    "rows_written_per_second": 1.5,
    "indexes_on_table": 2,
}
ANALYZED = {
    "planning_ms": 0.1,
    "execution_ms": 1234.5,
    "plan": {"Node Type": "Limit", "Actual Rows": 20, "Shared Hit Blocks": 8000, "Shared Read Blocks": 1},
}
STATEMENT: dict[str, Any] = {
    "statement": "select 1",
    "calls": 12000,
    "mean_ms": 1.25,
    "share": 0.5,
    "rows": 3,
    "temp_blocks_written": 0,
    "n_plus_one": False,
    "plan_kind": "generic",
    "plan": {"Node Type": "Limit", "Total Cost": 1000.0},
    "not_explained": "",
    "analyzed": None,
    "not_analyzed": "it is not",
    "sequential_scans": [{"table": "public.t", "rows": 50000, "filter": "(a = $1)"}],
    "suggestions": [SUGGESTED],
}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {},
            [
                "generic plan: Limit, cost 1,000.0; not run: it is not",
                "reads all 50,000 rows of public.t for (a = $1)",
                "(a, b)",
            ],
        ),
        ({"sequential_scans": [], "suggestions": [], "n_plus_one": True}, ["may be run for each row", "generic plan"]),
        (
            {"sequential_scans": [], "suggestions": [], "plan_kind": "sampled", "analyzed": ANALYZED},
            ["sampled plan: Limit, cost 1,000.0; run once: 1,234.5 ms, 20 rows, 8,001 blocks"],
        ),
        ({"plan": None, "not_explained": "permission denied"}, ["has no plan: permission denied"]),
    ],
)
def test_notes(fields: dict[str, Any], said: list[str]) -> None:
    lines = list(notes({**STATEMENT, **fields}))
    assert len(lines) == len(said)
    assert all(text in line for text, line in zip(said, lines, strict=True))


def test_the_variable_at_the_end_is_what_the_inventory_takes(capsys: pytest.CaptureFixture[str]) -> None:
    indexes = {"t_a_idx": {"table": "public.t", "columns": ["a"]}}
    report = {
        "databases": [
            {"database": "one", "statements": [STATEMENT], "postgres_indexes": indexes},
            {"database": "two", "statements": [], "postgres_indexes": {}},
        ],
        "unread": [{"database": "three", "reason": "no such database"}],
    }
    show_reports(Record({"schema": 1, "reports": {"db1": report}}))
    out = capsys.readouterr().out
    assert "db1, database two: no statement has been counted yet" in out
    assert "warning: db1: no such database" in out
    assert yaml.safe_load(out[out.index("postgres_indexes:") :]) == {"postgres_indexes": {"one": indexes}}
