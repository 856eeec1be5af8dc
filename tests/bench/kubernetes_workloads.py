# SPDX-License-Identifier: GPL-3.0-or-later
"""A drift check of many Deployments that are as wished: its time, its memory, and what it asks of the API server.

usage: kubernetes_workloads.py [DEPLOYMENTS [NAMESPACES]]      starts a Kubernetes of its own, and ends it
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes import APIS, MANAGER, place
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_workload import ARGUMENT_SPEC, reconcile
from kubernetes import config

from retune.sandbox import Sandbox

PROJECT = Path(__file__).resolve().parents[2]
PLAYBOOK = Path(sys.executable).parent / "ansible-playbook"
DEFAULTS = {
    "node_containers": ["api"],
    "guaranteed_qos": True,
    "readiness_probes": {"api": {"path": "/ready", "port": 3000}},
    "autoscaling": {"min_replicas": 2, "max_replicas": 8},
    "disruption_budget": {"max_unavailable": 1},
    "take": ["*"],
}


def main() -> None:
    """Print the figures."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    spaces = [f"team-{number}" for number in range(int(sys.argv[2]) if len(sys.argv) > 2 else 20)]
    wishes = [{"namespace": spaces[number % len(spaces)], "name": f"service-{number}"} for number in range(count)]
    with tempfile.TemporaryDirectory(prefix="retune-bench-") as base:
        inventory = Path(base) / "inventories" / "bench"
        inventory.mkdir(parents=True)
        sandbox = Sandbox(Path(base) / "sandbox", inventory)
        try:
            sandbox.up(services=("kubernetes",))
            hosts = yaml.safe_load(sandbox.hosts_file.read_text())["all"]["children"]["kubernetes"]["hosts"]
            connection = next(iter(hosts.values()))["kubernetes_connection"]
            make(connection["kubeconfig"], spaces, wishes)
            about = {name: option.get("default") for name, option in ARGUMENT_SPEC.items()}
            asked = {**about, "connection": {**connection, "timeout": 30.0}, "workloads": wishes, "defaults": DEFAULTS}
            start = time.monotonic()
            reconcile(asked, False)
            print(f"{count} Deployments in {len(spaces)} namespaces tuned in {time.monotonic() - start:.0f} s")
            values = {"kubernetes_workloads": wishes, "kubernetes_workload_defaults": DEFAULTS}
            (inventory / "group_vars").mkdir()
            local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
            (inventory / "group_vars" / "all.yml").write_text(yaml.safe_dump(local))
            (inventory / "group_vars" / "kubernetes.yml").write_text(yaml.safe_dump(values))
            audit = sandbox.directory.resolve() / "kubernetes" / "audit.log"
            for _run in range(3):
                check(inventory, audit, len(spaces))
        finally:
            sandbox.down()


def make(kubeconfig: str, spaces: list[str], wishes: list[dict[str, str]]) -> None:
    """The namespaces, and the Deployments as a chart would have them; without pods, which would tell nothing more."""
    client = config.new_client_from_config(kubeconfig)

    def apply(path: str, body: dict[str, Any]) -> None:
        answer = client.rest_client.pool_manager.request(
            "PATCH",
            f"{client.configuration.host}{path}?fieldManager=helm&force=true",
            body=json.dumps(body),
            headers={"Content-Type": "application/apply-patch+yaml"},
        )
        assert answer.status in {200, 201}, answer.data

    for space in spaces:
        apply(f"/api/v1/namespaces/{space}", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space}})
    resources = {"limits": {"cpu": "500m", "memory": "512Mi"}, "requests": {"cpu": "100m", "memory": "256Mi"}}
    for wish in wishes:
        labels = {"app": wish["name"]}
        container = {"name": "api", "image": "registry.example/api:1", "resources": resources}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
        body = {
            "apiVersion": APIS["Deployment"][0],
            "kind": "Deployment",
            "metadata": wish,
            "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template},
        }
        apply(place(body), body)


def check(inventory: Path, audit: Path, spaces: int) -> None:
    """Run the drift check as a command, and print what it took."""
    seen = len(audit.read_text().splitlines())
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    command = [PLAYBOOK, "-i", inventory, PROJECT / "playbooks" / "drift.yml"]
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1"}
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - start
    assert done.returncode == 0, done.stdout
    assert "changed=0" in done.stdout, done.stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
    events = [json.loads(line) for line in audit.read_text().splitlines()[seen:]]
    asked = [event for event in events if event.get("userAgent") == MANAGER and event["stage"] == "ResponseComplete"]
    most = Counter(event["objectRef"]["namespace"] for event in asked).most_common(1)[0][1]
    print(
        f"drift check: {seconds:.1f} s, {cpu:.1f} s CPU, {after.ru_maxrss / 1024:.0f} MB at most in one process; "
        f"{len(asked)} requests, at most {most} in one of {spaces} namespaces"
    )


if __name__ == "__main__":
    main()
