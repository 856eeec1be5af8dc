# SPDX-License-Identifier: GPL-3.0-or-later
"""What LimitRanges and ResourceQuotas admit; tests/integration compares the same with the server's own admission."""

from typing import Any

import pytest
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_limits import (
    claim,
    refused_by_quotas,
    refused_by_ranges,
    surge_of,
    unavailable_of,
)


def container(name: str, **resources: dict[str, str]) -> dict[str, Any]:
    return {"name": name, "resources": resources}


def same(cpu: str, memory: str) -> dict[str, dict[str, str]]:
    return {"requests": {"cpu": cpu, "memory": memory}, "limits": {"cpu": cpu, "memory": memory}}


def a_range(kind: str, **limits: dict[str, str]) -> list[dict[str, Any]]:
    return [{"metadata": {"name": "range"}, "spec": {"limits": [{"type": kind, **limits}]}}]


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        (a_range("Container", max={"cpu": "1"}), ""),
        (a_range("Container", max={"cpu": "400m"}), "container api has the cpu limit 0.5, and at most 400m is allowed"),
        (
            a_range("Container", min={"memory": "129Mi"}),
            "container proxy requests memory 128Mi, and at least 129Mi is required",
        ),
        (a_range("Pod", max={"memory": "600Mi"}), "the pod has the memory limit 640Mi, and at most 600Mi is allowed"),
        (a_range("Pod", max={"memory": "640Mi"}), ""),
        (a_range("Container", maxLimitRequestRatio={"cpu": "1"}), ""),
        (a_range("PersistentVolumeClaim", max={"storage": "1Gi"}), ""),
    ],
)
def test_a_limit_range(ranges: list[dict[str, Any]], expected: str) -> None:
    spec = {"containers": [container("api", **same("0.5", "512Mi")), container("proxy", **same("100m", "128Mi"))]}
    assert "; ".join(refused_by_ranges(spec, ranges)) == (f"LimitRange range: {expected}" if expected else "")


def test_init_containers_run_one_after_another_and_sidecars_go_on() -> None:
    sidecar = {**container("mesh", **same("100m", "100Mi")), "restartPolicy": "Always"}
    spec = {
        "initContainers": [container("migrate", **same("2", "100Mi")), sidecar, container("warm", **same("1", "100Mi"))],
        "containers": [container("api", **same("500m", "100Mi"))],
    }
    # 2 for the first alone, 1.1 for the third beside the sidecar, 0.6 in the end.
    assert refused_by_ranges(spec, a_range("Pod", max={"cpu": "2"})) == []
    assert refused_by_ranges(spec, a_range("Pod", max={"cpu": "1999m"}))


def quota(hard: str, used: str, key: str = "requests.cpu") -> list[dict[str, Any]]:
    return [
        {"metadata": {"name": "quota"}, "spec": {"hard": {key: hard}}, "status": {"hard": {key: hard}, "used": {key: used}}}
    ]


@pytest.mark.parametrize(
    ("hard", "unavailable", "refused"),
    [
        ("6", 0, False),  # four at 1 and the first at 1.5, then all four at 1.5
        ("5.5", 0, True),  # there is no room for four at 1.5
        ("6", 1, False),
        ("5900m", 4, True),  # however many may be gone
    ],
)
def test_a_quota_needs_room_for_all_and_for_the_first(hard: str, unavailable: int, refused: bool) -> None:
    before = {"containers": [container("api", **same("1", "1Gi"))]}
    after = {"containers": [container("api", **same("1.5", "1Gi"))]}
    assert bool(refused_by_quotas(before, after, 4, unavailable, quota(hard, "4"))) is refused


def test_a_quota_without_room_for_the_first_is_no_hindrance_where_a_former_pod_goes_first() -> None:
    before, after = ({"containers": [container("api", **same(cpu, "1Gi"))]} for cpu in ("1", "1010m"))
    assert refused_by_quotas(before, after, 1, 0, quota("1.5", "1"))
    assert not refused_by_quotas(before, after, 1, 1, quota("1.5", "1"))


def test_what_one_workload_takes_the_next_one_has_not() -> None:
    before, after = ({"containers": [container("api", **same(cpu, "1Gi"))]} for cpu in ("1", "1.5"))
    quotas = quota("5.5", "4")
    assert not refused_by_quotas(before, after, 2, 1, quotas)
    claim(before, after, 2, quotas)
    assert refused_by_quotas(before, after, 2, 1, quotas)


def test_lower_requests_are_admitted_where_a_former_pod_makes_room() -> None:
    before, after = ({"containers": [container("api", **same(cpu, "1Gi"))]} for cpu in ("1", "500m"))
    assert not refused_by_quotas(before, after, 4, 1, quota("3.5", "4"))
    assert refused_by_quotas(before, after, 4, 0, quota("4", "4"))
    assert not refused_by_quotas(before, after, 0, 0, quota("3", "4"))


@pytest.mark.parametrize(
    ("strategy", "pods", "unavailable", "surge"),
    [
        ({}, 2, 0, 1),
        ({}, 10, 2, 3),
        ({"rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}}, 3, 1, 0),
        ({"rollingUpdate": {"maxUnavailable": "0%", "maxSurge": "0%"}}, 3, 1, 0),
        ({"type": "Recreate"}, 3, 3, 0),
    ],
)
def test_the_strategy_rounds_as_the_server_does(strategy: dict[str, Any], pods: int, unavailable: int, surge: int) -> None:
    workload = {"kind": "Deployment", "spec": {"strategy": strategy}}
    assert (unavailable_of(workload, pods), surge_of(workload, pods)) == (unavailable, surge)
