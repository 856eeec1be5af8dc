# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pods a workload selects."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_pods import pods_of, selects

LABELS = {"app": "lead-api", "tier": "web"}


def requirement(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        (None, False),
        ({}, True),
        ({"matchLabels": {"app": "lead-api"}}, True),
        ({"matchLabels": {"app": "lead-api", "x": "y"}}, False),
        (requirement("app", "In", "lead-api", "other"), True),
        (requirement("app", "In", "other"), False),
        (requirement("app", "NotIn", "other"), True),
        (requirement("none", "NotIn", "other"), True),
        (requirement("tier", "Exists"), True),
        (requirement("tier", "DoesNotExist"), False),
        ({"matchLabels": {"app": "lead-api"}, **requirement("tier", "NotIn", "web")}, False),
    ],
)
def test_a_selector(selector: dict[str, Any] | None, expected: bool) -> None:
    assert selects(selector, LABELS) is expected


def test_the_pods_of_a_workload_are_those_that_its_whole_selector_matches() -> None:
    def pod(name: str, **more: Any) -> dict[str, Any]:
        return {"metadata": {"name": name, "labels": {"app": name}, **more}}

    workload = {"spec": {"selector": requirement("app", "In", "lead-api")}}
    mine = pod("lead-api")
    assert pods_of(workload, [mine, pod("other"), pod("lead-api", deletionTimestamp="2026-01-01T00:00:00Z")]) == [mine]
