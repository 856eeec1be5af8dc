# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rule chooses a table, and its storage parameters."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_storage_parameters import storage_parameter
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_table_rules import choose, shown
from hypothesis import given
from hypothesis import strategies as st

FIGURES = {"rows": 5_000.0, "dead_rows": 100.0, "writes_per_second": 2.5}
NO_LIMITS = {"databases": None, "rows": None, "dead_rows": None, "writes_per_second": None}


def rule(name: str, **limits: Any) -> dict[str, Any]:
    return {**NO_LIMITS, "name": name, "settings": {"fillfactor": 90}, **limits}


@pytest.mark.parametrize(
    ("rules", "chosen_by", "expected"),
    [
        ([], None, None),
        ([rule("a", rows=5_000)], None, "rule a: 5,000 rows of 5,000"),
        ([rule("a", rows=5_001)], None, None),
        ([rule("a", rows=6_000), rule("b", rows=10)], None, "rule b: 5,000 rows of 10"),
        ([rule("a", rows=10), rule("b", rows=5_000)], None, "rule a: 5,000 rows of 10"),
        ([rule("a", rows=10, dead_rows=101)], None, None),
        ([rule("a", rows=10, dead_rows=100)], None, "rule a: 5,000 rows of 10, 100 dead rows of 100"),
        ([rule("a", writes_per_second=2.5)], None, "rule a: 2.5 rows written per second of 2.5"),
        ([rule("a", rows=1, databases=["other"])], None, None),
        ([rule("a", rows=1, databases=["shop"])], None, "rule a: 5,000 rows of 1"),
        # Chosen before: until its rows fall below half.
        ([rule("a", rows=10_000)], "a", "rule a: chosen by an earlier run"),
        ([rule("a", rows=10_001)], "a", None),
        ([rule("a", rows=10_000)], "b", None),
        ([rule("a", dead_rows=10_000)], "a", "rule a: chosen by an earlier run"),
        ([rule("b", rows=1), rule("a", rows=10_000)], "a", "rule b: 5,000 rows of 1"),
    ],
)
def test_choose(rules: list[dict[str, Any]], chosen_by: str | None, expected: str | None) -> None:
    choice = choose(rules, "shop", FIGURES, chosen_by)
    assert (choice and choice.reason) == expected


@given(st.floats(min_value=0, max_value=1e12))
def test_a_figure_is_shown_within_five_percent(figure: float) -> None:
    assert float(shown(figure).replace(",", "")) == pytest.approx(figure, rel=0.051)


@pytest.mark.parametrize(
    ("name", "version", "error"),
    [
        ("autovacuum_vacuum_scale_factor", 150000, None),
        ("AUTOVACUUM_ENABLED", 150000, None),
        ("toast.autovacuum_enabled", 150000, None),
        ("toast.autovacuum_analyze_threshold", 150000, "no storage parameter"),
        ("toast.fillfactor", 150000, "no storage parameter"),
        ("toast_tuple_target", 150000, "no storage parameter"),
        ("autovacuum_vacuum_insert_threshold", 120000, "came with PostgreSQL 13, and this is 12"),
        ("autovacuum_vacuum_max_threshold", 170000, "came with PostgreSQL 18, and this is 17"),
        ("autovacuum_vacuum_max_threshold", 180000, None),
    ],
)
def test_storage_parameter(name: str, version: int, error: str | None) -> None:
    if error is None:
        assert storage_parameter(name, version).name == name.lower()
    else:
        with pytest.raises(ValueError, match=error):
            storage_parameter(name, version)
