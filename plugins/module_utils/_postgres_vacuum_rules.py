# SPDX-License-Identifier: GPL-3.0-or-later
"""How much room rows and index entries need, and which figures are alarms: arithmetic apart from any server.

Sizes in pages and rows come from statistics, so that all bloat here is an estimate: no page is read.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

# PostgreSQL documentation, "Database Page Layout" and "B-Tree Indexes".
_PAGE_HEADER, _ITEM_POINTER, _ROW_HEADER, _ENTRY_HEADER, _BTREE_SPECIAL = 24, 4, 23, 8, 16
_ALIGNMENT = {"c": 1, "s": 2, "i": 4, "d": 8}
# An entry with a list of rows grows to a third of a page at most (btree deduplication, PostgreSQL 13).
_POSTING, _POSTING_SHARE = 6, 3
# The server refuses new transactions about 3 million before identifiers wrap around.
WRAPAROUND = 2**31 - 3_000_000


class Column(NamedTuple):
    """Of a column's statistics: mean width in bytes, share of nulls, alignment as in pg_attribute, distinct values."""

    width: float
    null_share: float = 0.0
    align: str = "i"
    varies: bool = False
    distinct: float = -1.0  # negative: a share of the rows, as in pg_stats


def _aligned(size: float, to: int = 8) -> float:
    return math.ceil(size / to) * to


def data_bytes(columns: Sequence[Column]) -> float:
    """Mean bytes of the columns in their order, with the padding between them; short values that vary have none."""
    size = 0.0
    for column in columns:
        present = 1 - column.null_share
        to = 1 if column.varies and column.width < 127 else _ALIGNMENT[column.align]  # noqa: PLR2004 - the one-byte header
        size += (_aligned(size, to) - size) * present + column.width * present
    return size


def table_pages(rows: float, columns: Sequence[Column], fillfactor: int, block: int) -> int:
    """Pages that the rows would fill if the table were written anew."""
    nulls = math.ceil(len(columns) / 8) if any(column.null_share for column in columns) else 0
    row = _aligned(_ROW_HEADER + nulls) + _aligned(data_bytes(columns)) + _ITEM_POINTER
    # A row that is wider than the room that the fill factor leaves has a page to itself.
    a_page = max(math.floor((block - _PAGE_HEADER) * fillfactor / 100 / row), 1)
    return math.ceil(max(rows, 0) / a_page)


def btree_pages(rows: float, keys: Sequence[Column], fillfactor: int, block: int, unique: bool) -> int:
    """Pages that a btree index over the rows would fill if it were built anew, equal keys sharing their entries."""
    rows = max(rows, 0)
    entry = _aligned(_ENTRY_HEADER + (8 if any(key.null_share for key in keys) else 0) + data_bytes(keys))
    usable = (block - _PAGE_HEADER - _BTREE_SPECIAL) * fillfactor / 100
    distinct = rows if unique else min(math.prod(max(_distinct(key, rows), 1) for key in keys), rows)
    same = rows / distinct if distinct else 1.0
    per_row = entry + _ITEM_POINTER
    if same > 1:
        shared = max(min(same, (block / _POSTING_SHARE - entry) / _POSTING), 1)
        per_row = min(per_row, (entry + _ITEM_POINTER) / shared + _POSTING)
    leaves = math.ceil(rows * per_row / usable)
    return 1 + leaves + math.ceil(leaves * (entry + _ITEM_POINTER) / usable)


def _distinct(key: Column, rows: float) -> float:
    return -key.distinct * rows if key.distinct < 0 else key.distinct or rows


def bloat_ratio(pages: float, needed: float) -> float:
    """The share of the pages that would not be there if they were written anew, 0 to 1."""
    return round(max(1 - needed / pages, 0), 4) if pages > 0 else 0.0


def too_old(age: int, freeze_limit: int, max_freeze_ratio: float, max_wraparound_ratio: float) -> str:
    """Why an age in transactions or multixacts is an alarm; empty where it is none."""
    if age >= WRAPAROUND * max_wraparound_ratio:
        return f"its age of {age:,} is {age / WRAPAROUND:.0%} of the way to where the server stops taking writes"
    if age >= freeze_limit * max_freeze_ratio:
        return f"its age of {age:,} is {age / freeze_limit:.1f} times the limit at which autovacuum has to freeze it"
    return ""
