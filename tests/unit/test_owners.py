# SPDX-License-Identifier: GPL-3.0-or-later
"""Which control owns a setting, and which controls a run is for."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.leadgen.tuning.plugins.module_utils._owners import owner_of, owners, select
from ansible_collections.leadgen.tuning.plugins.plugin_utils._record import by_owner
from ansible_collections.leadgen.tuning.plugins.plugin_utils._service import selected

CONTROLS = {"a.vacuum": ["autovacuum", "autovacuum_*"], "a.other": ["*"]}


@pytest.mark.parametrize(
    ("name", "owner"),
    [("autovacuum", "a.vacuum"), ("AutoVacuum_NapTime", "a.vacuum"), ("autovacuumx", "a.other"), ("work_mem", "a.other")],
)
def test_the_first_pattern_that_matches_owns_the_name(name: str, owner: str) -> None:
    assert owner_of(name, CONTROLS) == owner


def test_a_name_that_no_pattern_matches_has_no_owner() -> None:
    assert owner_of("work_mem", {"a.vacuum": ["autovacuum*"]}) is None
    assert owners(["work_mem", "autovacuum"], {"a.vacuum": ["autovacuum*"]}) == {"autovacuum": "a.vacuum"}


@pytest.mark.parametrize(
    ("only", "expected"),
    [
        (None, {"autovacuum": True, "work_mem": 1}),
        (["a.vacuum"], {"autovacuum": True}),
        (["a.other"], {"work_mem": 1}),
        ([], {}),
    ],
)
def test_select(only: list[str] | None, expected: dict[str, Any]) -> None:
    assert select({"settings": {"autovacuum": True, "work_mem": 1}, "controls": CONTROLS, "only": only}) == expected


@pytest.mark.parametrize(
    ("run_tags", "expected"),
    [
        (["all"], ["a.vacuum", "a.other"]),
        (["a.vacuum"], ["a.vacuum"]),
        (["a.other", "a.vacuum"], ["a.vacuum", "a.other"]),
        (["always"], ["a.vacuum", "a.other"]),
    ],
)
def test_selected_follows_the_tags(run_tags: list[str], expected: list[str]) -> None:
    assert selected(["a.vacuum", "a.other"], run_tags) == expected


def test_a_result_is_parted_among_its_owners() -> None:
    result = {
        "changed": True,
        "diff": {"before": {"x": "1", "y": "2", "z": "3"}, "after": {"x": "4", "y": "5", "z": "6"}},
        "needs": {"y": "restart"},
        "owners": {"x": "a.vacuum", "y": "a.other", "w": "a.other"},
        "pending_restart": ["w", "y"],
        "warnings": ["beware"],
    }
    nothing: dict[str, Any] = {"needs": {}, "pending_restart": [], "warnings": []}
    assert by_owner(["a.other", "a.vacuum"], result) == {
        ("a.vacuum",): {**nothing, "changed": True, "before": {"x": "1"}, "after": {"x": "4"}},
        ("a.other",): {
            "changed": True,
            "before": {"y": "2"},
            "after": {"y": "5"},
            "needs": {"y": "restart"},
            "pending_restart": ["w", "y"],
            "warnings": [],
        },
        ("a.other", "a.vacuum"): {
            **nothing,
            "changed": True,
            "before": {"z": "3"},
            "after": {"z": "6"},
            "warnings": ["beware"],
        },
    }
