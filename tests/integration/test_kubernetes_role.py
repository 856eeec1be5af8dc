# SPDX-License-Identifier: GPL-3.0-or-later
"""The role by the command: plan, apply, drift, a selection by tags, a rollout that fails, and what the log has of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from retune.sandbox.pods import NEVER_READY
from tests.integration.conftest import PROJECT
from tests.integration.kubernetes_server import Cluster
from tests.integration.workloads import Object, apply, container, get, wish, workload

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def command(cluster: Cluster, namespace: str, tmp_path: Path) -> Command:
    """The command for an environment that has that cluster and nothing else."""
    inventory = tmp_path / "inventories" / "cluster"
    (inventory / "group_vars").mkdir(parents=True)
    host = {"kubernetes_connection": {"kubeconfig": str(cluster.kubeconfig)}}
    hosts = {"all": {"children": {"kubernetes": {"hosts": {"the-cluster": host}}}}}
    (inventory / "hosts.yml").write_text(yaml.safe_dump(hosts))
    everyone = yaml.safe_load((PROJECT / "inventories/sandbox/group_vars/all.yml").read_text())
    everyone |= {"tuning_environment": "cluster", "tuning_measurement_window": 0.2, "kubernetes_scrape": False}
    (inventory / "group_vars" / "all.yml").write_text(yaml.safe_dump(everyone))

    def run(verb: str, *arguments: str, workloads: list[Object], timeout: int = 30) -> subprocess.CompletedProcess[str]:
        values = {"kubernetes_workloads": workloads, "kubernetes_rollout_timeout": timeout}
        (inventory / "group_vars" / "kubernetes.yml").write_text(yaml.safe_dump(values))
        return subprocess.run(
            [sys.executable, "-m", "retune", verb, str(inventory), *arguments],
            cwd=PROJECT,
            env={**os.environ, "RETUNE_LOG_DIRECTORY": str(tmp_path / "log")},
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )

    return run


def asked(space: str) -> list[Object]:
    options: Object = {
        "node_containers": ["api"],
        "guaranteed_qos": True,
        "event_loop_monitor": {},
        "autoscaling": {"min_replicas": 1, "max_replicas": 3},
        "secrets": {"leads-db": {"DATABASE_URL": "postgresql://leads_app:s3cret@db/leads?connection_limit=4"}},
        "take": ["containers.*"],
    }
    return [wish(space, **options), wish(space, "quote-worker", node_containers=["worker"], take=["containers.*"])]


def changed(done: subprocess.CompletedProcess[str]) -> dict[str, tuple[Any, Any]]:
    """What a run lists as changed: the values before and after, by field."""
    decisions = json.loads(done.stdout)["decisions"]
    return {
        field: (decision["before"][field], decision["after"][field])
        for decision in decisions
        if decision["changed"]
        for field in decision["after"]
    }


def test_plan_apply_plan_drift_and_apply_again(cluster: Cluster, namespace: str, command: Command) -> None:
    apply(cluster, workload(namespace, replicas=None))
    apply(cluster, workload(namespace, container("worker"), name="quote-worker"))
    wanted = asked(namespace)
    planned = command("plan", "--json", workloads=wanted)
    assert planned.returncode == 2, planned.stderr
    applied = command("apply", "--yes", "--json", workloads=wanted)
    assert applied.returncode == 0, applied.stderr
    assert changed(applied) == changed(planned) != {}
    assert "s3cret" not in planned.stdout + applied.stdout
    record = json.loads(applied.stdout)
    assert set(record["measurements"]["the-cluster"]) == {"before", "after"}
    owners = {control for decision in record["decisions"] for control in decision["controls"]}
    expected = {"kubernetes.autoscaling", "kubernetes.guaranteed_qos", "node.event_loop_monitoring", "node.heap_limit"}
    assert owners == {*expected, "prisma.connection_limit"}
    for verb in ("plan", "drift"):
        again = command(verb, workloads=wanted)
        assert (again.returncode, "in sync" in again.stdout) == (0, True), again.stdout + again.stderr
    # Somebody edits what is ours.
    apply(cluster, workload(namespace, replicas=None), "kubectl-edit")
    drifted = command("drift", workloads=wanted)
    assert drifted.returncode == 2, drifted.stdout
    assert "kubernetes.guaranteed_qos" in drifted.stdout
    assert command("apply", "--yes", workloads=wanted).returncode == 0
    assert command("drift", workloads=wanted).returncode == 0


def test_only_the_control_that_is_selected(cluster: Cluster, namespace: str, command: Command) -> None:
    apply(cluster, workload(namespace))
    wanted = asked(namespace)[:1]
    applied = command("apply", "--yes", "--json", "--tags", "kubernetes.autoscaling", workloads=wanted)
    assert applied.returncode == 0, applied.stderr
    assert {field.partition(" ")[0] for field in changed(applied)} == {f"{namespace}/HorizontalPodAutoscaler/lead-api"}
    tags = "kubernetes.guaranteed_qos,node.event_loop_monitoring"
    left = command("plan", "--json", "--tags", tags, workloads=wanted)
    assert f"{namespace}/Deployment/lead-api containers.api.resources.requests.cpu" in changed(left)
    values = [after for field, (_before, after) in changed(left).items() if field.endswith("NODE_OPTIONS.value")]
    assert values == ["--require=/opt/event-loop-monitor/event-loop-monitor.cjs"]


def test_a_rollout_that_fails_is_in_the_log_with_what_was_changed(
    cluster: Cluster, namespace: str, command: Command, tmp_path: Path
) -> None:
    apply(cluster, workload(namespace, replicas=None))
    made = apply(cluster, workload(namespace, container("worker"), name="quote-worker", annotations={NEVER_READY: "true"}))
    failed = command("apply", "--yes", workloads=asked(namespace), timeout=2)
    assert failed.returncode == 1
    assert "Traceback" not in failed.stdout + failed.stderr
    (line,) = (tmp_path / "log" / "cluster.jsonl").read_text().splitlines()
    record = json.loads(line)
    assert record["outcome"] == "failed"
    (failure,) = record["failures"]
    assert "the former fields were applied again" in failure["message"]
    fields = {field for decision in record["decisions"] for field in decision["after"]}
    assert f"{namespace}/Deployment/lead-api containers.api.resources.requests.cpu" in fields
    assert not [field for field in fields if "quote-worker" in field]
    template = get(cluster, "Deployment", namespace, "quote-worker")["spec"]["template"]
    assert template == made["spec"]["template"]
