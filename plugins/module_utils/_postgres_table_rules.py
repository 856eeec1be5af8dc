# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rule chooses a table, by its figures, and why. No I/O.

A table stays chosen until its rows fall below half of the rule's, or the rule goes: one near the threshold would otherwise
change sides at every run, and one with few dead rows has them because the rule works.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError

_FIGURES = {"rows": "rows", "dead_rows": "dead rows", "writes_per_second": "rows written per second"}
RULES_ARGUMENT: dict[str, Any] = {
    "type": "list",
    "elements": "dict",
    "default": [],
    "options": {
        "name": {"type": "str", "required": True},
        "databases": {"type": "list", "elements": "str"},
        "rows": {"type": "float"},
        "dead_rows": {"type": "float"},
        "writes_per_second": {"type": "float"},
        "settings": {"type": "dict", "required": True},
    },
    "required_one_of": [list(_FIGURES)],
}


@dataclass(frozen=True)
class Choice:
    """The rule that chose a table, the storage parameters it asks for, and the reason in a few words."""

    rule: str
    settings: Mapping[str, Any]
    reason: str


def check_rules(rules: Sequence[Mapping[str, Any]]) -> None:
    """:raises TuningError: when two rules have one name, by which a table's rule is remembered."""
    names = [rule["name"] for rule in rules]
    for name in names:
        if names.count(name) > 1:
            raise TuningError(f"postgres_table_rules: two rules are named {name}; rename one of them")


def choose(
    rules: Sequence[Mapping[str, Any]], database: str, figures: Mapping[str, float], chosen_by: str | None
) -> Choice | None:
    """The first rule that the figures (rows, dead_rows, writes_per_second) reach, or that chose the table before."""
    for rule in rules:
        if rule["databases"] is not None and database not in rule["databases"]:
            continue
        limits = {name: rule[name] for name in _FIGURES if rule[name] is not None}
        if all(figures[name] >= limit for name, limit in limits.items()):
            reason = ", ".join(f"{shown(figures[name])} {_FIGURES[name]} of {limits[name]:,.10g}" for name in limits)
            return Choice(rule["name"], rule["settings"], f"rule {rule['name']}: {reason}")
        if chosen_by == rule["name"] and figures["rows"] >= limits.get("rows", 0) / 2:
            return Choice(rule["name"], rule["settings"], f"rule {rule['name']}: chosen by an earlier run")
    return None


def shown(figure: float) -> str:
    """A figure with two digits, so that a plan and the run after it say the same."""
    rounded = float(f"{figure:.2g}")
    return f"{rounded:,.0f}" if abs(rounded) >= 10 else f"{rounded:g}"  # noqa: PLR2004 - two digits
