# SPDX-License-Identifier: GPL-3.0-or-later
"""What a pod template has to say: heap, QoS, probes, snapshots, monitor, for pods of several shapes."""

from collections.abc import Collection
from typing import Any

import pytest
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_fields import at
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_intent import Intent, Template
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_template import intent_of
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_wishes import read_wishes

SOURCES = {("ConfigMap", "settings"): ["NODE_OPTIONS"], ("ConfigMap", "plain"): ["PORT"], ("Secret", "hidden"): None}


def sources(kind: str, name: str) -> Collection[str] | None:
    return SOURCES[kind, name]


def wish(**options: Any) -> dict[str, Any]:
    given = {"namespace": "leads", "name": "api", **options}
    return read_wishes({"workloads": [given], "defaults": {}})[0]


def intent(spec: dict[str, Any], only: list[str] | None = None, **options: Any) -> Intent:
    return intent_of(Template(wish(**options), spec, sources, "event-loop-monitor-0"), only)


def pod(*containers: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"containers": list(containers), **more}


def limited(name: str, memory: str = "512Mi", **more: Any) -> dict[str, Any]:
    return {"name": name, "resources": {"limits": {"cpu": "500m", "memory": memory}}, **more}


def node_options(found: Intent, name: str = "api", where: str = "containers") -> Any:
    return at(found.spec, (where, name, "env", "NODE_OPTIONS", "value"))


@pytest.mark.parametrize(
    ("memory", "percent", "expected"),
    [("512Mi", 75, "384"), ("1Gi", 75, "768"), ("500M", 75, "357"), ("1000Mi", 50, "500"), ("1500000000", 75, "1072")],
)
def test_the_heap_is_a_share_of_the_limit_in_mib(memory: str, percent: int, expected: str) -> None:
    found = intent(pod(limited("api", memory)), node_containers=["api"], heap_percent=percent)
    assert node_options(found) == f"--max-old-space-size={expected}"


def test_the_heap_is_a_share_of_the_limit_that_is_wished() -> None:
    found = intent(pod(limited("api")), node_containers=["api"], resources={"api": {"cpu": 1, "memory": "1Gi"}})
    assert node_options(found) == "--max-old-space-size=768"
    assert at(found.spec, ("containers", "api", "resources")) == {
        "limits": {"cpu": "1", "memory": "1Gi"},
        "requests": {"cpu": "1", "memory": "1Gi"},
    }


def test_a_container_without_a_limit_is_an_error_that_names_it() -> None:
    found = intent(pod({"name": "api"}), node_containers=["api"])
    assert found.errors == ["container api has no memory limit, of which its heap could be a share; name it in resources"]


def test_flags_that_are_there_stay() -> None:
    present = {"name": "NODE_OPTIONS", "value": '--require "./a b.cjs" --max_old_space_size=100'}
    found = intent(pod(limited("api", env=[present])), node_containers=["api"])
    assert node_options(found) == '--require "./a b.cjs" --max-old-space-size=384'


def test_a_percentage_wins_and_is_reported() -> None:
    present = {"name": "NODE_OPTIONS", "value": "--max-old-space-size-percentage=60"}
    found = intent(pod(limited("api", env=[present])), node_containers=["api"])
    assert node_options(found) == "--max-old-space-size-percentage=60"
    assert "which wins" in found.warnings[0]


@pytest.mark.parametrize(
    ("container", "why"),
    [
        (
            {
                "env": [
                    {"name": "NODE_OPTIONS", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "NODE_OPTIONS"}}}
                ]
            },
            "comes from ConfigMap settings",
        ),
        (
            {"env": [{"name": "NODE_OPTIONS", "valueFrom": {"secretKeyRef": {"name": "hidden", "key": "x"}}}]},
            "comes from Secret hidden",
        ),
        ({"envFrom": [{"configMapRef": {"name": "plain"}}, {"configMapRef": {"name": "settings"}}]}, "ConfigMap settings"),
        ({"envFrom": [{"secretRef": {"name": "hidden"}}]}, "may come from Secret hidden, which may not be read"),
        ({"envFrom": [{"configMapRef": {"name": "settings"}, "prefix": "X_"}]}, ""),
        ({"envFrom": [{"configMapRef": {"name": "plain"}}]}, ""),
        (
            {"envFrom": [{"configMapRef": {"name": "settings"}}], "env": [{"name": "NODE_OPTIONS", "value": "--trace-gc"}]},
            "",
        ),
    ],
)
def test_node_options_of_elsewhere_are_reported_and_not_shadowed(container: dict[str, Any], why: str) -> None:
    found = intent(pod(limited("api", **container)), node_containers=["api"])
    assert (node_options(found) is None) == bool(why)
    assert [why in warning for warning in found.warnings] == ([True] if why else [])


def test_a_command_line_flag_wins_and_is_reported() -> None:
    found = intent(pod(limited("api", command=["node", "--max-old-space-size=99", "a.js"])), node_containers=["api"])
    assert "its command" in found.warnings[0]


def test_guaranteed_means_every_container_init_and_sidecar_too() -> None:
    spec = pod(
        limited("api"),
        limited("proxy", "64Mi"),
        initContainers=[limited("migrate"), limited("mesh", "32Mi", restartPolicy="Always")],
    )
    found = intent(spec, guaranteed_qos=True)
    for where, name, memory in (
        ("containers", "api", "512Mi"),
        ("containers", "proxy", "64Mi"),
        ("initContainers", "migrate", "512Mi"),
        ("initContainers", "mesh", "32Mi"),
    ):
        wanted = {"cpu": "500m", "memory": memory}
        assert at(found.spec, (where, name, "resources")) == {"limits": wanted, "requests": wanted}


def test_guaranteed_takes_a_limit_of_each() -> None:
    found = intent(pod(limited("api"), {"name": "proxy", "resources": {"limits": {"memory": "1Gi"}}}), guaranteed_qos=True)
    assert found.errors == ["container proxy has no cpu limit; name it in resources"]


def test_resources_of_the_pod_itself() -> None:
    spec = pod({"name": "api"}, {"name": "proxy"}, resources={"limits": {"cpu": "1", "memory": "1Gi"}})
    wanted = {"cpu": "1", "memory": "1Gi"}
    assert intent(spec, guaranteed_qos=True).spec == {"resources": {"limits": wanted, "requests": wanted}}


def test_the_one_container_of_a_pod_has_the_pods_memory() -> None:
    spec = pod({"name": "api"}, resources={"limits": {"cpu": "1", "memory": "1Gi"}})
    assert node_options(intent(spec, node_containers=["api"])) == "--max-old-space-size=768"
    spec["containers"].append({"name": "proxy"})
    assert "no memory limit" in intent(spec, node_containers=["api"]).errors[0]


def test_a_probe_of_another_kind_goes() -> None:
    spec = pod(limited("api", readinessProbe={"exec": {"command": ["psql"]}, "periodSeconds": 30}))
    found = intent(spec, readiness_probes={"api": {"path": "/ready", "port": "http"}})
    probe = at(found.spec, ("containers", "api", "readinessProbe"))
    assert probe["httpGet"] == {"path": "/ready", "port": "http"}
    assert probe["exec"] is None


def test_snapshots_have_a_volume_with_room() -> None:
    found = intent(pod(limited("api")), node_containers=["api"], heap_snapshots={})
    assert at(found.spec, ("volumes", "diagnostics-api")) == {"name": "diagnostics-api", "emptyDir": {"sizeLimit": "2Gi"}}
    assert node_options(found) == (
        "--max-old-space-size=384 --heapsnapshot-signal=SIGUSR2 --diagnostic-dir=/var/diagnostics"
    )
    narrow = intent(pod(limited("api", "4Gi")), node_containers=["api"], heap_snapshots={})
    assert "has no room" in narrow.errors[0]


def test_a_volume_of_the_workloads_own_is_used() -> None:
    mounts = [{"name": "dumps", "mountPath": "/var/diagnostics"}]
    found = intent(pod(limited("api", "4Gi", volumeMounts=mounts)), node_containers=["api"], heap_snapshots={})
    assert not found.errors
    assert "volumes" not in found.spec


def test_the_monitor_has_a_port_for_each_container() -> None:
    found = intent(pod(limited("api"), limited("web")), node_containers=["api", "web"], event_loop_monitor={})
    assert at(found.spec, ("volumes", "event-loop-monitor", "configMap")) == {"name": "event-loop-monitor-0"}
    assert at(found.spec, ("containers", "web", "env", "EVENT_LOOP_MONITOR_PORT", "value")) == "9466"
    assert node_options(found, "web").endswith("--require=/opt/event-loop-monitor/event-loop-monitor.cjs")


def test_only_the_selected_controls() -> None:
    options = {"node_containers": ["api"], "guaranteed_qos": True, "event_loop_monitor": {}}
    found = intent(pod(limited("api")), ["node.heap_limit"], **options)
    assert found.spec == {
        "containers": [{"name": "api", "env": [{"name": "NODE_OPTIONS", "value": "--max-old-space-size=384"}]}]
    }
    assert set(found.owners.values()) == {"node.heap_limit"}


def test_an_error_of_another_control_is_none() -> None:
    found = intent(pod({"name": "api"}), ["node.event_loop_monitoring"], node_containers=["api"], event_loop_monitor={})
    assert found.errors == []


def test_a_container_that_is_not_there() -> None:
    found = intent(pod(limited("api"), limited("proxy")), node_containers=["app"])
    assert found.errors == ["node_containers names the container app, and it has api, proxy"]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"autoscaling": {"min_replicas": 3, "max_replicas": 2}}, "from 3 to 2"),
        ({"autoscaling": {"min_replicas": 2, "max_replicas": 4, "cpu_percent": 80}}, "too late"),
        ({"autoscaling": {"min_replicas": 2}}, "max_replicas"),
        ({"kind": "DaemonSet", "autoscaling": {"min_replicas": 2, "max_replicas": 4}}, "DaemonSet"),
        ({"disruption_budget": {"max_unavailable": 0}}, "drained"),
        ({"disruption_budget": {"min_available": "100%"}}, "drained"),
        ({"disruption_budget": {"min_available": 2}, "autoscaling": {"min_replicas": 2, "max_replicas": 4}}, "drained"),
        ({"disruption_budget": {"min_available": 2, "max_unavailable": 1}}, "mutually exclusive"),
        ({"readiness_probes": {"api": {"path": "/", "port": 80, "timeout_seconds": 10}}}, "not below"),
        ({"readiness_probes": {"api": {"path": "/"}}}, "port"),
        ({"resources": {"api": {"cpu": "many"}}}, "not a quantity"),
        ({"resources": {"api": {"disk": "1Gi"}}}, "cpu and memory alone"),
        ({"heap_percent": 100}, "1 to 95"),
        ({"environment": {"api": {"NODE_OPTIONS": "x"}}}, "merged"),
        ({"heap": 75}, "there is no option heap"),
        ({"autoscaling": {"max": 1}}, r"there is no option autoscaling\.max"),
        ({"kind": "Job"}, "Job"),
    ],
)
def test_a_wrong_wish_is_told_with_its_workload(options: dict[str, Any], why: str) -> None:
    with pytest.raises(TuningError, match=rf"kubernetes_workloads, leads/(\w+/)?api: .*{why}"):
        wish(**options)


def test_a_workload_is_wished_about_once() -> None:
    given = {"namespace": "leads", "name": "api"}
    with pytest.raises(TuningError, match="leads/Deployment/api: it is there twice"):
        read_wishes({"workloads": [given, given], "defaults": {}})
