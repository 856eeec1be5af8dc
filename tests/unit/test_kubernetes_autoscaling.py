# SPDX-License-Identifier: GPL-3.0-or-later
"""Autoscalers and budgets that are there already, of other shapes than ours."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_autoscaling import (
    owner_of_replicas,
    wanted_autoscaler,
    wanted_budget,
)

LABELS = {"app": "lead-api", "tier": "web"}


def resource(name: str, percent: int) -> dict[str, Any]:
    return {"type": "Resource", "resource": {"name": name, "target": {"type": "Utilization", "averageUtilization": percent}}}


def of_container(percent: int) -> dict[str, Any]:
    target = {"type": "Utilization", "averageUtilization": percent}
    return {"type": "ContainerResource", "containerResource": {"name": "cpu", "container": "api", "target": target}}


PODS = {"type": "Pods", "pods": {"metric": {"name": "lag"}, "target": {"type": "AverageValue", "averageValue": "10"}}}


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        ([], [resource("cpu", 70)]),
        ([resource("memory", 80)], [resource("cpu", 70), resource("memory", 80)]),
        ([resource("memory", 80), resource("cpu", 90)], [resource("memory", 80), resource("cpu", 70)]),
        ([PODS], [resource("cpu", 70), PODS]),
        ([of_container(90)], [of_container(70)]),
    ],
)
def test_metrics_of_other_kinds_stay(metrics: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    scaling = {"name": None, "min_replicas": 1, "max_replicas": 3, "cpu_percent": 70, "behavior": None}
    wish = {"namespace": "leads", "name": "lead-api", "kind": "Deployment", "autoscaling": scaling}
    live = {"metadata": {"name": "of-the-chart"}, "spec": {"metrics": metrics}}
    wanted = wanted_autoscaler(wish, live)
    assert (wanted["metadata"]["name"], wanted["spec"]["metrics"]) == ("of-the-chart", expected)


def test_a_budget_keeps_its_selector_and_loses_its_other_limit() -> None:
    wish = {
        "namespace": "leads",
        "name": "lead-api",
        "disruption_budget": {"name": None, "max_unavailable": "25%", "min_available": None},
    }
    live = {"metadata": {"name": "of-the-chart"}, "spec": {"minAvailable": 1, "selector": {}}}
    assert wanted_budget(wish, LABELS, live)["spec"] == {"maxUnavailable": "25%", "minAvailable": None}
    assert wanted_budget(wish, LABELS, None)["spec"]["selector"] == {"matchLabels": LABELS}


def test_the_autoscalers_own_writes_are_nobody_elses() -> None:
    entries = [
        {"manager": manager, "fieldsV1": {"f:spec": {"f:replicas": {}}}} for manager in ("kube-controller-manager", "helm")
    ]
    assert owner_of_replicas({"metadata": {"managedFields": entries}}) == ["helm"]
