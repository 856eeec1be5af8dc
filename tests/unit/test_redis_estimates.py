# SPDX-License-Identifier: GPL-3.0-or-later
"""From a sample to the whole, and from JSON to a hash."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from ansible_collections.leadgen.tuning.plugins.module_utils._redis_estimates import total_of
from ansible_collections.leadgen.tuning.plugins.module_utils._redis_objects import (
    Limits,
    fields_of,
    hash_size,
    patterns_of,
    size_class,
)
from hypothesis import given
from hypothesis import strategies as st


@given(values=st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=200))
def test_the_whole_has_no_doubt(values: list[int]) -> None:
    found = total_of([float(value) for value in values], len(values))
    assert found.value == pytest.approx(sum(values))
    if len(values) > 1:
        assert (found.low, found.high) == (pytest.approx(sum(values)), pytest.approx(sum(values)))


@given(values=st.lists(st.integers(-1000, 1000), min_size=2, max_size=50), more=st.integers(0, 10**6))
def test_the_estimate_lies_between_its_limits(values: list[int], more: int) -> None:
    found = total_of([float(value) for value in values], len(values) + more)
    assert found.low <= found.value <= found.high


def test_the_truth_lies_between_the_limits_in_95_of_100() -> None:
    chance = random.Random(7)  # noqa: S311 - the same populations every time
    held = 0
    for _round in range(1000):
        population = [chance.choice((0.0, 0.0, chance.gauss(300, 80))) for _key in range(3000)]
        found = total_of(chance.sample(population, 300), len(population))
        held += found.low <= sum(population) <= found.high
    assert 930 <= held <= 970


def test_nothing_is_no_sample() -> None:
    assert total_of([], 0).value == 0
    with pytest.raises(ValueError, match="nothing to judge by"):
        total_of([], 10)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": 1, "b": "x"}', ({"a": "1", "b": "x"}, False)),
        ('  {"a": true, "b": null, "c": 1.50}', ({"a": "true", "b": "null", "c": "1.50"}, False)),
        ('{"a": 1e2, "b": -0.0}', ({"a": "1e2", "b": "-0.0"}, False)),
        ('{"a": "\\ud800"}', None),
        ('{"a": {"b": [1, 2]}}', ({"a": '{"b":[1,2]}'}, True)),
        ("{}", None),
        ("[1]", None),
        ('{"a": ', None),
        ("{not json}", None),
        ('{"a":' + "[" * 8000, None),
        ("7", None),
        ("", None),
    ],
)
def test_fields_of(text: str, expected: Any) -> None:
    assert fields_of(text) == expected


@pytest.mark.parametrize(
    ("key", "pattern"),
    [
        ("lead:1234", "lead:*"),
        ("session:5f2c1a9b7e:cart", "session:*:cart"),
        ("user:123e4567-e89b-12d3-a456-426614174000", "user:*"),
        ("user:alice.smith@example.com:cart", "user:*:cart"),
        ("config", "config"),
        ("feedback", "feedback"),
    ],
)
def test_a_pattern_has_no_ids(key: str, pattern: str) -> None:
    assert patterns_of([key]) == {key: pattern}


def test_a_part_of_many_spellings_is_an_id() -> None:
    names = [f"user:{first}{last}:cart" for first in "abcdefgh" for last in "xyz"]
    assert set(patterns_of([*names, "page:home", "page:about"]).values()) == {"user:*:cart", "page:home", "page:about"}


@given(size=st.integers(1, 1 << 24))
def test_a_size_class_holds_it_and_wastes_no_more_than_a_fifth(size: int) -> None:
    given_size = size_class(size)
    assert size <= given_size <= max(16, size * 1.25 + 16)
    assert size_class(given_size) == given_size


@given(values=st.dictionaries(st.text(max_size=20), st.integers() | st.text(max_size=60), min_size=1, max_size=40))
def test_a_hash_in_a_listpack_is_never_larger_than_as_a_table(values: dict[str, Any]) -> None:
    found = fields_of(json.dumps(values))
    assert found is not None
    fields, _nested = found
    assert hash_size(fields, Limits(512, 4096)) <= hash_size(fields, Limits(0, 0))
