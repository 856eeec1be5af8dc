# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands in for the nodes of the sandbox's Kubernetes: says of every pod that it runs and is ready.

usage: python -m retune.sandbox.pods KUBECONFIG     ends when the file is gone
"""

import http.client
import sys
import time
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .kube_api import Api

NEVER_READY = "leadgen.example/never-ready"
PODS = "/api/v1/pods"
WATCH_SECONDS = 300
PAUSE_SECONDS = 0.2  # between two attempts, while the server restarts


def wants_ready(pod: dict[str, Any]) -> bool:
    return (pod["metadata"].get("annotations") or {}).get(NEVER_READY) != "true"


def is_settled(pod: dict[str, Any]) -> bool:
    """Whether the pod already says what it is to say, or is being deleted."""
    status = pod.get("status", {})
    ready = [each["status"] == "True" for each in status.get("conditions", ()) if each["type"] == "Ready"]
    return "deletionTimestamp" in pod["metadata"] or (status.get("phase") == "Running" and ready == [wants_ready(pod)])


def running(pod: dict[str, Any]) -> dict[str, Any]:
    """The status of a pod whose containers run; those of one that is never ready fail their probe."""
    ready, now = wants_ready(pod), datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    number = zlib.crc32(pod["metadata"]["uid"].encode())  # the same address whenever it is asked for
    address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    containers = [
        {
            "name": container["name"],
            "image": container["image"],
            "imageID": f"sandbox://{container['image']}",
            "containerID": f"sandbox://{pod['metadata']['uid']}/{container['name']}",
            "ready": ready,
            "started": ready,
            "restartCount": 0,
            "state": {"running": {"startedAt": now}},
        }
        for container in pod["spec"]["containers"]
    ]
    states = {"PodScheduled": True, "Initialized": True, "ContainersReady": ready, "Ready": ready}
    return {
        "phase": "Running",
        "startTime": now,
        "podIP": address,
        "podIPs": [{"ip": address}],
        "containerStatuses": containers,
        "conditions": [{"type": name, "status": str(state), "lastTransitionTime": now} for name, state in states.items()],
    }


def settle(api: Api, pod: dict[str, Any]) -> None:
    """A pod that is gone meanwhile needs nothing more, and its status is refused."""
    if not is_settled(pod):
        place = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}/status?fieldManager=pods"
        api.request("PATCH", place, {"status": running(pod)}, "application/merge-patch+json")


def follow(api: Api) -> None:
    """Settles every pod, and those that come or change, until the watch ends or its place in the history is lost."""
    status, pods = api.request("GET", PODS)
    if status != http.client.OK:
        raise http.client.HTTPException(f"{PODS}: {status}")
    for pod in pods["items"]:
        settle(api, pod)
    for event in api.watch(f"{PODS}?resourceVersion={pods['metadata']['resourceVersion']}", WATCH_SECONDS):
        if event["type"] == "ERROR":
            return
        if event["type"] != "DELETED":
            settle(api, event["object"])


def main(kubeconfig: Path) -> None:
    while kubeconfig.exists():
        try:
            follow(Api(kubeconfig))
        except (OSError, http.client.HTTPException, ValueError):  # the server starts, or stopped amid an answer
            time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
