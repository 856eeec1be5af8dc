# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans: the scans of whole tables in them, and the index that would do instead. No server is asked here."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_sql import conditions, sort_columns

# Nodes that hand their rows on in the order in which they get them, or whose order a Sort below them made.
_PASSING = frozenset({"Gather", "Gather Merge"})
# The planner's guess for a range whose bounds are not known, and for the length of such a list.
_RANGE_SELECTIVITY = 1 / 3
_LIST_LENGTH = 10
# An index row: header and line pointer, on pages that are nine tenths full.
_ENTRY_BYTES = 12
_FILL = 0.9
_ALIGNMENT = 8
_IDENTIFIER_LENGTH = 63


@dataclass(frozen=True)
class Scan:
    """A scan of a whole table; ``cost`` is in the planner's units, ``sort`` the keys its rows are sorted by at once."""

    schema: str
    table: str
    condition: str
    cost: float
    sort: tuple[str, ...] = ()


@dataclass(frozen=True)
class Candidate:
    """An index that may help: the columns compared with values, then one with a range, else those of the sort."""

    equality: tuple[str, ...]
    range: str | None = None
    sort: tuple[str, ...] = ()
    lists: int = 0  # how many of the equalities are with any of a list

    @property
    def columns(self) -> list[str]:
        """As the index takes them."""
        return [*self.equality, *([self.range] if self.range else []), *self.sort]


def sequential_scans(plan: Mapping[str, Any], sort: Sequence[str] = ()) -> Iterator[Scan]:
    """The scans of whole tables in a plan of EXPLAIN (VERBOSE, FORMAT JSON)."""
    kind = plan["Node Type"]
    if kind == "Seq Scan":
        condition = plan.get("Filter", "")
        yield Scan(plan["Schema"], plan["Relation Name"], condition, plan["Total Cost"], tuple(sort))
    handed = plan["Sort Key"] if kind == "Sort" else sort if kind in _PASSING else ()
    for child in plan.get("Plans", ()):
        yield from sequential_scans(child, handed)


def uses_index(plan: Mapping[str, Any], name: str) -> bool:
    """Whether a plan reads the index."""
    return plan.get("Index Name") == name or any(uses_index(child, name) for child in plan.get("Plans", ()))


def candidate(scan: Scan, columns: Mapping[str, Mapping[str, Any]]) -> Candidate | None:
    """The index for a scan's condition; None without a condition that an index answers.

    :param columns: the table's by name, each with its ``type``.
    """
    found = [
        condition
        for condition in conditions(scan.condition)
        if condition.column in columns and not (condition.as_text and columns[condition.column]["type"] != "varchar")
    ]
    equality = tuple(dict.fromkeys(condition.column for condition in found if condition.equality))
    ranges = [condition.column for condition in found if not condition.equality and condition.column not in equality]
    if not equality and not ranges:
        return None
    lists = len({condition.column for condition in found if condition.many})
    sort = [] if ranges or lists else sort_columns(scan.sort)
    # A column that is compared with one value has it in every row: it orders nothing.
    kept = [key for key in sort if key.removesuffix(" desc") not in equality]
    known = all(key.removesuffix(" desc") in columns for key in kept)
    return Candidate(equality, ranges[0] if ranges else None, tuple(kept) if known else (), lists)


def is_served(wanted: Candidate, indexes: Sequence[Sequence[str | None]]) -> bool:
    """Whether an index that stands begins with the columns of the condition; each is given by its columns in order."""
    leading: set[str | None] = {*wanted.equality} or {wanted.range}
    return any(set(index[: len(leading)]) == leading for index in indexes)


def rows_found(wanted: Candidate, columns: Mapping[str, Mapping[str, Any]], rows: float) -> float | None:
    """How many rows the index would find, by the statistics of its columns; None where a column has none.

    :param columns: by name with ``n_distinct`` as pg_stats has it: a number, or less than 0 the share of the rows.
    """
    share: float = float(_LIST_LENGTH) ** wanted.lists * (_RANGE_SELECTIVITY if wanted.range else 1.0)
    for name in wanted.equality:
        distinct = columns[name]["n_distinct"]
        if not distinct:
            return None
        share /= max(1.0, distinct if distinct > 0 else -distinct * rows)
    return max(1.0, min(1.0, share) * rows)


def index_scan_cost(found: float, pages: float, costs: Mapping[str, float]) -> float:
    """What reading rows through an index costs, in the planner's units: a page of the table for each, at random."""
    descent = 2 * costs["random_page_cost"]
    return (
        descent
        + min(found, pages) * costs["random_page_cost"]
        + found * (costs["cpu_tuple_cost"] + costs["cpu_index_tuple_cost"])
    )


def index_bytes(wanted: Candidate, columns: Mapping[str, Mapping[str, Any]], rows: float) -> int:
    """About how large the index would be."""
    width = sum(columns[name.removesuffix(" desc")]["width"] or _ALIGNMENT for name in wanted.columns)
    entry = _ENTRY_BYTES + math.ceil(width / _ALIGNMENT) * _ALIGNMENT
    return round(rows * entry / _FILL)


def index_name(table: str, wanted: Candidate) -> str:
    """A name as PostgreSQL would choose it."""
    stem = "_".join([table, *(name.removesuffix(" desc") for name in wanted.columns)])
    return f"{stem[: _IDENTIFIER_LENGTH - len('_idx')]}_idx"


def merged(entries: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Indexes by name, less those that another of the same table begins with and so serves for."""
    return {
        name: dict(entry)
        for name, entry in entries.items()
        if not any(
            other["table"] == entry["table"]
            and len(other["columns"]) > len(entry["columns"])
            and other["columns"][: len(entry["columns"])] == entry["columns"]
            for other in entries.values()
        )
    }
