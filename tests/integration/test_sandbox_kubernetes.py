# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox's Kubernetes: it starts, rolls out, refuses what a role lacks, and leaves nothing behind."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from kubernetes import client, config

from retune.sandbox import DEFAULT, Sandbox, SandboxError, envtest, processes, state
from retune.sandbox.kube_api import Api
from retune.sandbox.kubernetes import PODS, Kubernetes
from retune.sandbox.pods import NEVER_READY
from tests.integration.kubernetes_server import Cluster

SECONDS = 30
READ_DEPLOYMENTS = {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "list"]}

needs_programs = pytest.mark.skipif(
    bool(Kubernetes.missing()), reason="needs the API server of Kubernetes: run 'make envtest'"
)


def left_over(sandbox: Sandbox) -> list[psutil.Process]:
    """The service's processes; of other users too."""
    place, found = str(sandbox.directory.resolve()), []
    for process in psutil.process_iter():
        try:
            command = process.cmdline()
            if (process.name() in envtest.PROGRAMS or PODS in command) and place in f"{command} {process.cwd()}":
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    made = Sandbox(tmp_path / ".sandbox", tmp_path / "inventory")
    yield made
    made.down()


def up(sandbox: Sandbox) -> Api:
    """The administrator's way to the server."""
    sandbox.up(services=("kubernetes",))
    hosts = yaml.safe_load(sandbox.hosts_file.read_text(encoding="utf-8"))["all"]["children"]
    connection = hosts["kubernetes"]["hosts"]["sandbox-kubernetes"]["kubernetes_connection"]
    return Api(Path(connection["kubeconfig"]))


def deployment(name: str, replicas: int = 2, *, ready: bool = True) -> dict[str, Any]:
    labels, annotations = {"app": name}, {} if ready else {NEVER_READY: "true"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "progressDeadlineSeconds": SECONDS if ready else 1,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels, "annotations": annotations},
                "spec": {"containers": [{"name": "api", "image": "registry.example/api:1"}]},
            },
        },
    }


def condition(cluster: Cluster, namespace: str, name: str, kind: str) -> tuple[str, str]:
    """Status and reason of a condition of the Deployment."""
    _, found = cluster.request("GET", f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}")
    known = {each["type"]: (each["status"], each["reason"]) for each in found["status"].get("conditions", ())}
    return known.get(kind, ("", ""))


def phases(cluster: Cluster, namespace: str) -> list[str]:
    _, pods = cluster.request("GET", f"/api/v1/namespaces/{namespace}/pods")
    return [each["status"]["phase"] for each in pods["items"]]


@needs_programs
def test_up_status_and_down(sandbox: Sandbox) -> None:
    api = up(sandbox)
    status = sandbox.status()["kubernetes"]
    assert status["ready"]
    assert status["endpoint"].startswith("127.0.0.1:")
    assert {process.uids().real for process in left_over(sandbox) if process.name() in envtest.PROGRAMS} == {
        processes.service_account().uid
    }
    started = time.monotonic()
    up(sandbox)
    assert time.monotonic() - started < 2
    assert sandbox.status()["kubernetes"] == status
    assert api.request("GET", "/version")[1]["gitVersion"].startswith("v1.")

    assert len(left_over(sandbox)) == len(envtest.PROGRAMS) + 1
    home = sandbox.directory.resolve()
    sandbox.down()
    assert left_over(sandbox) == []
    assert not home.exists()
    assert sandbox.status() == {}


@needs_programs
def test_the_platform_is_there_and_untuned(sandbox: Sandbox) -> None:
    api = up(sandbox)
    place = "/apis/apps/v1/namespaces/leads/deployments"
    _, found = api.request("GET", place)
    ready = {each["metadata"]["name"]: each["status"]["readyReplicas"] for each in found["items"]}
    assert ready == {"lead-api": 2, "quote-worker": 1}
    _, lead_api = api.request("GET", f"{place}/lead-api")
    assert {"helm"} <= {each["manager"] for each in lead_api["metadata"]["managedFields"] if "subresource" not in each}
    container = lead_api["spec"]["template"]["spec"]["containers"][0]
    assert container["resources"] == {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}}
    assert not {"readinessProbe", "livenessProbe"} & container.keys()
    assert api.request("GET", "/api/v1/namespaces/leads/services/lead-api")[0] == 200


@needs_programs
def test_keys_are_private(sandbox: Sandbox) -> None:
    up(sandbox)
    home = sandbox.directory.resolve()
    for folder, owner in (("kubernetes-clients", os.geteuid()), ("kubernetes", processes.service_account().uid)):
        assert (home / folder).stat().st_mode & 0o777 == 0o700
        entries = [home / folder, *(home / folder).iterdir()]
        assert {path.stat().st_uid for path in entries} == {owner}
        assert not any(path.stat().st_mode & 0o077 for path in entries)


@needs_programs
@pytest.mark.parametrize("name", ["etcd", "kube-controller-manager", "python"])
def test_a_program_that_ended_is_told_and_comes_back(sandbox: Sandbox, name: str) -> None:
    api = up(sandbox)
    api.request("POST", "/api/v1/namespaces", {"metadata": {"name": "kept"}})
    next(process for process in left_over(sandbox) if process.name().startswith(name)).kill()
    assert processes.poll(lambda: not sandbox.status()["kubernetes"]["ready"], SECONDS)
    assert up(sandbox).request("GET", "/api/v1/namespaces/kept")[0] == 200
    assert sandbox.status()["kubernetes"]["ready"]


@needs_programs
def test_a_sandbox_that_is_older_than_the_service(sandbox: Sandbox) -> None:
    sandbox.up(services=("redis",), keys=10)
    known = state.load(sandbox.directory.resolve())
    assert known
    del known.ports["kubernetes"]
    known.save()
    assert set(sandbox.status()) == {"redis"}
    up(sandbox)
    assert {name for name, each in sandbox.status().items() if each["ready"]} == {"redis", "kubernetes"}


def test_it_is_started_only_when_asked_for() -> None:
    assert "kubernetes" not in DEFAULT


def test_missing_programs_are_told_with_what_makes_them(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(envtest, "binaries", lambda: None)
    with pytest.raises(SandboxError) as caught:
        up(sandbox)
    assert str(caught.value) == "etcd, kube-apiserver and kube-controller-manager are not built: run 'make envtest'"


def test_a_rollout_completes(cluster: Cluster, namespace: str) -> None:
    cluster.create(f"/apis/apps/v1/namespaces/{namespace}/deployments", deployment("api"))
    assert processes.poll(lambda: condition(cluster, namespace, "api", "Available")[0] == "True", SECONDS)
    complete = ("True", "NewReplicaSetAvailable")
    assert processes.poll(lambda: condition(cluster, namespace, "api", "Progressing") == complete, SECONDS)


def test_a_rollout_of_pods_that_are_never_ready_fails_until_they_may_be(cluster: Cluster, namespace: str) -> None:
    place = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    cluster.create(place, deployment("api", ready=False))
    late = ("False", "ProgressDeadlineExceeded")
    assert processes.poll(lambda: condition(cluster, namespace, "api", "Progressing") == late, SECONDS)
    assert condition(cluster, namespace, "api", "Available")[0] == "False"
    assert processes.poll(lambda: phases(cluster, namespace) == ["Running", "Running"], SECONDS)

    patch = {"spec": {"template": {"metadata": {"annotations": {NEVER_READY: None}}}}}
    assert cluster.request("PATCH", f"{place}/api", patch, "application/merge-patch+json")[0] == 200
    assert processes.poll(lambda: condition(cluster, namespace, "api", "Available")[0] == "True", SECONDS)


def test_a_service_account_may_do_what_its_role_says_and_no_more(cluster: Cluster, namespace: str) -> None:
    path = cluster.service_account(namespace, "reader", [READ_DEPLOYMENTS])
    assert path.stat().st_mode & 0o777 == 0o600
    apps = client.AppsV1Api(config.new_client_from_config(str(path)))
    assert apps.list_namespaced_deployment(namespace).items == []
    since = len(cluster.audit_lines())
    with pytest.raises(client.ApiException) as refused:
        apps.create_namespaced_deployment(namespace, deployment("api"))
    assert refused.value.status == 403
    with pytest.raises(client.ApiException) as elsewhere:
        apps.list_namespaced_deployment("kube-system")
    assert elsewhere.value.status == 403

    user = f"system:serviceaccount:{namespace}:reader"
    events = [event for event in cluster.audit_lines(since) if event["user"]["username"] == user]
    assert [(event["verb"], event["responseStatus"]["code"]) for event in events] == [("create", 403), ("list", 403)]
