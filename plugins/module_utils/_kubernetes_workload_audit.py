# SPDX-License-Identifier: GPL-3.0-or-later
"""How the named workloads stand to the guide: by their live objects and by their pods. Nothing is changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils._audit import audited, finding
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes import connect, connection_argument
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_autoscaling import (
    AUTOSCALING,
    autoscaler_of,
    budget_of,
    cpu_of,
    owner_of_replicas,
)
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_fields import walk_containers
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_intent import (
    HEAP,
    MONITOR,
    QOS,
    READINESS,
    Template,
)
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_node import (
    heap_of,
)
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_plan import known_as
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_pods import is_guaranteed, pods_of
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_probes import findings as of_probes
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_quantities import whole_mib
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_reading import Object, Reading
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_scrape import lags
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_wishes import (
    MOST_CPU_PERCENT,
    key_of,
    named,
    read_wishes,
    wishes_arguments,
)

ARGUMENT_SPEC: dict[str, Any] = {
    **connection_argument(),
    **wishes_arguments(),
    "scrape": {"type": "bool", "default": True},
    "max_event_loop_lag_ms": {"type": "float", "default": 50.0},
}
LAG = "review.event_loop_lag"
_HEAP_SLACK = 0.9  # below this share of the wanted heap the memory that is paid for is not used


@dataclass
class Verdict:
    """What was found of one control."""

    figures: list[float] = field(default_factory=list)
    findings: list[dict[str, Any]] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    def find(self, kind: str, where: str, why: str) -> None:
        """Take in a finding."""
        self.findings.append(finding(kind, where, why))


@dataclass(frozen=True)
class Subject:
    """A workload, what is wished of it, and its pods."""

    wish: Mapping[str, Any]
    workload: Object
    pods: list[Object]
    reading: Reading
    options: Mapping[str, Any]

    @cached_property
    def lags(self) -> dict[str, float | str]:
        """What its monitors tell, asked once."""
        return lags(self.reading.cluster, self.wish, self.pods)

    @property
    def spec(self) -> Mapping[str, Any]:
        """That of its pods."""
        spec: Mapping[str, Any] = self.workload["spec"]["template"]["spec"]
        return spec


def look(options: Mapping[str, Any], _check_mode: bool) -> dict[str, Any]:
    """Judge the controls that the workloads' wishes name.

    :raises TuningError: when the cluster cannot be reached, or the user may not read what is judged.
    """
    wishes = read_wishes(options)
    verdicts: dict[str, Verdict] = {}
    with connect(options["connection"]) as cluster:
        reading = Reading(cluster)
        reading.read_workloads(wishes)
        for wish in wishes:
            workload = reading.workloads.get(key_of(wish))
            if workload is None:
                raise TuningError(f"{named(wish)}: there is none, and kubernetes_workloads names it")
            pods = pods_of(workload, reading.all("Pod", wish["namespace"]))
            subject = Subject(wish, workload, pods, reading, options)
            for control, judge in _judges(wish):
                judge(subject, verdicts.setdefault(control, Verdict()))
    return {"changed": False, "audit": [_audited(control, verdict) for control, verdict in sorted(verdicts.items())]}


def _judges(wish: Mapping[str, Any]) -> Iterator[tuple[str, Callable[[Subject, Verdict], None]]]:
    if wish["guaranteed_qos"]:
        yield QOS, _judge_qos
    yield READINESS, _judge_probes
    if wish["autoscaling"]:
        yield AUTOSCALING, _judge_scaling
    if wish["node_containers"]:
        yield HEAP, _judge_heap
    if wish["event_loop_monitor"]:
        yield MONITOR, partial(_judge_lag, is_limited=False)
        yield LAG, partial(_judge_lag, is_limited=True)


def _audited(control: str, verdict: Verdict) -> dict[str, Any]:
    """The figure is the worst: the lowest share of pods that are Guaranteed, and of the others the highest."""
    worst = min if control == QOS else max
    return audited(control, worst(verdict.figures, default=None), verdict.findings, verdict.unknown)


def _judge_qos(subject: Subject, verdict: Verdict) -> None:
    """By what the pods themselves say."""
    where = named(subject.wish)
    if not subject.pods:
        verdict.unknown.append(f"{where} has no pods")
        return
    others = [pod for pod in subject.pods if not is_guaranteed(pod)]
    verdict.figures.append(round(1 - len(others) / len(subject.pods), 4))
    if others:
        loose = sorted(
            {each["name"] for pod in others for _list, each in walk_containers(pod["spec"]) if not _is_fixed(each)}
        )
        why = f"{len(others)} of {len(subject.pods)} pods are {others[0]['status'].get('qosClass')}: {', '.join(loose)}"
        verdict.find("not guaranteed", where, why)


def _is_fixed(container: Mapping[str, Any]) -> bool:
    resources = container.get("resources", {})
    limits = resources.get("limits", {})
    return bool({"cpu", "memory"} <= limits.keys() and resources.get("requests", {}).items() >= limits.items())


def _judge_probes(subject: Subject, verdict: Verdict) -> None:
    for container in subject.spec["containers"]:
        for kind, why in of_probes(container):
            verdict.find(kind, f"{named(subject.wish)} {container['name']}", why)
    verdict.figures.append(float(len(verdict.findings)))


def _judge_scaling(subject: Subject, verdict: Verdict) -> None:
    where, namespace = named(subject.wish), subject.wish["namespace"]
    found = autoscaler_of(subject.wish, subject.reading.all("HorizontalPodAutoscaler", namespace))
    if found is None:
        verdict.find("no autoscaler", where, "its pods do not follow the load")
    else:
        _judge_autoscaler(found, where, verdict)
        for manager in owner_of_replicas(subject.workload):
            verdict.find("replicas of two", where, f"{known_as(manager)} sets them as well as the autoscaler")
    labels = subject.workload["spec"]["template"]["metadata"].get("labels", {})
    budget = budget_of(labels, subject.reading.all("PodDisruptionBudget", namespace))
    status = (budget or {}).get("status", {})
    if budget and status.get("expectedPods", 0) and status.get("desiredHealthy", 0) >= status["expectedPods"]:
        why = f"PodDisruptionBudget {budget['metadata']['name']} lets no pod go, so no node can be drained"
        verdict.find("budget never satisfied", where, why)


def _judge_autoscaler(found: Mapping[str, Any], where: str, verdict: Verdict) -> None:
    spec = found["spec"]
    metrics = spec.get("metrics", ())
    of_cpu = [cpu for cpu in map(cpu_of, metrics) if cpu]
    percent = of_cpu[0]["target"].get("averageUtilization") if of_cpu else None
    if percent is not None:
        verdict.figures.append(float(percent))
        if percent > MOST_CPU_PERCENT:
            why = (
                f"its target is {percent}%: with its tolerance of 10% it acts above {percent * 1.1:.0f}%, and not before 80%"
            )
            verdict.find("autoscaler acts late", where, why)
    elif [metric.get("resource", {}).get("name") for metric in metrics] == ["memory"]:
        verdict.find(
            "memory alone", where, "a Node process gives memory back late, so that pods are added and never taken away"
        )
    else:
        verdict.find("no CPU target", where, "the autoscaler does not go by the processor")
    if spec.get("minReplicas", 1) == spec["maxReplicas"]:
        verdict.find("autoscaler without room", where, f"minReplicas and maxReplicas are both {spec['maxReplicas']}")
    elif found.get("status", {}).get("currentReplicas", 0) >= spec["maxReplicas"]:
        verdict.find("autoscaler at its end", where, f"all {spec['maxReplicas']} pods are there already")


def _judge_heap(subject: Subject, verdict: Verdict) -> None:
    """By the flag that holds, against the share of the live limit."""
    sources = partial(subject.reading.keys, subject.wish["namespace"])
    template = Template({**subject.wish, "resources": {}, "pod_resources": None}, subject.spec, sources)
    for name in subject.wish["node_containers"]:
        where = f"{named(subject.wish)} {name}"
        heap = heap_of(template, name)
        if heap.elsewhere:
            verdict.unknown.append(f"{where}: NODE_OPTIONS {heap.elsewhere}")
        elif heap.limit is None:
            verdict.find("no memory limit", where, "its heap has nothing to be a share of")
        elif heap.wins:
            verdict.find("heap by another flag", where, f"{heap.wins} wins over --max-old-space-size")
        elif heap.mib is None:
            verdict.find("no heap limit", where, "--max-old-space-size is missing; Node then goes by the machine's memory")
        else:
            verdict.figures.append(round(heap.mib / max(1, whole_mib(heap.limit)), 4))
            wanted = whole_mib(heap.limit, subject.wish["heap_percent"])
            if not wanted * _HEAP_SLACK <= heap.mib <= wanted:
                why = f"its old space is {heap.mib} MiB, and {subject.wish['heap_percent']}% of its limit are {wanted} MiB"
                verdict.find("heap off its limit", where, why)


def _judge_lag(subject: Subject, verdict: Verdict, *, is_limited: bool) -> None:
    """By what the monitors in the pods tell."""
    where = named(subject.wish)
    if not subject.options["scrape"]:
        verdict.unknown.append(f"{where} was not asked (kubernetes_scrape)")
        return
    if not subject.pods:
        verdict.unknown.append(f"{where} has no pods")
    most = subject.options["max_event_loop_lag_ms"]
    for who, lag in subject.lags.items():
        if isinstance(lag, str):
            verdict.unknown.append(f"{where} {who}: {lag}")
        else:
            verdict.figures.append(lag)
            if is_limited and lag >= most:
                verdict.find("event loop lags", f"{where} {who}", f"its p99 is {lag} ms, and {most:g} ms are too long")
