# SPDX-License-Identifier: GPL-3.0-or-later
"""Argo Rollouts, whose definition gives the lists of a pod no keys. Their controller is played by the test."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes import collection

from retune.sandbox.processes import poll
from tests.integration.kubernetes_server import Cluster
from tests.integration.workloads import Object, apply, container, failure, get, place, tune, wish, workload

ANY: Object = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
# As Argo's own has it where it matters: containers are a list without keys, and volumes are anything.
POD: Object = {
    "type": "object",
    "properties": {
        "containers": {"type": "array", "items": ANY},
        "initContainers": {"type": "array", "items": ANY},
        "volumes": {"x-kubernetes-preserve-unknown-fields": True},
    },
    "x-kubernetes-preserve-unknown-fields": True,
}
TEMPLATE: Object = {"type": "object", "properties": {"metadata": ANY, "spec": POD}}
SPEC: Object = {**ANY, "properties": {"template": TEMPLATE, "replicas": {"type": "integer"}}}
DEFINITION: Object = {
    "metadata": {"name": "rollouts.argoproj.io"},
    "spec": {
        "group": "argoproj.io",
        "names": {"kind": "Rollout", "plural": "rollouts"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1alpha1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": SPEC, "status": ANY}}},
            }
        ],
    },
}


@pytest.fixture(scope="module", autouse=True)
def definition(cluster: Cluster) -> Iterator[None]:
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    cluster.create(path, DEFINITION)
    assert poll(lambda: cluster.request("GET", "/apis/argoproj.io/v1alpha1/rollouts")[0] == 200, 30)
    yield
    cluster.request("DELETE", f"{path}/rollouts.argoproj.io")


@contextlib.contextmanager
def controller(cluster: Cluster, space: str, phase: str) -> Iterator[None]:
    """Says of each generation that it is in the phase."""
    over = threading.Event()

    def say() -> None:
        while not over.wait(0.05):
            for each in cluster.request("GET", collection("Rollout", space))[1]["items"]:
                status = {"observedGeneration": str(each["metadata"]["generation"]), "phase": phase, "message": "said so"}
                if each.get("status") != status:
                    path = f"{place('Rollout', space, each['metadata']['name'])}/status"
                    cluster.request("PATCH", path, {"status": status}, "application/merge-patch+json")

    thread = threading.Thread(target=say)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def a_rollout(space: str) -> Object:
    made = workload(space, container(env=[{"name": "PORT", "value": "3000"}]), container("proxy"), kind="Rollout")
    made["apiVersion"] = "argoproj.io/v1alpha1"
    made["spec"]["strategy"] = {"canary": {"maxSurge": 1, "maxUnavailable": 0}}
    return made


def asked(space: str, **options: Any) -> Object:
    return wish(
        space,
        kind="Rollout",
        node_containers=["api"],
        event_loop_monitor={},
        resources={"api": {"cpu": "500m", "memory": "512Mi"}},
        readiness_probes={"api": {"path": "/ready", "port": 3000}},
        autoscaling={"min_replicas": 1, "max_replicas": 4},
        **options,
    )


def test_apply_changes_what_the_plan_lists_and_then_nothing(cluster: Cluster, namespace: str) -> None:
    apply(cluster, a_rollout(namespace))
    error = failure(lambda: tune(cluster, asked(namespace), check=True))
    assert "Helm owns containers; " in str(error)
    taken = asked(namespace, take=["containers"])
    plan = tune(cluster, taken, check=True)
    with controller(cluster, namespace, "Healthy"):
        assert tune(cluster, taken) == plan
        assert tune(cluster, taken)["changed"] is False
    api, proxy = get(cluster, "Rollout", namespace, "lead-api")["spec"]["template"]["spec"]["containers"]
    # What was there and is not ours is there still.
    assert (api["image"], proxy) == ("registry.example/api:1", container("proxy"))
    assert [entry["name"] for entry in api["env"]] == ["PORT", "NODE_OPTIONS"]
    assert api["resources"]["requests"] == {"cpu": "500m", "memory": "512Mi"}
    target = get(cluster, "HorizontalPodAutoscaler", namespace, "lead-api")["spec"]["scaleTargetRef"]
    assert target == {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "lead-api"}


def test_one_that_is_degraded_gets_its_former_fields_back(cluster: Cluster, namespace: str) -> None:
    made = apply(cluster, a_rollout(namespace))
    with controller(cluster, namespace, "Degraded"):
        error = failure(lambda: tune(cluster, asked(namespace, take=["containers"])))
    assert "the rollout is degraded (said so); the former fields were applied again" in str(error)
    assert get(cluster, "Rollout", namespace, "lead-api")["spec"]["template"]["spec"] == made["spec"]["template"]["spec"]


def test_one_of_a_deployments_pods_is_an_error(cluster: Cluster, namespace: str) -> None:
    made = a_rollout(namespace)
    made["spec"].pop("template")
    apply(cluster, made)
    assert "workloadRef" in str(failure(lambda: tune(cluster, asked(namespace), check=True)))
