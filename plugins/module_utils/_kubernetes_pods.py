# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods: which a label selector chooses, and how they are. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

GUARANTEED = "Guaranteed"  # the QoS class


def selects(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Whether a label selector matches; an empty one matches everything, and none matches nothing."""
    if selector is None:
        return False
    wanted = selector.get("matchLabels") or {}
    return wanted.items() <= labels.items() and all(_holds(each, labels) for each in selector.get("matchExpressions") or ())


def _holds(requirement: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, operator, values = requirement["key"], requirement["operator"], requirement.get("values") or ()
    if operator in {"Exists", "DoesNotExist"}:
        return bool((key in labels) == (operator == "Exists"))
    return bool((labels.get(key) in values) == (operator == "In"))


def pods_of(workload: Mapping[str, Any], pods: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that the workload selects and that are not being deleted."""
    selector = workload["spec"]["selector"]
    return [
        pod
        for pod in pods
        if not pod["metadata"].get("deletionTimestamp") and selects(selector, pod["metadata"].get("labels", {}))
    ]


def is_ready(pod: Mapping[str, Any]) -> bool:
    """Whether the pod says that it can serve."""
    conditions = pod["status"].get("conditions", ())
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def is_guaranteed(pod: Mapping[str, Any]) -> bool:
    """Whether the pod says that it has that QoS class."""
    return bool(pod["status"].get("qosClass") == GUARANTEED)
