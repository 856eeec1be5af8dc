# SPDX-License-Identifier: GPL-3.0-or-later
"""Which indexes are dead weight, and which are missing: decisions on what was read, apart from any server."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Key(NamedTuple):
    """One key of an index: its column's number, or the text of its expression; operator class and collation by oid."""

    column: int | str
    opclass: int = 0
    collation: int = 0
    option: int = 0  # descending, nulls first


@dataclass(frozen=True)
class Index:
    """One index as the catalogs describe it; ``scans`` are those of the server that was asked, size is in bytes."""

    oid: int
    table: int
    name: str
    keys: tuple[Key, ...]
    included: frozenset[int] = frozenset()
    method: str = "btree"
    predicate: str = ""
    unique: bool = False
    nulls_not_distinct: bool = False
    deferred: bool = False  # checked later than at once, so that no other index stands in for it
    pinned: bool = False  # behind a constraint, a replica identity or CLUSTER, or a part of a partitioned index
    valid: bool = True
    scans: int = 0
    size: int = 0


@dataclass(frozen=True)
class ForeignKey:
    """One foreign key: the referencing table and its columns by number."""

    name: str
    table: int
    columns: tuple[int, ...]


class Redundant(NamedTuple):
    """An index that another one serves for."""

    dropped: Index
    kept: Index
    kind: str  # duplicate or overlapping


def redundancy(index: Index, other: Index) -> str | None:
    """How ``other`` makes ``index`` superfluous: duplicate, overlapping, or None where it does not.

    A unique index is superfluous only beside a unique one of the very same keys, which goes on to enforce it.
    """
    if index.oid == other.oid or index.pinned or not (index.valid and other.valid):
        return None
    if (index.table, index.method, index.predicate) != (other.table, other.method, other.predicate):
        return None
    if index.keys == other.keys:
        if index.unique and not _enforces(other, index):
            return None
        if index.included == other.included:
            return "duplicate"
        return "overlapping" if index.included < other.included else None
    if index.unique or index.method != "btree" or index.keys != other.keys[: len(index.keys)]:
        return None
    holds = other.included | {key.column for key in other.keys}
    return "overlapping" if index.included <= holds else None


def _enforces(other: Index, index: Index) -> bool:
    return other.unique and not other.deferred and other.nulls_not_distinct == index.nulls_not_distinct


def redundant_indexes(indexes: Iterable[Index]) -> Iterator[Redundant]:
    """Each superfluous index once, with one that stays: of two equals the less used, and then the younger, goes."""
    by_table: dict[int, list[Index]] = {}
    for index in indexes:
        by_table.setdefault(index.table, []).append(index)
    for group in by_table.values():
        gone: set[int] = set()
        for index in sorted(group, key=_worth):
            for other in sorted(group, key=_worth, reverse=True):
                kind = None if other.oid in gone else redundancy(index, other)
                if kind:
                    gone.add(index.oid)
                    yield Redundant(index, other, kind)
                    break


def _worth(index: Index) -> tuple[int, int, int, int, int, int]:
    wide, included = len(index.keys), len(index.included)
    return (wide, included, index.pinned, index.unique, index.scans, -index.oid)


def unused_indexes(indexes: Sequence[Index], scans: dict[str, int], foreign_keys: Sequence[ForeignKey]) -> list[Index]:
    """Those that no server has scanned; ``scans`` are those of the replicas, by name.

    Unique and pinned ones are not weighed, nor one that alone serves a foreign key: without it every deletion in the
    referenced table would read the whole of this one.
    """
    by_table: dict[int, list[Index]] = {}
    for index in indexes:
        by_table.setdefault(index.table, []).append(index)
    found = []
    for index in indexes:
        if index.unique or index.pinned or not index.valid or index.scans or scans.get(index.name):
            continue
        others = [other for other in by_table[index.table] if other.oid != index.oid]
        needed = any(key.table == index.table and serves(index, key) and not covered(key, others) for key in foreign_keys)
        if not needed:
            found.append(index)
    return found


def serves(index: Index, key: ForeignKey) -> bool:
    """Whether the index finds rows by the key's columns: its leading ones, in any order, and no row left out."""
    leading = [one.column for one in index.keys[: len(key.columns)]]
    whole = index.method == "btree" or (index.method == "hash" and len(key.columns) == 1)
    return index.valid and whole and not index.predicate and set(leading) == set(key.columns)


def covered(key: ForeignKey, indexes: Iterable[Index]) -> bool:
    """Whether any of the indexes serves the foreign key."""
    return any(index.table == key.table and serves(index, key) for index in indexes)
