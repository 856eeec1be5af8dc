# SPDX-License-Identifier: GPL-3.0-or-later
"""Workloads as the inventory wishes them: read, plan everything, and only then change one after another."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes import RefusedError, connect, connection_argument
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_autoscaling import (
    AUTOSCALING,
    autoscaler_of,
    budget_of,
    owner_of_replicas,
    wanted_autoscaler,
    wanted_budget,
)
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_fields import Path
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_limits import (
    refused_by_quotas,
    refused_by_ranges,
    surge_of,
    unavailable_of,
)
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_plan import Change, known_as, plan, shown
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_reading import Reading
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_rollout import roll_out
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_template import (
    MONITOR,
    MONITOR_FILE,
    QOS,
    Template,
    intent_of,
)
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_wishes import key_of, named, read_wishes, takes

ARGUMENT_SPEC: dict[str, Any] = {
    **connection_argument(),
    "workloads": {"type": "list", "elements": "dict", "default": []},
    "defaults": {"type": "dict", "default": {}},
    "monitor_script": {"type": "str", "default": ""},
    "controls": {"type": "dict", "default": {}},
    "only": {"type": "list", "elements": "str"},
    "rollout_timeout": {"type": "float", "default": 600.0},
    "verify": {"type": "bool", "default": False},
}
_SHOWN_ERRORS = 5
_POD_RESOURCES_SINCE = 34  # of Kubernetes 1.34 they are beta, and on by default
_TEMPLATE: Path = ("spec", "template", "spec")


@dataclass
class Plan:
    """What has to be done for one workload, in this order."""

    wish: Mapping[str, Any]
    most_pods: int = 0
    changes: list[Change] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def reconcile(options: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    """Bring the workloads about, with their autoscalers and budgets; in check mode say what that would change.

    Every change of every workload has passed the server's dry run before the first is made.

    :raises TuningError: for a wrong wish, a refusal of the server, another's field, or a rollout that failed. What had been
        changed until then is the error's result.
    """
    wishes = read_wishes(options)
    with connect(options["connection"]) as cluster:
        try:
            reading = Reading(cluster)
            reading.read_workloads(wishes)
            plans = _plan_all(reading, wishes, options)
        except RefusedError as refused:
            said = " ".join(str(refused).split())
            raise TuningError(
                f"kubernetes_connection, {cluster.host}: {said}; see the Role in docs/kubernetes.md"
            ) from refused
        pending = [change for each in plans for change in each.changes]
        if pending and options["verify"]:
            change = pending[0]
            path, (before, after) = next(iter(change.differences.items()))
            raise TuningError(f"{change.name}: verification found {shown(path)} {before} where {after} is wanted")
        done: list[Change] = []
        for change in () if check_mode else pending:
            try:
                roll_out(cluster, change, options["rollout_timeout"])
            except TuningError as error:
                raise TuningError(str(error), _result(done) if done else {}) from error
            done.append(change)
    return {
        **_result(pending),
        "warnings": [f"{named(each.wish)}: {warning}" for each in plans for warning in each.warnings],
        "most_pods": {named(each.wish): each.most_pods for each in plans},
    }


def _plan_all(reading: Reading, wishes: Iterable[Mapping[str, Any]], options: Mapping[str, Any]) -> list[Plan]:
    """The plan of each workload, in the inventory's order.

    :raises TuningError: with what is wrong of all of them.
    """
    plans, errors = [], []
    for wish in wishes:
        try:
            plans.append(_plan(reading, wish, options))
        except TuningError as error:
            errors.append(str(error))
    if errors:
        more = [f"and {len(errors) - _SHOWN_ERRORS} more of the kind"] if len(errors) > _SHOWN_ERRORS else []
        raise TuningError("; ".join([*errors[:_SHOWN_ERRORS], *more]))
    return plans


def _plan(reading: Reading, wish: Mapping[str, Any], options: Mapping[str, Any]) -> Plan:
    workload = reading.workloads.get(key_of(wish))
    if workload is None:
        raise TuningError(f"{named(wish)}: there is none, and kubernetes_workloads names it; check kind, namespace and name")
    pods = wish["autoscaling"]["max_replicas"] if wish["autoscaling"] else workload["spec"].get("replicas", 1)
    found = Plan(wish, most_pods=pods + surge_of(workload, pods))
    found.changes += _of_template(reading, wish, workload, options, found.warnings)
    if options["only"] is None or AUTOSCALING in options["only"]:
        found.changes += _of_scaling(reading, wish, workload, found.warnings)
    return found


def _of_template(
    reading: Reading,
    wish: Mapping[str, Any],
    workload: Mapping[str, Any],
    options: Mapping[str, Any],
    warnings: list[str],
) -> Iterator[Change]:
    """The change of the workload itself, after that of what it mounts."""
    namespace, take = wish["namespace"], partial(takes, wish)
    script = _monitor_of(namespace, options["monitor_script"])
    spec = workload["spec"]["template"]["spec"]
    template = Template(wish, spec, partial(reading.keys, namespace), script["metadata"]["name"])
    intent = intent_of(template, options["only"])
    warnings += intent.warnings
    errors = [*intent.errors, *_too_old(reading, intent.spec)]
    if not errors and intent.spec:
        identity = {key: workload[key] for key in ("apiVersion", "kind")}
        metadata = {"namespace": namespace, "name": wish["name"]}
        wanted = {**identity, "metadata": metadata, "spec": {"template": {"spec": intent.spec}}}
        owners = {(*_TEMPLATE, *path): control for path, control in intent.owners.items()}
        if MONITOR in intent.owners.values():
            live = reading.one("ConfigMap", namespace, script["metadata"]["name"])
            change = plan(reading.cluster, script, live, take, control=MONITOR)
            reading.expect(script)  # for the next workload of the namespace
            if change:
                yield change
        change = plan(reading.cluster, wanted, workload, take, control=QOS, owners=owners)
        if change:
            errors += _refused_pods(reading, workload, change) if change.changes_template else []
            change.guaranteed = wish["guaranteed_qos"]
            yield change
    if errors:
        raise TuningError(f"{named(wish)}: {'; '.join(errors)}")


def _too_old(reading: Reading, spec: Mapping[str, Any]) -> list[str]:
    if "resources" not in spec or reading.minor_version >= _POD_RESOURCES_SINCE:
        return []
    return [f"pod_resources takes Kubernetes 1.{_POD_RESOURCES_SINCE}, and the server is 1.{reading.minor_version}"]


def _refused_pods(reading: Reading, workload: Mapping[str, Any], change: Change) -> list[str]:
    """What LimitRanges and ResourceQuotas would refuse of the pods, which the dry run of their workload does not tell."""
    namespace = workload["metadata"]["namespace"]
    before, after = (each["spec"]["template"]["spec"] for each in (workload, change.planned))
    pods = workload["spec"].get("replicas", 1)
    quotas = reading.all("ResourceQuota", namespace)
    return [
        *refused_by_ranges(after, reading.all("LimitRange", namespace)),
        *refused_by_quotas(before, after, pods, unavailable_of(workload, pods), quotas),
    ]


def _monitor_of(namespace: str, script: str) -> dict[str, Any]:
    """The ConfigMap with the monitor's file. Another file has another name, so that its pods are made anew with it."""
    digest = hashlib.sha256(script.encode()).hexdigest()[:10]
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"namespace": namespace, "name": f"event-loop-monitor-{digest}"},
        "immutable": True,
        "data": {MONITOR_FILE: script},
    }


def _of_scaling(
    reading: Reading, wish: Mapping[str, Any], workload: Mapping[str, Any], warnings: list[str]
) -> Iterator[Change]:
    """The changes of the autoscaler and of the disruption budget."""
    namespace, take = wish["namespace"], partial(takes, wish)
    if wish["autoscaling"]:
        live = autoscaler_of(wish, reading.all("HorizontalPodAutoscaler", namespace))
        change = plan(reading.cluster, wanted_autoscaler(wish, live), live, take, control=AUTOSCALING)
        if change:
            yield change
        for manager in owner_of_replicas(workload):
            warnings.append(
                f"{known_as(manager)} sets replicas, which the autoscaler sets too; take replicas out of what it applies"
            )
    if wish["disruption_budget"]:
        labels = workload["spec"]["template"]["metadata"].get("labels", {})
        live = budget_of(labels, reading.all("PodDisruptionBudget", namespace))
        wanted = wanted_budget(wish, workload["spec"]["selector"].get("matchLabels", {}), live)
        change = plan(reading.cluster, wanted, live, take, control=AUTOSCALING)
        if change:
            yield change


def _result(changes: Collection[Change]) -> dict[str, Any]:
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    owner: dict[str, str] = {}
    for change in changes:
        for path, (old, new) in change.differences.items():
            name = f"{change.name} {shown(path)}"
            before[name], after[name] = _told(change, old), _told(change, new)
            owner[name] = change.owners.get(path, change.control)
    return {"changed": bool(changes), "diff": {"before": before, "after": after}, "owners": owner}


def _told(change: Change, value: Any) -> Any:
    """A file is not shown, but how long it is."""
    return f"{len(value)} characters" if change.body["kind"] == "ConfigMap" and isinstance(value, str) else value
