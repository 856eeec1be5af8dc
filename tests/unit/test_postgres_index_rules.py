# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of two indexes is superfluous, and which foreign key is served."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_index_rules import (
    ForeignKey,
    Index,
    Key,
    redundancy,
    redundant_indexes,
    serves,
    unused_indexes,
)
from hypothesis import given
from hypothesis import strategies as st


def index(*columns: int | str, oid: int = 1, **fields: Any) -> Index:
    return Index(oid=oid, table=1, name=f"i{oid}", keys=tuple(Key(column) for column in columns), **fields)


@pytest.mark.parametrize(
    ("one", "other", "kind"),
    [
        (index(1), index(1, oid=2), "duplicate"),
        (index(1), index(1, 2, oid=2), "overlapping"),
        (index(1, 2), index(1, oid=2), None),
        (index(2), index(1, 2, oid=2), None),
        (index("lower(a)"), index("lower(a)", 2, oid=2), "overlapping"),
        (index(1, predicate="a > 1"), index(1, oid=2), None),
        (index(1, method="hash"), index(1, 2, oid=2, method="hash"), None),
        (index(1, method="gin"), index(1, oid=2, method="gin"), "duplicate"),
        (index(1, included=frozenset({3})), index(1, 2, oid=2), None),
        (index(1, included=frozenset({2})), index(1, 2, oid=2), "overlapping"),
        (index(1), index(1, oid=2, included=frozenset({3})), "overlapping"),
        (index(1), index(1, oid=2, unique=True), "duplicate"),
        (index(1, unique=True), index(1, oid=2), None),
        (index(1, unique=True), index(1, 2, oid=2, unique=True), None),
        (index(1, unique=True), index(1, oid=2, unique=True), "duplicate"),
        (index(1, unique=True), index(1, oid=2, unique=True, deferred=True), None),
        (index(1, unique=True), index(1, oid=2, unique=True, nulls_not_distinct=True), None),
        (index(1, pinned=True), index(1, oid=2), None),
        (index(1), index(1, oid=2, valid=False), None),
    ],
)
def test_redundancy(one: Index, other: Index, kind: str | None) -> None:
    assert redundancy(one, other) == kind


INDEXES = st.builds(
    lambda oid, columns, unique, pinned: index(*columns, oid=oid, unique=unique, pinned=pinned),
    st.integers(1, 50),
    st.lists(st.integers(1, 3), min_size=1, max_size=3, unique=True),
    st.booleans(),
    st.booleans(),
)


@given(INDEXES, INDEXES)
def test_overlap_is_one_way_and_none_is_its_own_duplicate(one: Index, other: Index) -> None:
    assert redundancy(one, one) is None
    if redundancy(one, other) == "overlapping":
        assert redundancy(other, one) is None


@given(st.lists(INDEXES, max_size=12, unique_by=lambda one: one.oid))
def test_what_is_dropped_is_served_by_what_stays(indexes: list[Index]) -> None:
    found = list(redundant_indexes(indexes))
    dropped = {one.dropped.oid for one in found}
    assert len(dropped) == len(found)
    assert not any(one.dropped.pinned for one in found)
    for one in found:
        assert one.kept.oid not in dropped
        assert redundancy(one.dropped, one.kept) == one.kind
    left = [each for each in indexes if each.oid not in dropped]
    assert not any(redundancy(each, other) for each in left for other in left)


@pytest.mark.parametrize(
    ("one", "columns", "served"),
    [
        (index(2, 1, 3), (1, 2), True),
        (index(1, 3, 2), (1, 2), False),
        (index(1, predicate="a > 1"), (1,), False),
        (index(1, method="gin"), (1,), False),
        (index(1, method="hash"), (1,), True),
        (index(1, valid=False), (1,), False),
    ],
)
def test_serves(one: Index, columns: tuple[int, ...], served: bool) -> None:
    assert serves(one, ForeignKey("k", 1, columns)) is served


def test_what_is_scanned_anywhere_or_needed_is_not_unused() -> None:
    indexes = [index(1), index(2, oid=2, scans=1), index(3, oid=3), index(4, oid=4, unique=True), index(5, oid=5)]
    assert unused_indexes(indexes, {"i3": 1}, [ForeignKey("k", 1, (5,))]) == [indexes[0]]
