# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects that a wish asks for, in the order in which they are applied."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_autoscaling import (
    AUTOSCALING,
    autoscaler_of,
    budget_of,
    owner_of_replicas,
    wanted_autoscaler,
    wanted_budget,
)
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_fields import Path, identified, merge
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_intent import (
    CONNECTIONS,
    MONITOR,
    QOS,
    Intent,
    Template,
)
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_node import (
    MONITOR_FILE,
)
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_plan import TEMPLATE, Wanted, known_as
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_pool import Pool, pool_of
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_reading import Object, Reading
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_secrets import (
    checksum,
    told,
    value_in,
    wanted_secret,
    writer_of,
)
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_template import (
    intent_of,
)
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_wishes import key_of, named

_POD_RESOURCES_SINCE = 34  # of Kubernetes 1.34 they are beta, and on by default
_TEMPLATE: Path = TEMPLATE[:-1]


@dataclass(frozen=True)
class Asked:
    """All that one wish asks for."""

    wish: Mapping[str, Any]
    workload: Object
    objects: list[Wanted]
    warnings: list[str]


def asked_by(reading: Reading, wish: Mapping[str, Any], script: str, only: Collection[str] | None) -> Asked:
    """What the wish asks for, by all controls or by those in ``only``.

    :param script: the text of the event-loop monitor.
    :raises TuningError: with all that is wrong of it.
    :raises RefusedError: when the server refuses to be asked.
    """
    workload = reading.workloads.get(key_of(wish))
    if workload is None:
        raise TuningError(f"{named(wish)}: there is none, and kubernetes_workloads names it; check kind, namespace and name")
    if "template" not in workload["spec"]:
        raise TuningError(f"{named(wish)}: its pods are those of its workloadRef; name that in kubernetes_workloads instead")
    pool = _pool(reading, wish, workload, only)
    wish = {**wish, "environment": merge(wish["environment"], pool.environment)}
    monitor = _monitor_of(wish["namespace"], script)
    sources = partial(reading.keys, wish["namespace"])
    intent = intent_of(Template(wish, workload["spec"]["template"]["spec"], sources, monitor["metadata"]["name"]), only)
    errors = [*intent.errors, *_too_old(reading, intent)]
    if errors:
        raise TuningError(f"{named(wish)}: {'; '.join(errors)}")
    warnings = [*intent.warnings, *([pool.warning] if pool.warning else [])]
    objects: list[Wanted] = []
    annotations: dict[str, str] = {}
    if only is None or CONNECTIONS in only:
        values, marks = merge(wish["secrets"], pool.secrets), merge(wish["secrets"], pool.marks)
        for wanted in _secrets(reading, wish["namespace"], values, warnings):
            objects.append(wanted)
            annotations |= checksum(wanted.body["metadata"]["name"], marks[wanted.body["metadata"]["name"]])
    if MONITOR in intent.owners.values():
        objects.append(Wanted(monitor, reading.one("ConfigMap", wish["namespace"], monitor["metadata"]["name"]), MONITOR))
    if intent.spec or annotations:
        objects.append(_workload(workload, intent, annotations))
    if only is None or AUTOSCALING in only:
        objects += _scaling(reading, wish, workload, warnings)
    return Asked(wish, workload, objects, warnings)


def _too_old(reading: Reading, intent: Intent) -> list[str]:
    if "resources" not in intent.spec or reading.minor_version >= _POD_RESOURCES_SINCE:
        return []
    return [f"pod_resources takes Kubernetes 1.{_POD_RESOURCES_SINCE}, and the server is 1.{reading.minor_version}"]


def _monitor_of(namespace: str, script: str) -> Object:
    """The ConfigMap with the monitor's file. Another file has another name, so that its pods are made anew with it."""
    digest = hashlib.sha256(script.encode()).hexdigest()[:10]
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"namespace": namespace, "name": f"event-loop-monitor-{digest}"},
        "immutable": True,
        "data": {MONITOR_FILE: script},
    }


def _pool(reading: Reading, wish: Mapping[str, Any], workload: Object, only: Collection[str] | None) -> Pool:
    if only is not None and CONNECTIONS not in only:
        return Pool()
    try:
        return pool_of(wish, workload, lambda name, key: value_in(reading.one("Secret", wish["namespace"], name), key))
    except TuningError as error:
        raise TuningError(f"{named(wish)}: {error}") from error


def _secrets(
    reading: Reading, namespace: str, secrets: Mapping[str, Mapping[str, Any]], warnings: list[str]
) -> Iterator[Wanted]:
    """The Secrets that nobody else writes; of the others it is said what they have to hold."""
    for name, values in secrets.items():
        live = reading.one("Secret", namespace, name)
        writer = writer_of(live)
        if writer:
            warnings.append(f"Secret {name} is left to {writer}, which writes it; have it hold {told(values)}")
        else:
            yield Wanted(wanted_secret(namespace, name, values), live, CONNECTIONS)


def _workload(workload: Object, intent: Intent, annotations: Mapping[str, str]) -> Wanted:
    template = {
        **({"metadata": {"annotations": dict(annotations)}} if annotations else {}),
        **({"spec": intent.spec} if intent.spec else {}),
    }
    body = identified({"spec": {"template": template}}, workload)
    owners = {(*_TEMPLATE, "spec", *path): control for path, control in intent.owners.items()}
    return Wanted(body, workload, QOS, {**owners, (*_TEMPLATE, "metadata"): CONNECTIONS})


def _scaling(reading: Reading, wish: Mapping[str, Any], workload: Object, warnings: list[str]) -> Iterator[Wanted]:
    """The autoscaler and the disruption budget."""
    if wish["autoscaling"]:
        live = autoscaler_of(wish, reading.all("HorizontalPodAutoscaler", wish["namespace"]))
        yield Wanted(wanted_autoscaler(wish, live), live, AUTOSCALING)
        warnings += [
            f"{known_as(manager)} sets replicas, which the autoscaler sets too; take replicas out of what it applies"
            for manager in owner_of_replicas(workload)
        ]
    if wish["disruption_budget"]:
        labels = workload["spec"]["template"]["metadata"].get("labels", {})
        live = budget_of(labels, reading.all("PodDisruptionBudget", wish["namespace"]))
        yield Wanted(wanted_budget(wish, workload["spec"]["selector"].get("matchLabels", {}), live), live, AUTOSCALING)
