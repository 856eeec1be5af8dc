# SPDX-License-Identifier: GPL-3.0-or-later
"""Carry out a change of one workload, wait for its pods, and put back what it had when they do not come."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes import MANAGER, Cluster, RefusedError, collection
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_fields import (
    at,
    identified,
    is_element,
    merge,
    missing_part,
    nest,
    only_paths,
    owned_by,
)
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_plan import (
    ATOMIC,
    TEMPLATE,
    Change,
    refusal,
)
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_pods import is_guaranteed, is_ready, pods_of

_PAUSED = "Paused"  # a Rollout that waits for somebody to promote it
_POLL_SECONDS = (0.2, 2.0)  # at first, and at most


class UnfollowedError(TuningError):
    """A change was made, and nothing can be told of its rollout."""


class RolloutError(Exception):
    """Why a rollout did not succeed."""


def roll_out(cluster: Cluster, change: Change, seconds: float) -> None:
    """Apply, wait until all pods are new and available, and have their QoS class proved.

    :raises UnfollowedError: when it was applied, and what became of it could not be seen.
    :raises TuningError: when it was refused, or failed and the former fields were applied again.
    """
    applied = _write(cluster, change)
    if not change.changes_template:
        return
    try:
        found = wait(cluster, applied, seconds)
        if change.guaranteed and not (held_back(found, found["spec"].get("replicas", 1)) or _phase(found) == _PAUSED):
            prove_qos(cluster, found)
    except (RefusedError, TuningError) as lost:
        raise UnfollowedError(f"{change.name} was applied, and its rollout could not be followed: {lost}") from lost
    except RolloutError as failed:
        put_back(cluster, change)
        raise TuningError(
            f"{change.name}: {failed}; the former fields were applied again, and the server rolls back to them"
        ) from failed


def _write(cluster: Cluster, change: Change) -> dict[str, Any]:
    is_written = False
    try:
        if change.removes:
            # What goes and what comes in its place are one write, so that the pods are made anew once.
            cluster.merge(change.body, dry_run=False)
            is_written = True
        return cluster.apply(change.body, dry_run=False, force=change.force or change.removes)
    except RefusedError as refused:
        error = refusal(change.body, refused)
        raise UnfollowedError(f"{error}; what it was to have is written") if is_written else error from refused


def held_back(workload: Mapping[str, Any], pods: int) -> int:
    """How many of its pods stay as they are until somebody deletes them, or lowers the partition of a StatefulSet."""
    strategy = workload["spec"].get("updateStrategy") or {}
    if strategy.get("type") == "OnDelete":
        return max(1, pods)
    return min(pods, int((strategy.get("rollingUpdate") or {}).get("partition") or 0))


def wait(cluster: Cluster, workload: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """Wait until the rollout is complete, and return the workload as it is then.

    :raises RolloutError: when the workload says that it will not be, or the time is over.
    """
    pause, longest = _POLL_SECONDS
    deadline = time.monotonic() + seconds
    metadata = workload["metadata"]
    path = f"{collection(workload['kind'], metadata['namespace'])}/{quote(metadata['name'])}"
    while True:
        found = cluster.get(path)
        # Until its controller has seen this generation, what it says is of the one before.
        if _is_seen(workload["kind"], found):
            if is_complete(workload["kind"], found):
                return found
            if _phase(found) == "Degraded":
                raise RolloutError(f"the rollout is degraded ({found['status'].get('message') or _why(cluster, found)})")
            for condition in found.get("status", {}).get("conditions", ()):
                if condition["type"] == "Progressing" and condition.get("reason") == "ProgressDeadlineExceeded":
                    raise RolloutError(f"the rollout makes no progress ({_why(cluster, found)})")
        if time.monotonic() >= deadline:
            raise RolloutError(f"the rollout was not complete within {seconds:g} s ({_why(cluster, found)})")
        time.sleep(pause)
        pause = min(pause * 1.5, longest)


def _is_seen(kind: str, workload: Mapping[str, Any]) -> bool:
    observed, generation = workload.get("status", {}).get("observedGeneration", 0), workload["metadata"]["generation"]
    # A Rollout has it as a text, which is a checksum before Argo Rollouts 1.0.
    return str(observed) == str(generation) if kind == "Rollout" else bool(observed >= generation)


def _phase(workload: Mapping[str, Any]) -> str:
    """Of a Rollout; the others have none."""
    return str(workload.get("status", {}).get("phase", ""))


def is_complete(kind: str, workload: Mapping[str, Any]) -> bool:
    """Whether all pods are of the present template and available, of a workload whose controller has seen it."""
    status, wanted = workload.get("status", {}), workload["spec"].get("replicas", 1)
    if kind == "Rollout":
        return _phase(workload) in {"Healthy", _PAUSED}
    if kind == "DaemonSet":
        wanted = status.get("desiredNumberScheduled", 0)
        updated, counts = status.get("updatedNumberScheduled", 0), [status.get("numberAvailable", 0)]
    else:
        updated, counts = (
            status.get("updatedReplicas", 0),
            [status.get(name, 0) for name in ("replicas", "availableReplicas")],
        )
    return all(count == wanted for count in counts) and updated >= wanted - held_back(workload, wanted)


def prove_qos(cluster: Cluster, workload: Mapping[str, Any]) -> None:
    """Have the pods themselves say that they are Guaranteed.

    :raises RolloutError: when one is not, as when something adds containers to pods.
    """
    for pod in read_pods(cluster, workload):
        if not is_guaranteed(pod):
            raise RolloutError(
                f"pod {pod['metadata']['name']} has the QoS class {pod['status'].get('qosClass')}, since something alters "
                "its containers"
            )


def put_back(cluster: Cluster, change: Change) -> None:
    """Apply the former values of the changed fields; what was not there goes again.

    :raises UnfollowedError: when that failed too.
    """
    live = change.live or {}
    former = only_paths(live, {path for path, (before, _after) in change.differences.items() if before is not None})
    if change.body["kind"] in ATOMIC:
        whole = {key: below for key, below in at(live, TEMPLATE).items() if key in (at(change.body, TEMPLATE) or {})}
        former = merge(former, nest({(*TEMPLATE, key): below for key, below in whole.items()}))
    body = merge(owned_by(live, MANAGER), former)
    try:
        if change.removes:
            new = {missing_part(live, path) for path, (before, _after) in change.differences.items() if before is None}
            gone = nest({path: None for path in new if not is_element(path)})
            cluster.merge(identified(merge(former, gone), change.body), dry_run=False)
        cluster.apply(identified(body, change.body), dry_run=False, force=True)
    except (RefusedError, TuningError) as error:
        raise UnfollowedError(f"{change.name} has failed, and its former fields could not be applied: {error}") from error


def read_pods(cluster: Cluster, workload: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The pods that the workload selects and that are not being deleted."""
    # The server leaves out most of the others.
    labels = workload["spec"]["selector"].get("matchLabels", {})
    selector = ",".join(f"{name}={value}" for name, value in labels.items())
    found = cluster.list("Pod", workload["metadata"]["namespace"], labelSelector=selector)
    return pods_of(workload, found)


def _why(cluster: Cluster, workload: Mapping[str, Any]) -> str:
    """What the controller or a waiting container says, in a few words."""
    for condition in workload.get("status", {}).get("conditions", ()):
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            return str(condition.get("message", "its pods cannot be made"))
    try:
        for pod in read_pods(cluster, workload):
            for status in pod["status"].get("containerStatuses", ()):
                waiting = status.get("state", {}).get("waiting", {})
                if waiting:
                    return f"container {status['name']} of {pod['metadata']['name']}: {waiting.get('reason')}"
            if not is_ready(pod):
                return f"pod {pod['metadata']['name']} is not ready"
    except RefusedError:
        return "its pods may not be listed"
    return "its pods are not available yet"
