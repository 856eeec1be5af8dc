# SPDX-License-Identifier: GPL-3.0-or-later
"""kubernetes_workload on a real API server: plans, applies, conflicts, refusals, rollouts that fail."""

from __future__ import annotations

import base64
import copy
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.leadgen.tuning.plugins.module_utils import _kubernetes

from retune.sandbox.pods import NEVER_READY
from retune.sandbox.processes import poll
from tests.integration.conftest import PROJECT
from tests.integration.kubernetes_server import Cluster
from tests.integration.workloads import (
    Object,
    apply,
    container,
    failure,
    get,
    tune,
    wish,
    workload,
)

EVERYTHING: Object = {
    "node_containers": ["api"],
    "guaranteed_qos": True,
    "heap_snapshots": {},
    "event_loop_monitor": {},
    "readiness_probes": {"api": {"path": "/ready", "port": 3000}},
    "environment": {"api": {"DATABASE_POOL_MAX": 4}},
    "keep_alive": {"api": {"HTTP_KEEP_ALIVE_TIMEOUT": 65000}},
    "secrets": {"leads-db": {"DATABASE_URL": "postgresql://leads_app:s3cret@db/leads?connection_limit=4"}},
    "autoscaling": {"min_replicas": 1, "max_replicas": 4},
    "disruption_budget": {},
    "take": ["*"],
}
EXEC_PROBE = {"exec": {"command": ["psql", "-c", "select 1"]}, "periodSeconds": 30}
POD_LIMITS = {"limits": {"cpu": "1", "memory": "1Gi"}}
CLAIM = {
    "metadata": {"name": "data"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}


def plain(space: str) -> Object:
    return workload(space, container(readinessProbe=EXEC_PROBE, env=[{"name": "PORT", "value": "3000"}]))


def with_init_and_sidecar(space: str) -> Object:
    mesh = container("mesh", securityContext={"runAsUser": 1337}, volumeMounts=[{"name": "certs", "mountPath": "/certs"}])
    return workload(
        space,
        container(env=[{"name": "NODE_OPTIONS", "value": '--enable-source-maps --require "./trace me.cjs"'}]),
        mesh,
        initContainers=[container("migrate"), container("wait-for-db")],
        volumes=[{"name": "certs", "emptyDir": {"medium": "Memory"}}],
    )


def with_native_sidecar(space: str) -> Object:
    return workload(space, container(), initContainers=[container("log-shipper", restartPolicy="Always"), container("init")])


def with_options_of_a_config_map(space: str) -> Object:
    return workload(space, container(envFrom=[{"configMapRef": {"name": "settings"}}]))


def with_several_node_containers(space: str) -> Object:
    ports = [{"name": "http", "containerPort": 3000}, {"name": "metrics", "containerPort": 9090}]
    return workload(space, container(ports=ports), container("renderer"), container("nginx"))


def with_resources_of_the_pod(space: str) -> Object:
    return workload(space, {"name": "api", "image": "registry.example/api:1"}, resources=POD_LIMITS)


def a_stateful_set(space: str) -> Object:
    made = workload(space, container(volumeMounts=[{"name": "data", "mountPath": "/data"}]), kind="StatefulSet")
    made["spec"]["volumeClaimTemplates"] = [CLAIM]
    return made


def a_daemon_set(space: str) -> Object:
    return workload(space, container(), kind="DaemonSet", tolerations=[{"operator": "Exists"}])


SHAPES = {
    make.__name__: make
    for make in (
        plain,
        with_init_and_sidecar,
        with_native_sidecar,
        with_options_of_a_config_map,
        with_several_node_containers,
        with_resources_of_the_pod,
        a_stateful_set,
        a_daemon_set,
    )
}


def everything(kind: str, space: str) -> Object:
    asked = wish(space, kind=kind, **copy.deepcopy(EVERYTHING))
    if kind == "DaemonSet":
        asked.pop("autoscaling")
    return asked


def versions(cluster: Cluster, space: str) -> dict[str, str]:
    """The resource version of everything that the module can change, but those that controllers' own news have changed."""
    found = {}
    for kind in ("ConfigMap", "Secret", "Deployment", "StatefulSet", "DaemonSet", "HorizontalPodAutoscaler"):
        _status, answer = cluster.request("GET", _kubernetes.collection(kind, space))
        for item in answer["items"]:
            if item["metadata"]["name"] == "kube-root-ca.crt":  # which comes some moments after its namespace
                continue
            found[f"{kind}/{item['metadata']['name']}"] = str(
                item["metadata"].get("generation") or item["metadata"]["resourceVersion"]
            )
            found[f"{kind}/{item['metadata']['name']} managers"] = yaml.safe_dump(
                [entry for entry in item["metadata"]["managedFields"] if entry["manager"] == "leadgen-tuning"]
            )
    return found


@pytest.mark.parametrize("shape", SHAPES)
def test_apply_changes_what_the_plan_lists_and_then_nothing(cluster: Cluster, namespace: str, shape: str) -> None:
    settings = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": namespace, "name": "settings"}}
    apply(cluster, {**settings, "data": {"NODE_OPTIONS": "--trace-gc"}})
    made = apply(cluster, SHAPES[shape](namespace))
    asked = everything(made["kind"], namespace)
    before = versions(cluster, namespace)
    plan = tune(cluster, asked, check=True)
    assert versions(cluster, namespace) == before
    assert plan["changed"]
    assert "s3cret" not in str(plan)
    assert tune(cluster, asked) == plan
    after = versions(cluster, namespace)
    for again in (tune(cluster, asked, check=True), tune(cluster, asked), tune(cluster, asked, verify=True, check=True)):
        assert (again["changed"], again["diff"]) == (False, {"before": {}, "after": {}})
    assert versions(cluster, namespace) == after
    for path, wanted in plan["diff"]["after"].items():  # what was listed is there
        assert_is_live(cluster, path, wanted)


def assert_is_live(cluster: Cluster, line: str, wanted: Any) -> None:
    """The object that a line of the plan names has the value that it lists."""
    named, _space, path = line.partition(" ")
    space, kind, name = named.split("/")
    if kind in ("Secret", "ConfigMap"):
        return
    value: Any = get(cluster, kind, space, name)["spec"]
    words = path.split(".")
    if kind in ("Deployment", "StatefulSet", "DaemonSet"):
        value = value["template"]
        value = value["metadata"]["annotations"] if words[0] == "template" else value["spec"]
        words = [".".join(words[3:])] if words[0] == "template" else words
    for place_, word in enumerate(words):
        if isinstance(value, list):
            value = next(each for each in value if word in (each.get("name"), each.get("mountPath")))
        elif wanted is None and word not in value:
            return
        else:
            value = value[word] if word in value else value[".".join(words[place_:])]
    assert value == wanted, line


@pytest.mark.parametrize("shape", ["with_init_and_sidecar", "with_native_sidecar", "with_resources_of_the_pod"])
def test_the_pods_say_that_they_are_guaranteed(cluster: Cluster, namespace: str, shape: str) -> None:
    apply(cluster, SHAPES[shape](namespace))
    tune(cluster, everything("Deployment", namespace))
    _status, pods = cluster.request("GET", _kubernetes.collection("Pod", namespace))
    classes = {pod["status"]["qosClass"] for pod in pods["items"] if "deletionTimestamp" not in pod["metadata"]}
    assert classes == {"Guaranteed"}


def test_what_is_as_wished_stays_anothers(cluster: Cluster, namespace: str) -> None:
    same = {"limits": {"cpu": "500m", "memory": "512Mi"}, "requests": {"cpu": "0.5", "memory": "512Mi"}}
    apply(cluster, workload(namespace, {**container(), "resources": same}))
    asked = wish(namespace, guaranteed_qos=True, resources={"api": {"cpu": 0.5, "memory": "524288Ki"}})
    assert tune(cluster, asked)["changed"] is False
    managers = get(cluster, "Deployment", namespace, "lead-api")["metadata"]["managedFields"]
    assert "leadgen-tuning" not in {entry["manager"] for entry in managers}


@pytest.mark.parametrize(
    ("manager", "known_as"),
    [
        ("helm", "Helm"),
        ("argocd-controller", "Argo CD"),
        ("kubectl-client-side-apply", "kubectl apply"),
        ("own-tool", "own-tool"),
    ],
)
def test_anothers_field_is_left_alone_and_its_manager_named(
    cluster: Cluster, namespace: str, manager: str, known_as: str
) -> None:
    apply(cluster, workload(namespace), manager)
    asked = wish(namespace, guaranteed_qos=True)
    before = get(cluster, "Deployment", namespace, "lead-api")["metadata"]["generation"]
    fields = "containers.api.resources.requests.cpu, containers.api.resources.requests.memory"
    for check in (True, False):
        error = failure(lambda check=check: tune(cluster, asked, check=check))  # type: ignore[misc]
        assert f"{namespace}/Deployment/lead-api: {known_as} owns {fields}; " in str(error)
    some = failure(lambda: tune(cluster, {**asked, "take": ["containers.*.resources.requests.cpu"]}))
    assert f"{known_as} owns containers.api.resources.requests.memory; " in str(some)
    assert get(cluster, "Deployment", namespace, "lead-api")["metadata"]["generation"] == before
    assert tune(cluster, {**asked, "take": ["containers.*.resources.*"]})["changed"]
    # It applies its own again, takes the fields back, and that is drift.
    apply(cluster, workload(namespace), manager)
    assert known_as in str(failure(lambda: tune(cluster, asked, check=True)))


def test_all_that_is_held_is_told_at_once(cluster: Cluster, namespace: str) -> None:
    apply(cluster, plain(namespace))
    asked = wish(namespace, guaranteed_qos=True, readiness_probes={"api": {"path": "/ready", "port": 3000}})
    error = str(failure(lambda: tune(cluster, asked, check=True)))
    for field in ("readinessProbe.exec", "readinessProbe.periodSeconds", "resources.requests.cpu"):
        assert f"containers.api.{field}" in error


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"autoscaling": {"min_replicas": 1, "max_replicas": 2, "behavior": {"scaleup": {}}}}, "scaleup"),
        ({"readiness_probes": {"api": {"path": "/ready", "port": 99999}}}, "must be between 1 and 65535"),
        ({"environment": {"api": {"": "x"}}}, "env"),
    ],
)
def test_what_the_server_refuses_is_told_before_anything_is_applied(
    cluster: Cluster, namespace: str, options: Object, why: str
) -> None:
    for name in ("first", "lead-api"):
        apply(cluster, workload(namespace, name=name))
    before = versions(cluster, namespace)
    fine = wish(namespace, "first", node_containers=["api"])
    for check in (True, False):
        error = failure(lambda check=check: tune(cluster, fine, wish(namespace, take=["*"], **options), check=check))  # type: ignore[misc]
        assert why in str(error)
        assert f"{namespace}/" in str(error)
        assert error.result == {}
    assert versions(cluster, namespace) == before


def test_a_workload_that_is_not_there(cluster: Cluster, namespace: str) -> None:
    error = failure(lambda: tune(cluster, wish(namespace), wish(namespace, "other"), check=True))
    assert f"{namespace}/Deployment/lead-api: there is none" in str(error)
    assert f"{namespace}/Deployment/other: there is none" in str(error)


# What the server's admission would refuse of the pods

CASES = [
    ({"LimitRange": {"limits": [{"type": "Container", "max": {"cpu": "400m"}}]}}, "LimitRange"),
    ({"LimitRange": {"limits": [{"type": "Container", "max": {"cpu": "500m"}}]}}, ""),
    ({"LimitRange": {"limits": [{"type": "Container", "min": {"memory": "513Mi"}}]}}, "LimitRange"),
    ({"LimitRange": {"limits": [{"type": "Pod", "max": {"memory": "511Mi"}}]}}, "LimitRange"),
    ({"LimitRange": {"limits": [{"type": "Container", "maxLimitRequestRatio": {"cpu": "1"}}]}}, ""),
    ({"ResourceQuota": {"hard": {"requests.cpu": "599m"}}}, "ResourceQuota"),
    ({"ResourceQuota": {"hard": {"requests.cpu": "600m"}}}, ""),
    ({"ResourceQuota": {"hard": {"limits.memory": "512Mi"}}}, "ResourceQuota"),
    ({"ResourceQuota": {"hard": {"memory": "768Mi", "pods": "9"}}}, ""),
]


@pytest.mark.parametrize(("policies", "refused_by"), CASES)
def test_a_pod_that_would_be_refused_is_a_planned_error(
    cluster: Cluster, namespace: str, policies: dict[str, Object], refused_by: str
) -> None:
    """One pod that requests 100m and 256Mi is there; its successor requests 500m and 512Mi, beside it."""
    strategy = {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    made = workload(namespace)
    made["spec"]["strategy"] = strategy
    apply(cluster, made)
    wait_for_pods(cluster, namespace, 1)
    for kind, spec in policies.items():
        metadata = {"namespace": namespace, "name": "policy"}
        cluster.create(_kubernetes.collection(kind, namespace), {"metadata": metadata, "spec": spec})
    if "ResourceQuota" in policies:
        wait_for(lambda: bool(get(cluster, "ResourceQuota", namespace, "policy").get("status", {}).get("used")))
    asked = wish(namespace, guaranteed_qos=True, take=["*"])
    if refused_by:
        error = str(failure(lambda: tune(cluster, asked, check=True)))
        assert f"{namespace}/Deployment/lead-api: {refused_by} policy: " in error
    else:
        assert tune(cluster, asked, check=True)["changed"]
    # The server's own verdict on such a pod.
    wanted = {"cpu": "500m", "memory": "512Mi"}
    spec = {"containers": [{**container(), "resources": {"limits": wanted, "requests": wanted}}]}
    status, _answer = cluster.request(
        "POST", f"{_kubernetes.collection('Pod', namespace)}?dryRun=All", {"metadata": {"name": "probe"}, "spec": spec}
    )
    assert (status == 403) == bool(refused_by)


def wait_for(condition: Any) -> None:
    assert poll(condition, 30)


def wait_for_pods(cluster: Cluster, space: str, count: int) -> None:
    wait_for(lambda: get(cluster, "Deployment", space, "lead-api").get("status", {}).get("availableReplicas") == count)


# Rollouts


def test_a_rollout_that_fails_gets_its_former_fields_back(cluster: Cluster, namespace: str) -> None:
    made = apply(cluster, workload(namespace, container(readinessProbe=EXEC_PROBE), annotations={NEVER_READY: "true"}))
    apply(cluster, workload(namespace, name="other"))
    fine = wish(namespace, "other", guaranteed_qos=True, take=["*"])
    asked = everything("Deployment", namespace)
    error = failure(lambda: tune(cluster, fine, asked, rollout_timeout=2.0))
    assert "the rollout was not complete within 2 s (pod lead-api-" in str(error)
    assert "the former fields were applied again" in str(error)
    assert get(cluster, "Deployment", namespace, "lead-api")["spec"]["template"]["spec"] == made["spec"]["template"]["spec"]
    # What had been changed before is told, and stays.
    assert error.result["changed"]
    assert {line.partition(" ")[0] for line in error.result["diff"]["after"]} > {f"{namespace}/Deployment/other"}
    assert f"{namespace}/Deployment/lead-api" not in str(error.result)
    assert tune(cluster, fine)["changed"] is False
    # Mended, the next run does the rest.
    apply(cluster, workload(namespace, container(readinessProbe=EXEC_PROBE)))
    assert tune(cluster, fine, asked)["changed"]
    assert tune(cluster, fine, asked)["changed"] is False


def test_a_rollout_without_progress_is_not_waited_for(cluster: Cluster, namespace: str) -> None:
    made = workload(namespace, annotations={NEVER_READY: "true"})
    made["spec"]["progressDeadlineSeconds"] = 1
    apply(cluster, made)
    asked = wish(namespace, guaranteed_qos=True, take=["*"])
    assert "the rollout makes no progress" in str(failure(lambda: tune(cluster, asked, rollout_timeout=60.0)))
    # What its controller says of the former generation is not taken for this one's.
    made["spec"]["template"]["metadata"].pop("annotations")
    apply(cluster, made)
    assert tune(cluster, asked)["changed"]


def test_a_paused_workload_is_a_planned_error(cluster: Cluster, namespace: str) -> None:
    made = workload(namespace)
    made["spec"]["paused"] = True
    apply(cluster, made)
    error = failure(lambda: tune(cluster, wish(namespace, node_containers=["api"]), check=True))
    assert str(error).startswith(f"{namespace}/Deployment/lead-api: it is paused")


@pytest.mark.parametrize("strategy", [{"type": "OnDelete"}, {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}])
def test_pods_that_are_held_back_are_not_waited_for(cluster: Cluster, namespace: str, strategy: Object) -> None:
    made = workload(namespace, kind="StatefulSet", replicas=2)
    made["spec"]["updateStrategy"] = strategy
    apply(cluster, made)
    wait_for(lambda: get(cluster, "StatefulSet", namespace, "lead-api").get("status", {}).get("availableReplicas") == 2)
    asked = wish(namespace, kind="StatefulSet", guaranteed_qos=True, take=["*"])
    done = tune(cluster, asked)
    assert done["changed"]
    assert f"leaves {2 if strategy['type'] == 'OnDelete' else 1} pods as they are" in done["warnings"][0]
    assert tune(cluster, asked)["changed"] is False


# Autoscalers and budgets


def test_an_autoscaler_of_another_name_is_changed_and_keeps_its_other_metrics(cluster: Cluster, namespace: str) -> None:
    apply(cluster, workload(namespace))
    memory = {
        "type": "Resource",
        "resource": {"name": "memory", "target": {"type": "Utilization", "averageUtilization": 80}},
    }
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "lead-api"}
    spec = {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 3, "metrics": [memory]}
    metadata = {"namespace": namespace, "name": "of-the-chart"}
    apply(cluster, {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": metadata, "spec": spec})
    asked = wish(namespace, autoscaling={"min_replicas": 2, "max_replicas": 6}, take=["*"])
    found = tune(cluster, asked)
    assert {line.partition(" ")[0] for line in found["diff"]["after"]} == {
        f"{namespace}/HorizontalPodAutoscaler/of-the-chart"
    }
    metrics = get(cluster, "HorizontalPodAutoscaler", namespace, "of-the-chart")["spec"]["metrics"]
    assert [metric["resource"]["name"] for metric in metrics] == ["cpu", "memory"]
    assert metrics[0]["resource"]["target"]["averageUtilization"] == 70
    assert found["most_pods"] == {f"{namespace}/Deployment/lead-api": 8}  # a quarter of six, rounded up, beside them
    (warning,) = found["warnings"]
    assert warning.startswith(f"{namespace}/Deployment/lead-api: Helm sets replicas, which the autoscaler sets too; ")
    apply(cluster, workload(namespace, replicas=None))
    assert tune(cluster, asked)["warnings"] == []


def test_a_budget_that_is_there_is_changed_to_one_that_can_be_satisfied(cluster: Cluster, namespace: str) -> None:
    apply(cluster, workload(namespace))
    metadata = {"namespace": namespace, "name": "of-the-chart"}
    spec = {"minAvailable": "100%", "selector": {"matchLabels": {"app": "lead-api"}}}
    apply(cluster, {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": metadata, "spec": spec})
    asked = wish(namespace, disruption_budget={})
    assert "Helm owns minAvailable" in str(failure(lambda: tune(cluster, asked)))
    assert tune(cluster, {**asked, "take": ["minAvailable"]})["changed"]
    found = get(cluster, "PodDisruptionBudget", namespace, "of-the-chart")["spec"]
    assert found == {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "lead-api"}}}
    assert tune(cluster, asked)["changed"] is False


# Secrets


def test_a_secret_is_never_shown_and_makes_the_pods_anew(cluster: Cluster, namespace: str) -> None:
    apply(cluster, workload(namespace))
    url = "postgresql://leads_app:{}@db/leads?connection_limit=4&pool_timeout=10"
    asked = wish(namespace, secrets={"leads-db": {"DATABASE_URL": url.format("first-s3cret")}})
    tune(cluster, asked)
    first = get(cluster, "Deployment", namespace, "lead-api")["metadata"]["generation"]
    asked["secrets"]["leads-db"]["DATABASE_URL"] = url.format("other-s3cret")
    plan = tune(cluster, asked, check=True)
    assert plan["diff"]["before"][f"{namespace}/Secret/leads-db data.DATABASE_URL"] == "(hidden), another"
    assert plan["diff"]["after"][f"{namespace}/Secret/leads-db data.DATABASE_URL"] == "(hidden)"
    assert set(plan["owners"].values()) == {"prisma.connection_limit"}
    verification = str(failure(lambda: tune(cluster, asked, check=True, verify=True)))
    assert "data.DATABASE_URL: verification found (hidden), another where (hidden) is wanted" in verification
    assert tune(cluster, asked) == plan
    assert get(cluster, "Deployment", namespace, "lead-api")["metadata"]["generation"] == first + 1


def test_a_secret_that_another_writes_is_left_to_it(cluster: Cluster, namespace: str) -> None:
    apply(cluster, workload(namespace))
    owner = {
        "apiVersion": "external-secrets.io/v1",
        "kind": "ExternalSecret",
        "name": "leads-db",
        "uid": "0-0",
        "controller": True,
    }
    metadata = {"namespace": namespace, "name": "leads-db", "ownerReferences": [owner]}
    cluster.create(_kubernetes.collection("Secret", namespace), {"metadata": metadata, "data": {}})
    url = "postgresql://leads_app:s3cret@db/leads?connection_limit=4"
    found = tune(cluster, wish(namespace, secrets={"leads-db": {"DATABASE_URL": url}}))
    assert found["changed"] is False
    (warning,) = found["warnings"]
    assert warning.startswith(f"{namespace}/Deployment/lead-api: Secret leads-db is left to ExternalSecret leads-db, ")
    assert warning.endswith("; have it hold DATABASE_URL with connection_limit=4")


def test_each_pod_gets_its_share_of_the_connections(cluster: Cluster, namespace: str) -> None:
    apply(cluster, workload(namespace, replicas=None))
    url = "postgresql://leads_app:s3cret@db:6432/leads?schema=public&connection_limit=9"
    metadata = {"namespace": namespace, "name": "leads-db"}
    data = {"DATABASE_URL": base64.b64encode(url.encode()).decode(), "OTHER": "eA=="}
    apply(cluster, {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})
    asked = wish(
        namespace,
        connection_pool={"connections": 80, "containers": ["api"], "secret": "leads-db"},
        autoscaling={"min_replicas": 1, "max_replicas": 8},
        take=["data.DATABASE_URL"],
    )
    plan = tune(cluster, asked, check=True)
    assert tune(cluster, asked) == plan
    assert "s3cret" not in str(plan)
    assert tune(cluster, asked)["changed"] is False
    found = get(cluster, "Secret", namespace, "leads-db")["data"]
    # 8 pods and 2 of a rollout.
    assert base64.b64decode(found["DATABASE_URL"]).decode() == url.replace("=9", "=8") + "&pool_timeout=10"
    assert found["OTHER"] == "eA=="
    (api,) = get(cluster, "Deployment", namespace, "lead-api")["spec"]["template"]["spec"]["containers"]
    variables = {entry["name"]: entry["value"] for entry in api["env"]}
    assert variables == {"DATABASE_POOL_MAX": "8", "DATABASE_POOL_TIMEOUT_MS": "10000"}
    # Another password is nobody's drift.
    found["DATABASE_URL"] = base64.b64encode(base64.b64decode(found["DATABASE_URL"]).replace(b"s3cret", b"rotated")).decode()
    apply(cluster, {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": found})
    assert tune(cluster, asked)["changed"] is False
    few = tune(cluster, {**asked, "connection_pool": {"connections": 5, "containers": ["api"]}}, check=True)
    assert "10 pods are more than 5 connections" in few["warnings"][0]


@pytest.mark.parametrize("value", [None, "bXlzcWw6Ly94OnMzY3JldEB5"])
def test_a_secret_without_a_url_is_a_planned_error(cluster: Cluster, namespace: str, value: str | None) -> None:
    apply(cluster, workload(namespace))
    if value:
        cluster.create(
            _kubernetes.collection("Secret", namespace), {"metadata": {"name": "db"}, "data": {"DATABASE_URL": value}}
        )
    asked = wish(namespace, connection_pool={"connections": 80, "secret": "db"})
    error = str(failure(lambda: tune(cluster, asked, check=True)))
    assert error.startswith(f"{namespace}/Deployment/lead-api: ")
    assert ("the URL has to begin with postgresql://" if value else "Secret db has no DATABASE_URL") in error
    assert "s3cret" not in error


# Rights


def shipped(space: str = "leads") -> list[Object]:
    """The objects of the file that comes with the role, for another namespace."""
    text = (PROJECT / "roles/kubernetes/files/rbac.yml").read_text(encoding="utf-8")
    return list(yaml.safe_load_all(text.replace("namespace: leads", f"namespace: {space}")))


def shipped_rules() -> list[Object]:
    """Those of its Role."""
    (rules,) = [body["rules"] for body in shipped() if body["kind"] == "Role"]
    found: list[Object] = rules
    return found


def test_the_shipped_account_suffices(cluster: Cluster, namespace: str) -> None:
    for body in shipped(namespace):
        group = body["apiVersion"] if "/" not in body["apiVersion"] else f"apis/{body['apiVersion']}"
        path = (
            f"/{group.replace('v1', 'api/v1', 1) if group == 'v1' else group}/namespaces/{namespace}/{body['kind'].lower()}s"
        )
        cluster.create(path, body)
    kubeconfig = cluster.kubeconfig_of(namespace, "leadgen-tuning", shipped_rules())
    for shape in ("with_init_and_sidecar", "a_stateful_set", "a_daemon_set"):
        made = apply(cluster, SHAPES[shape](namespace))
        asked = everything(made["kind"], namespace)
        plan = tune(cluster, asked, check=True, kubeconfig=kubeconfig)
        assert tune(cluster, asked, kubeconfig=kubeconfig) == plan
        assert tune(cluster, asked, kubeconfig=kubeconfig)["changed"] is False


@pytest.mark.parametrize("resource", ["deployments", "horizontalpodautoscalers", "secrets", "pods"])
def test_a_right_that_is_missing_is_named(cluster: Cluster, namespace: str, resource: str) -> None:
    rules = [
        {**rule, "resources": [each for each in rule["resources"] if each != resource]}
        for rule in shipped_rules()
        if rule["resources"] != [resource]
    ]
    kubeconfig = cluster.service_account(namespace, "tuning", rules)
    apply(cluster, plain(namespace))
    error = str(failure(lambda: tune(cluster, everything("Deployment", namespace), kubeconfig=kubeconfig)))
    assert f'cannot {"list" if resource in ("horizontalpodautoscalers", "pods") else "get"} resource "{resource}"' in error
    assert "docs/kubernetes.md" in error
    assert "s3cret" not in error


def test_options_of_a_secret_that_may_not_be_read_are_left_alone(cluster: Cluster, namespace: str) -> None:
    rules = [{**rule, "resources": [each for each in rule["resources"] if each != "secrets"]} for rule in shipped_rules()]
    kubeconfig = cluster.service_account(namespace, "tuning", rules)
    apply(cluster, workload(namespace, container(envFrom=[{"secretRef": {"name": "settings"}}])))
    found = tune(cluster, wish(namespace, node_containers=["api"]), kubeconfig=kubeconfig)
    assert found["changed"] is False
    assert "may come from Secret settings, which may not be read" in found["warnings"][0]


# Requests


def test_a_check_takes_few_requests(cluster: Cluster, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"service-{number}" for number in range(5)]
    scaling: Object = {"autoscaling": {"min_replicas": 1, "max_replicas": 2}, "disruption_budget": {}}
    asked = [wish(namespace, name, node_containers=["api"], take=["*"], **scaling) for name in names]
    for name in names:
        apply(cluster, workload(namespace, name=name))
    tune(cluster, *asked)
    assert [verb for verb, _path in requests(cluster, lambda: tune(cluster, *asked, check=True))] == ["list"] * 3
    # A page at a time.
    monkeypatch.setattr(_kubernetes, "PAGE", 2)
    paged = requests(cluster, lambda: tune(cluster, *asked, check=True))
    assert len(paged) == 9
    assert sum("continue=" in path for _verb, path in paged) == 6


def test_an_identical_apply_leaves_every_resource_version(cluster: Cluster, namespace: str) -> None:
    apply(cluster, plain(namespace))
    asked = everything("Deployment", namespace)
    tune(cluster, asked)
    kinds = ("ConfigMap", "Secret", "Deployment", "HorizontalPodAutoscaler", "PodDisruptionBudget", "ReplicaSet", "Pod")

    def read() -> dict[str, str]:
        items = [
            item for kind in kinds for item in cluster.request("GET", _kubernetes.collection(kind, namespace))[1]["items"]
        ]
        return {item["metadata"]["uid"]: item["metadata"]["resourceVersion"] for item in items}

    def has_settled() -> bool:  # controllers have told their news
        before = read()
        time.sleep(0.5)
        return read() == before

    wait_for(has_settled)
    before = read()
    assert tune(cluster, asked)["changed"] is False
    assert read() == before


def requests(cluster: Cluster, call: Any) -> list[tuple[str, str]]:
    """What the call asked of the server, by its audit log."""
    before = len(cluster.audit_lines())
    assert call()["changed"] is False
    events = cluster.audit_lines(before)
    mine = [event for event in events if event.get("userAgent") == "leadgen-tuning" and event["stage"] == "ResponseComplete"]
    return [(event["verb"], event["requestURI"]) for event in mine]


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    nowhere = tmp_path / "kubeconfig"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:9"}}],
        "users": [{"name": "u", "user": {"token": "t0ken"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "c",
    }
    nowhere.write_text(yaml.safe_dump(document))
    found = Cluster(nowhere, tmp_path)
    assert "127.0.0.1:9 cannot be reached: " in str(failure(lambda: tune(found, wish("leads"))))
    nowhere.write_text("not: a kubeconfig\n")
    assert str(failure(lambda: tune(found, wish("leads")))).startswith("kubernetes_connection: ")
    nowhere.unlink()
    assert str(failure(lambda: tune(found, wish("leads")))).startswith("kubernetes_connection: ")
