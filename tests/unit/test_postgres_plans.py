# SPDX-License-Identifier: GPL-3.0-or-later
"""Conditions and sort keys as the parser reads them, scans in plans, and the index that would do instead."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.leadgen.tuning.plugins.module_utils import _postgres_plans as plans
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_plans import Candidate, Scan
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_sql import (
    Condition,
    conditions,
    sort_columns,
    why_not_one_query,
)
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_statements import is_catalog, is_query, n_plus_one

A = Condition("a", True)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("(t.a = $1)", [A]),
        ("($1 = t.a)", [A]),
        ("((t.a = $1) AND (t.b > 5))", [A, Condition("b", False)]),
        ("((t.a = $1) AND (now() <= t.b))", [A, Condition("b", False)]),
        ("(t.a = ANY ($1))", [Condition("a", True, many=True)]),
        ("((t.a)::text = $1)", [Condition("a", True, as_text=True)]),
        ("((t.a = $1) OR (t.b = $2))", []),
        ("((t.a % 7) = $1)", []),
        ("(t.a = t.b)", []),
        ("((t.a)::double precision > random())", []),
        ("(t.a <> $1)", []),
        ("(t.a ~~ $1)", []),
        ("(NOT t.a)", []),
        ("(hashed SubPlan 1)", []),
    ],
)
def test_conditions(text: str, found: list[Condition]) -> None:
    assert conditions(text) == found


@pytest.mark.parametrize(
    ("keys", "columns"),
    [
        ([], []),
        (["t.a"], ["a"]),
        (["t.a DESC", "t.b DESC"], ["a", "b"]),
        (["t.a", "t.b DESC"], ["a", "b desc"]),
        (["t.a DESC NULLS LAST"], []),
        (["(lower(t.a))"], []),
        (['t.a COLLATE "C"'], []),
    ],
)
def test_sort_columns(keys: list[str], columns: list[str]) -> None:
    assert sort_columns(keys) == columns


@pytest.mark.parametrize(
    ("text", "explained"),
    [
        ("select 1", True),
        ("with x as (select $1) select * from x;", True),
        ("insert into t values ($1)", True),
        ("update t set a = $1", True),
        ("delete from t", True),
        ("select 1; drop table t", False),
        ("select 1 into t", False),
        ("explain analyze delete from t", False),
        ("analyze delete from t", False),
        ("commit", False),
        ("copy t from program 'x'", False),
        ("select from where", False),
    ],
)
def test_only_a_single_query_is_explained(text: str, explained: bool) -> None:
    assert (why_not_one_query(text) == "") is explained


@pytest.mark.parametrize(
    ("text", "query", "catalog"),
    [
        ("/* a */ -- b\n (select 1)", True, False),
        ("alter role x password 'y'", False, False),
        ("select * from pg_stat_activity", True, True),
        ("select pg_advisory_lock($1)", True, False),
    ],
)
def test_which_statements_are_an_applications(text: str, query: bool, catalog: bool) -> None:
    assert (is_query(text), is_catalog(text)) == (query, catalog)


@pytest.mark.parametrize(
    ("text", "calls", "rows", "all_calls", "verdict"),
    [
        ("select a from t where id = $1", 1000, 1000, 10000, True),
        ("select a from t where id = $1", 1000, 0, 10000, True),
        ("select a from t where id = $1", 999, 999, 1000, False),
        ("select a from t where id = $1", 1000, 1000, 10001, False),
        ("select a from t where id = $1", 1000, 2000, 1000, False),
        ("update t set a = $1 where id = $2", 1000, 1000, 1000, False),
    ],
)
def test_n_plus_one(text: str, calls: int, rows: int, all_calls: int, verdict: bool) -> None:
    assert n_plus_one(text, calls, rows, all_calls) is verdict


def node(kind: str, *children: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"Node Type": kind, "Total Cost": 100.0, "Plans": list(children), **more}


def seq_scan(condition: str = "(t.a = $1)") -> dict[str, Any]:
    return node("Seq Scan", **{"Schema": "public", "Relation Name": "t", "Filter": condition})


@pytest.mark.parametrize(
    ("plan", "sorts"),
    [
        (seq_scan(), [()]),
        (node("Sort", seq_scan(), **{"Sort Key": ["t.b"]}), [("t.b",)]),
        (node("Limit", node("Gather Merge", node("Sort", seq_scan(), **{"Sort Key": ["t.b"]}))), [("t.b",)]),
        (node("Sort", node("Gather", seq_scan()), **{"Sort Key": ["t.b"]}), [("t.b",)]),
        (node("Sort", node("Hash Join", seq_scan(), node("Hash", seq_scan())), **{"Sort Key": ["t.b"]}), [(), ()]),
        (node("Index Scan", **{"Index Name": "i"}), []),
    ],
)
def test_scans_and_what_sorts_their_rows(plan: dict[str, Any], sorts: list[tuple[str, ...]]) -> None:
    assert [scan.sort for scan in plans.sequential_scans(plan)] == sorts


COLUMNS: dict[str, dict[str, Any]] = {
    "a": {"type": "int8", "n_distinct": 500, "width": 8},
    "b": {"type": "timestamptz", "n_distinct": -1, "width": 8},
    "c": {"type": "varchar", "n_distinct": -0.5, "width": 5},
    "d": {"type": "int4", "n_distinct": None, "width": None},
}


@pytest.mark.parametrize(
    ("condition", "sort", "wanted"),
    [
        ("(t.a = $1)", (), ["a"]),
        ("(t.a = $1)", ("t.b DESC",), ["a", "b"]),
        ("(t.a = $1)", ("t.a", "t.b"), ["a", "b"]),
        ("((t.b > $1) AND (t.a = $2))", ("t.c",), ["a", "b"]),
        ("((t.b > $1) AND (t.d > $2))", (), ["b"]),
        ("((t.b > $1) AND (t.b < $2))", (), ["b"]),
        ("(t.a = ANY ($1))", ("t.b",), ["a"]),
        ("((t.c)::text = $1)", (), ["c"]),
        ("((t.a)::text = $1)", (), None),
        ("((t.a % 2) = $1)", ("t.b",), None),
        ("(t.nowhere = $1)", (), None),
    ],
)
def test_candidates(condition: str, sort: tuple[str, ...], wanted: list[str] | None) -> None:
    found = plans.candidate(Scan("public", "t", condition, 100.0, sort), COLUMNS)
    assert (found and found.columns) == wanted


@pytest.mark.parametrize(
    ("wanted", "indexes", "served"),
    [
        (Candidate(("a",)), [["a"]], True),
        (Candidate(("a",), None, ("b",)), [["a"]], True),
        (Candidate(("a", "b")), [["b", "a", "c"]], True),
        (Candidate(("a", "b")), [["a"]], False),
        (Candidate(("a",)), [["b", "a"], [None, "a"]], False),
        (Candidate((), "b"), [["b"]], True),
        (Candidate(("a",)), [], False),
    ],
)
def test_an_index_that_stands_serves(wanted: Candidate, indexes: list[list[str | None]], served: bool) -> None:
    assert plans.is_served(wanted, indexes) is served


@pytest.mark.parametrize(
    ("wanted", "rows"),
    [
        (Candidate(("a",)), 200.0),
        (Candidate(("b",)), 1.0),
        (Candidate(("a", "c")), 1.0),
        (Candidate(("a",), "b"), pytest.approx(66.67, abs=0.01)),
        (Candidate(("a",), lists=1), 2000.0),
        (Candidate((), "b"), pytest.approx(33333.3, abs=0.1)),
        (Candidate(("d",)), None),
    ],
)
def test_rows_that_an_index_finds(wanted: Candidate, rows: float | None) -> None:
    assert plans.rows_found(wanted, COLUMNS, 100_000) == rows


def test_cost_and_size() -> None:
    costs = {"random_page_cost": 4.0, "cpu_tuple_cost": 0.01, "cpu_index_tuple_cost": 0.005}
    assert plans.index_scan_cost(200, 1000, costs) == pytest.approx(8 + 800 + 3)
    assert plans.index_scan_cost(2000, 1000, costs) == pytest.approx(8 + 4000 + 30)
    assert plans.index_bytes(Candidate(("a",)), COLUMNS, 90_000) == 2_000_000
    assert plans.index_bytes(Candidate(("c",), None, ("b desc",)), COLUMNS, 90_000) == 2_800_000


def test_names_and_what_is_served_by_another() -> None:
    assert plans.index_name("t", Candidate(("a",), None, ("b desc",))) == "t_a_b_idx"
    assert len(plans.index_name("t" * 63, Candidate(("a",)))) == 63
    entries = {
        "one": {"table": "public.t", "columns": ["a"]},
        "two": {"table": "public.t", "columns": ["a", "b"]},
        "three": {"table": "public.u", "columns": ["a"]},
    }
    assert list(plans.merged(entries)) == ["two", "three"]
