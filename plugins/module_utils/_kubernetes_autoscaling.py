# SPDX-License-Identifier: GPL-3.0-or-later
"""What the autoscaler and the disruption budget of a workload have to be. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes import APIS
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_fields import managers_of
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_pods import selects

AUTOSCALING = "kubernetes.autoscaling"
_SOURCES = {"Resource": "resource", "ContainerResource": "containerResource"}
# Up at once, since a burst of leads does not wait; down slowly, so that the next burst finds the pods still there.
BEHAVIOR: dict[str, Any] = {
    "scaleUp": {
        "stabilizationWindowSeconds": 0,
        "selectPolicy": "Max",
        "policies": [
            {"type": "Percent", "value": 100, "periodSeconds": 60},
            {"type": "Pods", "value": 4, "periodSeconds": 60},
        ],
    },
    "scaleDown": {
        "stabilizationWindowSeconds": 300,
        "selectPolicy": "Max",
        "policies": [{"type": "Percent", "value": 25, "periodSeconds": 60}],
    },
}


def autoscaler_of(wish: Mapping[str, Any], present: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The autoscaler that scales the workload, whatever its name; None when none does."""
    for found in present:
        target = found["spec"]["scaleTargetRef"]
        if (target.get("kind"), target.get("name")) == (wish["kind"], wish["name"]):
            return found
    return None


def budget_of(labels: Mapping[str, str], present: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The disruption budget whose selector matches the pods' labels; None when none does."""
    return next((found for found in present if selects(found["spec"].get("selector"), labels)), None)


def wanted_autoscaler(wish: Mapping[str, Any], live: Mapping[str, Any] | None) -> dict[str, Any]:
    """The object to be applied. Metrics of other kinds that are there stay, so memory alone becomes memory and CPU."""
    wished = wish["autoscaling"]
    target = {"type": "Utilization", "averageUtilization": wished["cpu_percent"]}
    cpu: dict[str, Any] = {"type": "Resource", "resource": {"name": "cpu", "target": target}}
    metrics = [_with_target(metric, target) for metric in live["spec"].get("metrics", ())] if live else []
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {
            "namespace": wish["namespace"],
            "name": live["metadata"]["name"] if live else wished["name"] or wish["name"],
        },
        "spec": {
            "scaleTargetRef": {"apiVersion": APIS[wish["kind"]][0], "kind": wish["kind"], "name": wish["name"]},
            "minReplicas": wished["min_replicas"],
            "maxReplicas": wished["max_replicas"],
            "metrics": metrics if any(cpu_of(metric) for metric in metrics) else [cpu, *metrics],
            "behavior": {**BEHAVIOR, **(wished["behavior"] or {})},
        },
    }


def cpu_of(metric: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What a metric says of the processor, of the pods or of one of their containers; None of another metric.

    In a spec that has ``target``, and in a status ``current``.
    """
    source = metric.get(_SOURCES.get(metric["type"], ""), {})
    return source if source.get("name") == "cpu" else None


def _with_target(metric: Mapping[str, Any], target: Mapping[str, Any]) -> Mapping[str, Any]:
    cpu = cpu_of(metric)
    return metric if cpu is None else {**metric, _SOURCES[metric["type"]]: {**cpu, "target": target}}


def wanted_budget(wish: Mapping[str, Any], selector: Mapping[str, str], live: Mapping[str, Any] | None) -> dict[str, Any]:
    """The object to be applied; ``selector`` is the workload's own ``matchLabels``."""
    wished = wish["disruption_budget"]
    given = {"maxUnavailable": wished["max_unavailable"], "minAvailable": wished["min_available"]}
    spec: dict[str, Any] = {key: _int_or_percent(value) for key, value in given.items() if value is not None}
    spec |= {key: None for key in given if key not in spec}  # it has one of the two: the other has to go
    if live is None:
        spec["selector"] = {"matchLabels": dict(selector)}
    name = live["metadata"]["name"] if live else wished["name"] or wish["name"]
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"namespace": wish["namespace"], "name": name},
        "spec": spec,
    }


def _int_or_percent(value: Any) -> int | str:
    return int(value) if str(value).isdigit() else str(value)


def owner_of_replicas(workload: Mapping[str, Any]) -> list[str]:
    """The managers besides the autoscaler that set the workload's ``replicas``, and so take turns with it."""
    # The autoscaler writes through the subresource, as the controller manager or under its own name.
    ours = ("kube-controller-manager", "horizontal-pod-autoscaler")
    return [manager for manager in managers_of(workload, ("spec", "replicas")) if manager not in ours]
