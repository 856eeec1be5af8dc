# SPDX-License-Identifier: GPL-3.0-or-later
"""The audit and the measurements of workloads on a real API server; the lag is a real Node.js's, by the pod proxy."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import psutil
import pytest
from ansible_collections.leadgen.tuning.plugins.module_utils import _kubernetes_counters, _kubernetes_workload_audit
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes import collection

from retune.sandbox.processes import poll
from tests.integration.kubernetes_server import Cluster
from tests.integration.test_event_loop_monitor import application, eventually
from tests.integration.test_kubernetes_workload import EXEC_PROBE, shipped_rules
from tests.integration.workloads import Object, apply, container, failure, get, place, tune, wish, workload

BUSY = "console.log('ready'); setInterval(() => { const end = Date.now() + 200; while (Date.now() < end); }, 250)"
IDLE = "console.log('ready'); setInterval(() => {}, 1000)"
TUNED: Object = {
    "node_containers": ["api"],
    "guaranteed_qos": True,
    "readiness_probes": {"api": {"path": "/ready", "port": 3000}},
    "autoscaling": {"min_replicas": 1, "max_replicas": 4},
    "take": ["*"],
}


def audit(cluster: Cluster, *wishes: Object, kubeconfig: Path | None = None, **options: Any) -> dict[str, Object]:
    """The verdict of each control."""
    defaults = {name: about.get("default") for name, about in _kubernetes_workload_audit.ARGUMENT_SPEC.items()}
    connection = {"kubeconfig": str(kubeconfig or cluster.kubeconfig), "timeout": 30.0}
    found = _kubernetes_workload_audit.look(
        {**defaults, "connection": connection, "workloads": list(wishes), **options}, False
    )
    return {entry["control"]: entry for entry in found["audit"]}


def kinds(verdict: Object) -> list[str]:
    return [finding["kind"] for finding in verdict["findings"]]


def available(cluster: Cluster, space: str) -> None:
    assert poll(lambda: get(cluster, "Deployment", space, "lead-api").get("status", {}).get("availableReplicas") == 1, 30)


def test_what_a_chart_left_is_found_and_after_an_apply_it_passes(cluster: Cluster, namespace: str) -> None:
    same = {"readinessProbe": EXEC_PROBE, "livenessProbe": EXEC_PROBE}
    apply(cluster, workload(namespace, container(**same), container("proxy", readinessProbe={"tcpSocket": {"port": 1}})))
    available(cluster, namespace)
    asked = wish(namespace, **TUNED)
    found = audit(cluster, asked)
    assert {control: entry["verdict"] for control, entry in found.items()} == dict.fromkeys(found, "fail")
    assert kinds(found["kubernetes.guaranteed_qos"]) == ["not guaranteed"]
    assert "1 of 1 pods are Burstable: api, proxy" in str(found["kubernetes.guaranteed_qos"])
    assert kinds(found["kubernetes.readiness_probes"]) == ["probe opens a database"] * 2 + ["readiness is liveness"]
    assert kinds(found["kubernetes.autoscaling"]) == ["no autoscaler"]
    assert kinds(found["node.heap_limit"]) == ["no heap limit"]
    live = {"httpGet": {"path": "/alive", "port": 3000}}
    proxy = container("proxy", readinessProbe={"tcpSocket": {"port": 1}})
    apply(cluster, workload(namespace, container(livenessProbe=live), proxy, replicas=None))
    tune(cluster, asked)
    passed = audit(cluster, asked)
    figures = {
        "kubernetes.autoscaling": 70,
        "kubernetes.guaranteed_qos": 1,
        "kubernetes.readiness_probes": 0,
        "node.heap_limit": 0.75,
    }
    assert {control: (entry["verdict"], entry["figure"]) for control, entry in passed.items()} == {
        control: ("pass", figure) for control, figure in figures.items()
    }


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"metrics": [("cpu", 80)]}, ["autoscaler acts late"]),
        ({"metrics": [("cpu", 72)]}, []),
        ({"metrics": [("memory", 70)]}, ["memory alone"]),
        ({"metrics": [("memory", 70), ("cpu", 60)]}, []),
        ({"metrics": [("cpu", 70)], "maxReplicas": 1}, ["autoscaler without room"]),
    ],
)
def test_autoscalers(cluster: Cluster, namespace: str, spec: Object, expected: list[str]) -> None:
    apply(cluster, workload(namespace, replicas=None))
    metrics = [
        {"type": "Resource", "resource": {"name": name, "target": {"type": "Utilization", "averageUtilization": percent}}}
        for name, percent in spec["metrics"]
    ]
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "lead-api"}
    body = {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 3, **spec, "metrics": metrics}
    metadata = {"namespace": namespace, "name": "any"}
    apply(cluster, {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": metadata, "spec": body})
    found = audit(cluster, wish(namespace, autoscaling={"min_replicas": 1, "max_replicas": 3}))
    assert kinds(found["kubernetes.autoscaling"]) == expected


def test_a_budget_that_lets_no_pod_go(cluster: Cluster, namespace: str) -> None:
    apply(cluster, workload(namespace))
    metadata = {"namespace": namespace, "name": "any"}
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "lead-api"}}}
    apply(cluster, {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": metadata, "spec": spec})
    assert poll(lambda: get(cluster, "PodDisruptionBudget", namespace, "any").get("status", {}).get("expectedPods") == 1, 30)
    found = audit(cluster, wish(namespace, autoscaling={"min_replicas": 1, "max_replicas": 3}))
    assert "budget never satisfied" in kinds(found["kubernetes.autoscaling"])


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ("--max-old-space-size=384", ""),
        ("--max-old-space-size=350", ""),
        ("--max-old-space-size=300", "heap off its limit"),
        ("--max-old-space-size=400", "heap off its limit"),
        ("--max-old-space-size-percentage=60", "heap by another flag"),
    ],
)
def test_heaps(cluster: Cluster, namespace: str, options: str, kind: str) -> None:
    apply(cluster, workload(namespace, container(env=[{"name": "NODE_OPTIONS", "value": options}])))
    found = audit(cluster, wish(namespace, node_containers=["api"]))["node.heap_limit"]
    assert kinds(found) == ([kind] if kind else [])


# The lag


def own_address() -> str:
    """An address of this machine that is not loopback, to which the API server refuses to go."""
    for addresses in psutil.net_if_addrs().values():
        for each in addresses:
            if each.family == socket.AF_INET and not each.address.startswith(("127.", "169.254.")):
                return str(each.address)
    pytest.skip("this machine has no address but loopback, which the API server's proxy refuses")


def put_pods_here(cluster: Cluster, space: str) -> None:
    """Have the pods' own address be that of this machine, where the test's application answers."""
    address = own_address()
    _status, pods = cluster.request("GET", collection("Pod", space))
    for pod in pods["items"]:
        status = {"podIP": address, "podIPs": [{"ip": address}]}
        path = f"{place('Pod', space, pod['metadata']['name'])}/status"
        assert cluster.request("PATCH", path, {"status": status}, "application/merge-patch+json")[0] == 200


@pytest.mark.parametrize(("source", "verdict"), [(IDLE, "pass"), (BUSY, "fail")], ids=["idle", "busy"])
def test_the_lag_is_what_the_monitor_in_the_pod_tells(
    cluster: Cluster, namespace: str, tmp_path: Path, source: str, verdict: str
) -> None:
    apply(cluster, workload(namespace))
    available(cluster, namespace)
    put_pods_here(cluster, namespace)
    kubeconfig = cluster.service_account(namespace, "auditor", shipped_rules())
    with application(20, tmp_path, source, WINDOW_SECONDS="1") as running:
        asked = wish(namespace, node_containers=["api"], event_loop_monitor={"port": running.port})
        eventually(lambda: running.lag("p99") > (0.1 if source == BUSY else 0))
        found = audit(cluster, asked, kubeconfig=kubeconfig)
        measured = measure(cluster, asked)
    assert found["node.event_loop_monitoring"]["verdict"] == "pass"
    assert found["review.event_loop_lag"]["verdict"] == verdict
    assert (found["review.event_loop_lag"]["figure"] >= 50) == (verdict == "fail")
    assert (measured["event_loop_lag_p99_ms"] >= 50) == (verdict == "fail")


def test_a_monitor_that_does_not_answer_is_unknown(cluster: Cluster, namespace: str) -> None:
    apply(cluster, workload(namespace))
    available(cluster, namespace)
    asked = wish(namespace, node_containers=["api"], event_loop_monitor={"port": 9})
    rules = [rule for rule in shipped_rules() if rule["resources"] != ["pods/proxy"]]
    forbidden = audit(cluster, asked, kubeconfig=cluster.service_account(namespace, "auditor", rules))
    put_pods_here(cluster, namespace)
    for found in (forbidden, audit(cluster, asked), audit(cluster, asked, scrape=False)):
        assert found["review.event_loop_lag"]["verdict"] == "unknown"
        assert found["node.event_loop_monitoring"]["verdict"] == "unknown"
    assert "pods/proxy" in forbidden["node.event_loop_monitoring"]["reason"]
    assert measure(cluster, asked)["event_loop_lag_p99_ms"] is None


# The window


def measure(cluster: Cluster, *wishes: Object, meanwhile: Any = None) -> Object:
    defaults = {name: about.get("default") for name, about in _kubernetes_counters.ARGUMENT_SPEC.items()}
    connection = {"kubeconfig": str(cluster.kubeconfig), "timeout": 30.0}
    options = {**defaults, "connection": connection, "workloads": list(wishes), "window": 0.0}
    first = _kubernetes_counters.measure(options, False)["counters"]
    if meanwhile:
        meanwhile()
    measured: Object = _kubernetes_counters.measure({**options, "since": first, "phase": "after"}, False)["measurements"]
    return measured


def test_restarts_and_kills_within_the_window(cluster: Cluster, namespace: str) -> None:
    apply(cluster, workload(namespace))
    available(cluster, namespace)
    (pod,) = cluster.request("GET", collection("Pod", namespace))[1]["items"]
    path = f"{place('Pod', namespace, pod['metadata']['name'])}/status"

    def restart(count: int) -> None:
        (status,) = pod["status"]["containerStatuses"]
        ended = {"exitCode": 137, "reason": "OOMKilled", "startedAt": None, "finishedAt": f"2026-01-01T00:00:0{count}Z"}
        statuses = [{**status, "restartCount": count, "lastState": {"terminated": ended}}]
        assert (
            cluster.request("PATCH", path, {"status": {"containerStatuses": statuses}}, "application/merge-patch+json")[0]
            == 200
        )

    asked = wish(namespace, autoscaling={"min_replicas": 1, "max_replicas": 2})
    restart(3)  # before the window
    found = measure(cluster, asked, meanwhile=lambda: restart(5))
    assert (found["container_restarts"], found["oom_kills"], found["pods"], found["ready_pods"]) == (2, 1, 1, 1)
    assert (found["guaranteed_pods"], found["cpu_utilization_percent"]) == (0, None)
    assert measure(cluster, asked)["container_restarts"] == 0


def test_a_user_who_may_not_list_pods(cluster: Cluster, namespace: str) -> None:
    apply(cluster, workload(namespace))
    rules = [rule for rule in shipped_rules() if "pods" not in rule["resources"]]
    kubeconfig = cluster.service_account(namespace, "auditor", rules)
    error = str(failure(lambda: audit(cluster, wish(namespace), kubeconfig=kubeconfig)))
    assert 'cannot list resource "pods"' in error
    assert "docs/kubernetes.md" in error
