# SPDX-License-Identifier: GPL-3.0-or-later
"""Workloads of the shapes that charts render, and what the module makes of them on a real API server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes import collection
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_workload import ARGUMENT_SPEC, reconcile

from tests.integration.kubernetes_server import Cluster

Object = dict[str, Any]


def tune(cluster: Cluster, *wishes: Object, check: bool = False, kubeconfig: Path | None = None, **options: Any) -> Object:
    """What the module returns; a failure is raised."""
    defaults = {name: about.get("default") for name, about in ARGUMENT_SPEC.items()}
    connection = {"kubeconfig": str(kubeconfig or cluster.kubeconfig), "timeout": 30.0}
    given = {"workloads": list(wishes), "monitor_script": "// monitor\n", "rollout_timeout": 30.0, **options}
    return reconcile({**defaults, "connection": connection, **given}, check)


def failure(call: Callable[[], Any]) -> TuningError:
    """The error that the call ends with."""
    with pytest.raises(TuningError) as raised:
        call()
    assert "\n" not in str(raised.value)
    return raised.value


def apply(cluster: Cluster, body: Object, manager: str = "helm") -> Object:
    """Apply an object as another manager does."""
    path = place(body["kind"], body["metadata"]["namespace"], body["metadata"]["name"])
    status, answer = cluster.request(
        "PATCH", f"{path}?fieldManager={manager}&force=true", body, "application/apply-patch+yaml"
    )
    assert status in (200, 201), answer
    applied: Object = answer
    return applied


def place(kind: str, namespace: str, name: str) -> str:
    """The path of an object."""
    return f"{collection(kind, namespace)}/{name}"


def get(cluster: Cluster, kind: str, namespace: str, name: str) -> Object:
    """An object as it is."""
    status, answer = cluster.request("GET", place(kind, namespace, name))
    assert status == 200, answer
    found: Object = answer
    return found


def container(name: str = "api", **more: Any) -> Object:
    """One with limits above its requests, as most charts have it."""
    resources = {"limits": {"cpu": "500m", "memory": "512Mi"}, "requests": {"cpu": "100m", "memory": "256Mi"}}
    return {"name": name, "image": f"registry.example/{name}:1", "resources": resources, **more}


def workload(
    namespace: str,
    *containers: Object,
    kind: str = "Deployment",
    name: str = "lead-api",
    annotations: Object | None = None,
    replicas: int | None = 1,
    **spec: Any,
) -> Object:
    """A workload with these containers; ``spec`` is of its pods."""
    template = {
        "metadata": {"labels": {"app": name}, **({"annotations": annotations} if annotations else {})},
        "spec": {"containers": list(containers) or [container()], **spec},
    }
    body: Object = {"selector": {"matchLabels": {"app": name}}, "template": template}
    if replicas is not None and kind != "DaemonSet":
        body["replicas"] = replicas
    if kind == "StatefulSet":
        body["serviceName"] = name
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"namespace": namespace, "name": name}, "spec": body}


def wish(namespace: str, name: str = "lead-api", **options: Any) -> Object:
    """A wish about that workload."""
    return {"namespace": namespace, "name": name, **options}
