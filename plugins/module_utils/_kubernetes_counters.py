# SPDX-License-Identifier: GPL-3.0-or-later
"""How the pods of the wished workloads fared during a window."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils._counters import measure_window, window_arguments
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes import (
    connect,
    connection_argument,
)
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_autoscaling import autoscaler_of, cpu_of
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_pods import is_guaranteed, is_ready, pods_of
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_reading import Reading
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_scrape import lags
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_wishes import key_of, read_wishes, wishes_arguments

ARGUMENT_SPEC: dict[str, Any] = {
    **connection_argument(),
    **wishes_arguments(),
    "scrape": {"type": "bool", "default": True},
    **window_arguments(),
}


_MOST_SCRAPED = 5  # pods of each workload, since a measurement is not to load what it measures


def measure(options: Mapping[str, Any], _check_mode: bool) -> dict[str, Any]:
    """Read the pods, or give the figures of the window; see ``measure_window``.

    :raises TuningError: when the cluster cannot be reached, or the user may not list its pods.
    """
    return measure_window(options, lambda: _read(options), figures)


def _read(options: Mapping[str, Any]) -> dict[str, Any]:
    wishes = read_wishes(options)
    pods: dict[str, dict[str, Any]] = {}
    lag: list[float] = []
    utilization: list[int] = []
    with connect(options["connection"]) as cluster:
        reading = Reading(cluster)
        reading.read_workloads(wishes)
        for wish in wishes:
            workload = reading.workloads.get(key_of(wish))
            mine = pods_of(workload, reading.all("Pod", wish["namespace"])) if workload else []
            pods |= {pod["metadata"]["uid"]: _fared(pod) for pod in mine}
            if wish["autoscaling"]:
                found = autoscaler_of(wish, reading.all("HorizontalPodAutoscaler", wish["namespace"]))
                utilization += _utilization(found or {})
            if options["scrape"] and wish["event_loop_monitor"]:
                lag += [each for each in lags(cluster, wish, mine[:_MOST_SCRAPED]).values() if isinstance(each, float)]
    return {"at": time.time(), "pods": pods, "lag": max(lag, default=None), "cpu": max(utilization, default=None)}


def _fared(pod: Mapping[str, Any]) -> dict[str, Any]:
    status = pod["status"]
    containers = [each for key in ("initContainerStatuses", "containerStatuses") for each in status.get(key, ())]
    ended = [state["terminated"] for each in containers for state in (each.get("lastState", {}),) if "terminated" in state]
    return {
        "ready": is_ready(pod),
        "guaranteed": is_guaranteed(pod),
        "restarts": sum(each.get("restartCount", 0) for each in containers),
        "oom_kills": sorted(str(each.get("finishedAt")) for each in ended if each.get("reason") == "OOMKilled"),
    }


def _utilization(autoscaler: Mapping[str, Any]) -> list[int]:
    """Of the CPU requests in percent, as the autoscaler saw it last."""
    current = (autoscaler.get("status") or {}).get("currentMetrics") or ()
    found = (cpu["current"].get("averageUtilization") for cpu in map(cpu_of, current) if cpu)
    return [int(percent) for percent in found if percent is not None]


def figures(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of the window between two readings; null where there was nothing to measure."""
    before, after = first["pods"], second["pods"]
    new: dict[str, Any] = {"restarts": 0, "oom_kills": []}
    return {
        "window_seconds": round(second["at"] - first["at"], 1),
        "pods": len(after),
        "ready_pods": sum(pod["ready"] for pod in after.values()),
        "guaranteed_pods": sum(pod["guaranteed"] for pod in after.values()),
        # A pod that has come since began with none.
        "container_restarts": sum(max(0, pod["restarts"] - before.get(uid, new)["restarts"]) for uid, pod in after.items()),
        "oom_kills": sum(len({*pod["oom_kills"]} - {*before.get(uid, new)["oom_kills"]}) for uid, pod in after.items()),
        "cpu_utilization_percent": second["cpu"],
        "event_loop_lag_p99_ms": second["lag"],
    }
