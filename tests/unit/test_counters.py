# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures are of the window between two readings, and null where it gave nothing to judge by."""

from __future__ import annotations

import math
from typing import Any

import pytest
from ansible_collections.leadgen.tuning.plugins.module_utils import _postgres_counters, _redis_counters
from ansible_collections.leadgen.tuning.plugins.module_utils._counters import (
    deltas,
    per_second,
    ratio,
    weighted_percentile,
)
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ({}, {}, {}),
        ({"a": 1.0}, {"a": 4.0}, {"a": 3.0}),
        ({"a": 1.0, "b": 2.0}, {"a": 1.0, "b": 2.5}, {"a": 0.0, "b": 0.5}),
        ({"a": 1.0}, {"a": 0.0}, None),
        ({"a": 1.0, "b": 2.0}, {"a": 9.0, "b": 1.0}, None),
        ({"a": 1.0, "gone": 2.0}, {"a": 2.0, "new": 5.0}, {"a": 1.0}),
    ],
)
def test_deltas(first: dict[str, float], second: dict[str, float], expected: dict[str, float] | None) -> None:
    assert deltas(first, second) == expected


@pytest.mark.parametrize(
    ("part", "whole", "expected"),
    [(0, 0, None), (5, 0, None), (0, 5, 0.0), (5, 5, 1.0), (1, 3, 0.3333), (2, 3, 0.6667)],
)
def test_ratio(part: float, whole: float, expected: float | None) -> None:
    assert ratio(part, whole) == expected


@pytest.mark.parametrize(
    ("count", "seconds", "expected"), [(10, 4, 2.5), (1, 3, 0.33), (0, 3, 0.0), (10, 0, 0.0), (10, -1, 0.0)]
)
def test_per_second(count: float, seconds: float, expected: float) -> None:
    assert per_second(count, seconds) == expected


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([], 0.95, None),
        ([(1.0, 0.0)], 0.95, None),
        ([(7.0, 1.0)], 0.95, 7.0),
        ([(1.0, 95.0), (100.0, 5.0)], 0.95, 1.0),
        ([(1.0, 94.0), (100.0, 6.0)], 0.95, 100.0),
        ([(100.0, 5.0), (1.0, 95.0)], 0.95, 1.0),
        ([(3.0, 1.0), (1.0, 1.0), (2.0, 1.0), (4.0, 1.0)], 0.5, 2.0),
        ([(3.0, 1.0), (1.0, 1.0)], 1.0, 3.0),
        ([(1.0, 1.0), (9.0, 0.0)], 1.0, 1.0),
    ],
)
def test_weighted_percentile(values: list[tuple[float, float]], share: float, expected: float | None) -> None:
    assert weighted_percentile(values, share) == expected


PAIRS = st.lists(st.tuples(st.floats(0, 1e6), st.floats(1e-3, 1e6)), min_size=1)
SHARES = st.floats(0.01, 1.0)


@given(values=PAIRS, share=SHARES)
def test_percentile_holds_its_share(values: list[tuple[float, float]], share: float) -> None:
    found = weighted_percentile(values, share)
    assert found in {value for value, _weight in values}
    total = math.fsum(weight for _value, weight in values)
    assert found is not None
    assert math.fsum(weight for value, weight in values if value <= found) >= share * total * (1 - 1e-9)
    # It is the smallest: what lies below it does not reach the share.
    assert math.fsum(weight for value, weight in values if value < found) <= share * total * (1 + 1e-9)


@given(values=PAIRS, one=SHARES, other=SHARES)
def test_percentile_is_monotone(values: list[tuple[float, float]], one: float, other: float) -> None:
    low, high = (weighted_percentile(values, share) for share in sorted((one, other)))
    assert low is not None
    assert high is not None
    assert low <= high


@given(values=PAIRS, share=SHARES, data=st.data())
def test_percentile_has_no_order(values: list[tuple[float, float]], share: float, data: st.DataObject) -> None:
    assert weighted_percentile(data.draw(st.permutations(values)), share) == weighted_percentile(values, share)


TOTALS = {"commits": 1000.0, "rollbacks": 10.0, "blocks_hit": 5000.0, "blocks_read": 500.0}


def postgres(
    at: float, statements: dict[str, list[float]] | None, dead: float = 0.0, live: float = 0.0, **grown: float
) -> dict[str, Any]:
    """A reading of PostgreSQL: TOTALS and what was added to them."""
    totals = {name: value + grown.get(name, 0.0) for name, value in TOTALS.items()}
    return {"at": at, "totals": totals, "statements": statements, "dead_rows": dead, "live_rows": live}


def test_postgres_figures() -> None:
    first = postgres(100.0, {"1": [1000.0, 5000.0], "2": [10.0, 10.0]}, dead=5.0, live=5.0)
    # 95 calls of 1 ms, 4 of 10 ms, 1 of 100 ms, which is a statement that was not there before
    second = postgres(
        110.04,
        {"1": [1095.0, 5095.0], "2": [14.0, 50.0], "3": [1.0, 100.0]},
        dead=30.0,
        live=70.0,
        commits=1004.0,
        rollbacks=0.0,
        blocks_hit=99.0,
        blocks_read=1.0,
    )
    assert _postgres_counters.figures(first, second) == {
        "window_seconds": 10.0,
        "commits_per_second": 100.0,
        "rollbacks_per_second": 0.0,
        "cache_hit_ratio": 0.99,
        "dead_rows": 30,
        "dead_row_ratio": 0.3,
        "statement_mean_ms": 2.35,
        "statement_p95_ms": 1.0,
    }


NULL_STATEMENTS = {"statement_mean_ms": None, "statement_p95_ms": None}


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        # the extension came during the window: its totals are of longer than that
        (None, {"1": [10.0, 10.0]}, NULL_STATEMENTS),
        ({"1": [10.0, 10.0]}, None, NULL_STATEMENTS),
        (None, None, NULL_STATEMENTS),
        ({}, {}, NULL_STATEMENTS),
        # nothing was called
        ({"1": [10.0, 10.0]}, {"1": [10.0, 10.0]}, NULL_STATEMENTS),
        # reset in the window
        ({"1": [10.0, 10.0]}, {"1": [2.0, 4.0]}, NULL_STATEMENTS),
        ({"1": [10.0, 10.0]}, {"1": [12.0, 4.0]}, NULL_STATEMENTS),
        # one was forgotten, the other goes on
        ({"1": [10.0, 10.0], "2": [1.0, 1.0]}, {"2": [3.0, 9.0]}, {"statement_mean_ms": 4.0, "statement_p95_ms": 4.0}),
        # it was empty and no longer is
        ({}, {"1": [2.0, 3.0]}, {"statement_mean_ms": 1.5, "statement_p95_ms": 1.5}),
    ],
)
def test_statement_figures(
    first: dict[str, list[float]] | None, second: dict[str, list[float]] | None, expected: dict[str, float | None]
) -> None:
    found = _postgres_counters.figures(postgres(0.0, first), postgres(10.0, second))
    assert {name: found[name] for name in expected} == expected


def test_postgres_restart_in_the_window() -> None:
    found = _postgres_counters.figures(postgres(0.0, None), postgres(10.0, None, dead=3.0, live=1.0, commits=-999.0))
    assert found == {
        "window_seconds": 10.0,
        "commits_per_second": None,
        "rollbacks_per_second": None,
        "cache_hit_ratio": None,
        "dead_rows": 3,
        "dead_row_ratio": 0.75,
        **NULL_STATEMENTS,
    }


def test_postgres_idle_window() -> None:
    found = _postgres_counters.figures(postgres(0.0, {}), postgres(10.0, {}))
    assert found["commits_per_second"] == 0.0
    assert found["cache_hit_ratio"] is None
    assert found["dead_row_ratio"] is None


def redis(
    commands: float,
    hits: float,
    misses: float,
    evicted: float,
    memory: int = 1,
    latencies: list[tuple[int, int]] | None = None,
    delayed: float = 0.0,
) -> dict[str, Any]:
    """A reading of Redis, ten seconds after the first."""
    totals = {
        "total_commands_processed": commands,
        "keyspace_hits": hits,
        "keyspace_misses": misses,
        "evicted_keys": evicted,
        "expired_keys": 2 * evicted,
        "aof_delayed_fsync": delayed,
    }
    return {
        "at": 10.0,
        "totals": totals,
        "latencies": latencies,
        "used_memory": memory,
        "fragmentation": 1.2,
        "fork": 1500,
    }


FIRST = redis(100.0, 100.0, 10.0, 5.0, latencies=[(1, 100), (8, 10)])
NOTHING = (None, None, None)


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        (
            redis(600.0, 130.0, 20.0, 15.0, 4096, [(1, 590), (8, 19), (264, 11)]),
            (10.0, 50.0, 0.75, 1.0, 2.0, 0.001, 0.264, 0.264, 0.0, 4096),
        ),
        (redis(100.0, 100.0, 10.0, 5.0, 1, [(1, 100), (8, 10)], 3.0), (10.0, 0.0, None, 0.0, 0.0, *NOTHING, 3.0, 1)),
        # restarted: every counter began again
        (redis(50.0, 40.0, 1.0, 0.0, 77, [(1, 50)]), (10.0, None, None, None, None, *NOTHING, None, 77)),
        # CONFIG RESETSTAT: one of them has fallen
        (redis(600.0, 130.0, 20.0, 0.0, latencies=[(1, 150), (8, 9)]), (10.0, None, None, None, None, *NOTHING, None, 1)),
        # no LATENCY HISTOGRAM
        (redis(600.0, 130.0, 20.0, 15.0), (10.0, 50.0, 0.75, 1.0, 2.0, *NOTHING, 0.0, 1)),
    ],
)
def test_redis_figures(second: dict[str, Any], expected: tuple[float | None, ...]) -> None:
    found = _redis_counters.figures({**FIRST, "at": 0.0}, second)
    names = (
        "window_seconds",
        "operations_per_second",
        "hit_ratio",
        "evictions_per_second",
        "expired_per_second",
        "latency_p50_ms",
        "latency_p99_ms",
        "latency_p999_ms",
        "delayed_fsyncs",
        "used_memory_bytes",
    )
    assert found == {**dict(zip(names, expected, strict=True)), "last_fork_ms": 1.5, "fragmentation_ratio": 1.2}


def test_calls_by_latency() -> None:
    answer = [
        "set", ["calls", 5, "histogram_usec", [1, 2, 8, 4, 16, 5]],
        "config|get", ["calls", 9, "histogram_usec", [16, 9]],
        "get", ["calls", 3, "histogram_usec", [8, 3]],
    ]  # fmt: skip
    assert _redis_counters.calls_by_latency(answer) == [(1, 2), (8, 5), (16, 1)]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ([], {"7": 3.0, "8": 1.0}),
        (["8", "9", "none"], {"8": 1.0, "9": None, "none": None}),
    ],
)
def test_means_of_named_statements(wanted: list[str], expected: dict[str, float | None]) -> None:
    first = {"1/10/7": [10.0, 100.0], "1/11/7": [0.0, 0.0], "1/10/9": [5.0, 5.0]}
    second = {"1/10/7": [12.0, 104.0], "1/11/7": [1.0, 5.0], "1/10/8": [4.0, 4.0], "1/10/9": [5.0, 5.0]}
    assert _postgres_counters.statement_means(first, second, wanted, "0") == expected
    assert list(_postgres_counters.statement_means(first, second, wanted, "0")) == list(expected)
    assert _postgres_counters.statement_means(None, second, [], "0") == {}


def test_at_most_five_statements_are_named() -> None:
    second = {f"1/10/{number}": [1.0, float(number)] for number in range(9)}
    assert list(_postgres_counters.statement_means({}, second, [], "0")) == ["8", "7", "6", "5", "4"]


def test_our_own_readings_are_named_only_where_there_are_no_others() -> None:
    second = {"1/10/7": [1.0, 9.0], "1/11/8": [1.0, 1.0]}
    assert _postgres_counters.statement_means({}, second, [], "10") == {"8": 1.0}
    assert _postgres_counters.statement_means({}, {"1/10/7": [1.0, 9.0]}, [], "10") == {"7": 9.0}
