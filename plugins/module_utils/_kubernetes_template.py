# SPDX-License-Identifier: GPL-3.0-or-later
"""What a pod template has to say so that a workload is as the inventory wishes. No I/O.

Each concern gives fragments of a pod's spec, and each fragment belongs to one control of the guide.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_fields import (
    Path,
    flatten,
    merge,
    walk_containers,
)
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_quantities import number, whole_mib
from ansible_collections.leadgen.tuning.plugins.module_utils._node_options import value_of, with_module, with_value

# The keys that an object of that kind and name puts into an environment; None when that may not be read.
Sources = Callable[[str, str], Collection[str] | None]
Fragment = dict[str, Any]

QOS, HEAP, SNAPSHOTS, MONITOR, READINESS, CONNECTIONS, KEEP_ALIVE = (
    "kubernetes.guaranteed_qos",
    "node.heap_limit",
    "node.heap_snapshots",
    "node.event_loop_monitoring",
    "kubernetes.readiness_probes",
    "prisma.connection_limit",
    "node.keep_alive",
)
MONITOR_FOLDER = "/opt/event-loop-monitor"
MONITOR_FILE = "event-loop-monitor.cjs"
MONITOR_PORT = 9465
_NODE_OPTIONS = "NODE_OPTIONS"
_OTHER_HANDLERS = ("exec", "grpc", "tcpSocket")


@dataclass
class Intent:
    """A fragment of the pod's spec, which control asks for which of its fields, and what has to be said."""

    spec: Fragment = field(default_factory=dict)
    owners: dict[Path, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def add(self, control: str, fragment: Fragment) -> None:
        """Take in a fragment for a control; a field that is there already stays its first control's."""
        self.spec = merge(self.spec, fragment)
        for path in flatten(fragment):
            self.owners.setdefault(path, control)


@dataclass(frozen=True)
class Heap:
    """What bounds a heap: the container's memory limit, ``--max-old-space-size``, and what keeps that from being told."""

    limit: Any
    mib: int | None
    elsewhere: str  # where NODE_OPTIONS comes from, if not from the template
    wins: str  # what wins over the flag


@dataclass(frozen=True)
class Template:
    """A wish, the pod's spec as it is, and what is needed to judge them."""

    wish: Mapping[str, Any]
    spec: Mapping[str, Any]
    sources: Sources
    monitor: str = ""  # the name of the ConfigMap with the monitor's file

    def container(self, name: str) -> Mapping[str, Any]:
        """The container of that name, of those that are started first too."""
        return next(each for _where, each in walk_containers(self.spec) if each["name"] == name)

    def fragment(self, name: str, content: Fragment) -> Fragment:
        """The fragment of the pod's spec with that content for the container."""
        where = next(where for where, each in walk_containers(self.spec) if each["name"] == name)
        return {where: [{"name": name, **content}]}

    def limit(self, container: Mapping[str, Any], resource: str) -> Any:
        """The wished limit, else the present one; None where the container is unlimited."""
        wished = self.wish["resources"].get(container["name"], {}).get(resource)
        return wished if wished is not None else container.get("resources", {}).get("limits", {}).get(resource)

    def pod_limit(self, resource: str) -> Any:
        """The same of the pod as a whole."""
        wished = (self.wish["pod_resources"] or {}).get(resource)
        return wished if wished is not None else self.spec.get("resources", {}).get("limits", {}).get(resource)


def intent_of(template: Template, only: Collection[str] | None) -> Intent:
    """What the template has to say, for all controls or for those in ``only``."""
    intent = Intent()
    _refuse_unknown_containers(template, intent)
    if intent.errors:
        return intent
    concerns: dict[str, Callable[[Template, Intent], Iterator[Fragment]]] = {
        QOS: _resources,
        READINESS: _readiness,
        CONNECTIONS: partial(_environment, "environment"),
        KEEP_ALIVE: partial(_environment, "keep_alive"),
        SNAPSHOTS: _diagnostics,
        MONITOR: _monitor,
    }
    for control, concern in concerns.items():
        if only is None or control in only:
            for fragment in concern(template, intent):
                intent.add(control, fragment)
    for name in template.wish["node_containers"]:
        _node_options(template, intent, name, only)
    return intent


def _refuse_unknown_containers(template: Template, intent: Intent) -> None:
    wish = template.wish
    present = [container["name"] for _where, container in walk_containers(template.spec)]
    for option in ("node_containers", "resources", "readiness_probes", "environment", "keep_alive"):
        for name in wish[option]:
            if name not in present:
                intent.errors.append(f"{option} names the container {name}, and it has {', '.join(present)}")


def _resources(template: Template, intent: Intent) -> Iterator[Fragment]:
    """CPU and memory requests equal to the limits: on each container, or on the pod where that has them itself."""
    wish = template.wish
    if wish["pod_resources"] or (wish["guaranteed_qos"] and template.spec.get("resources")):
        wanted = _both(template.pod_limit, "the pod", intent)
        yield {"resources": {"limits": wanted, "requests": dict(wanted)}}
        names = list(wish["resources"])
    elif wish["guaranteed_qos"]:
        names = [container["name"] for _where, container in walk_containers(template.spec)]
    else:
        names = list(wish["resources"])
    for name in names:
        wanted = _both(partial(template.limit, template.container(name)), f"container {name}", intent)
        yield template.fragment(name, {"resources": {"limits": wanted, "requests": dict(wanted)}})


def _both(limit: Callable[[str], Any], what: str, intent: Intent) -> dict[str, str]:
    found = {resource: limit(resource) for resource in ("cpu", "memory")}
    missing = [resource for resource, quantity in found.items() if quantity is None]
    if missing:
        intent.errors.append(f"{what} has no {' and no '.join(missing)} limit; name it in resources")
    return {resource: str(quantity) for resource, quantity in found.items() if quantity is not None}


def _readiness(template: Template, _intent: Intent) -> Iterator[Fragment]:
    for name, probe in template.wish["readiness_probes"].items():
        get = {"path": probe["path"], "port": _port(probe["port"]), "scheme": probe["scheme"]}
        wanted = {
            "httpGet": {key: value for key, value in get.items() if value is not None},
            # A probe has one handler: that of another kind has to go.
            **dict.fromkeys(_OTHER_HANDLERS),
            "initialDelaySeconds": probe["initial_delay_seconds"],
            "periodSeconds": probe["period_seconds"],
            "timeoutSeconds": probe["timeout_seconds"],
            "successThreshold": probe["success_threshold"],
            "failureThreshold": probe["failure_threshold"],
        }
        kept = {key: value for key, value in wanted.items() if value is not None or key in _OTHER_HANDLERS}
        yield template.fragment(name, {"readinessProbe": kept})


def _port(given: Any) -> int | str:
    return int(given) if str(given).isdigit() else str(given)


def _environment(option: str, template: Template, _intent: Intent) -> Iterator[Fragment]:
    for name, variables in template.wish[option].items():
        yield template.fragment(name, {"env": [{"name": key, "value": str(value)} for key, value in variables.items()]})


def _diagnostics(template: Template, intent: Intent) -> Iterator[Fragment]:
    """A volume for heap snapshots, in each Node container that has none of its own mounted there."""
    wished = template.wish["heap_snapshots"]
    for name in template.wish["node_containers"] if wished else ():
        container = template.container(name)
        volume = f"diagnostics-{name}"[:63]  # the longest name of a volume
        mounted = {mount["mountPath"]: mount["name"] for mount in container.get("volumeMounts", ())}
        if mounted.get(wished["directory"], volume) != volume:
            continue
        limit = _memory(template, container)
        if limit is not None and number(wished["size_limit"]) < number(limit):
            intent.errors.append(
                f"heap_snapshots.size_limit {wished['size_limit']} has no room for a snapshot of container {name}, which "
                f"may be as large as its memory, {limit}"
            )
        yield {"volumes": [{"name": volume, "emptyDir": {"sizeLimit": wished["size_limit"]}}]}
        yield template.fragment(name, {"volumeMounts": [{"name": volume, "mountPath": wished["directory"]}]})


def _monitor(template: Template, _intent: Intent) -> Iterator[Fragment]:
    """The monitor's file, mounted in each Node container; they share the pod's address, so each has a port of its own."""
    wished = template.wish["event_loop_monitor"]
    if not wished or not template.wish["node_containers"]:
        return
    yield {"volumes": [{"name": "event-loop-monitor", "configMap": {"name": template.monitor}}]}
    for place, name in enumerate(template.wish["node_containers"]):
        mount = {"name": "event-loop-monitor", "mountPath": MONITOR_FOLDER, "readOnly": True}
        yield template.fragment(name, {"volumeMounts": [mount]})
        if wished["port"] + place != MONITOR_PORT:
            variable = {"name": "EVENT_LOOP_MONITOR_PORT", "value": str(wished["port"] + place)}
            yield template.fragment(name, {"env": [variable]})


def _node_options(template: Template, intent: Intent, name: str, only: Collection[str] | None) -> None:
    """Merge the wished flags into NODE_OPTIONS; the first control that changes it owns the change."""
    container = template.container(name)
    wanted = [
        (control, change) for control, change in _flags(template, container, intent) if only is None or control in only
    ]
    elsewhere = _elsewhere(container, template.sources)
    if elsewhere and wanted:
        intent.warnings.append(f"container {name}: NODE_OPTIONS {elsewhere}; it is left alone, so put the flags in there")
        return
    text = _value(container, _NODE_OPTIONS)
    owner = ""
    try:
        for control, change in wanted:
            changed = change(text)
            owner = owner or (control if changed != text else "")
            text = changed
    except ValueError as error:
        intent.errors.append(f"container {name}: {error}; mend it where it is set")
        return
    if text:
        intent.add(owner or HEAP, template.fragment(name, {"env": [{"name": _NODE_OPTIONS, "value": text}]}))


def _flags(template: Template, container: Mapping[str, Any], intent: Intent) -> Iterator[tuple[str, Callable[[str], str]]]:
    wish, name = template.wish, container["name"]
    limit = _memory(template, container)
    if limit is None:
        intent.errors.append(
            f"container {name} has no memory limit, of which its heap could be a share; name it in resources"
        )
    else:
        heap = str(whole_mib(limit, wish["heap_percent"]))
        if _is_percentage(container, intent):
            intent.warnings.append(
                f"container {name}: NODE_OPTIONS has --max-old-space-size-percentage, which wins over --max-old-space-size"
            )
        else:
            yield HEAP, lambda text: with_value(text, "--max-old-space-size", heap)
    if wish["heap_snapshots"]:
        snapshots = wish["heap_snapshots"]
        yield SNAPSHOTS, lambda text: with_value(text, "--heapsnapshot-signal", snapshots["signal"])
        yield SNAPSHOTS, lambda text: with_value(text, "--diagnostic-dir", snapshots["directory"])
    if wish["event_loop_monitor"]:
        yield MONITOR, lambda text: with_module(text, f"{MONITOR_FOLDER}/{MONITOR_FILE}")
    if _is_in_command(container):
        intent.warnings.append(f"container {name}: its command has --max-old-space-size, which wins over NODE_OPTIONS")


def _is_in_command(container: Mapping[str, Any]) -> bool:
    words = [str(word) for word in (*container.get("command", ()), *container.get("args", ()))]
    return any(word.replace("_", "-").startswith("--max-old-space-size") for word in words)


def heap_of(template: Template, name: str) -> Heap:
    """What bounds the heap of a container as it is, whatever is wished."""
    container, text = template.container(name), ""
    elsewhere = _elsewhere(container, template.sources)
    with contextlib.suppress(ValueError):
        text = _value(container, _NODE_OPTIONS)
        percentage = value_of(text, "--max-old-space-size-percentage")
        given = value_of(text, "--max-old-space-size")
        wins = "its command" if _is_in_command(container) else "--max-old-space-size-percentage" if percentage else ""
        return Heap(_memory(template, container), int(given) if given else None, elsewhere, wins)
    return Heap(_memory(template, container), None, elsewhere or f"is wrong: {text}", "")


def _is_percentage(container: Mapping[str, Any], intent: Intent) -> bool:
    try:
        return value_of(_value(container, _NODE_OPTIONS), "--max-old-space-size-percentage") is not None
    except ValueError as error:
        intent.errors.append(f"container {container['name']}: {error}; mend it where it is set")
        return False


def _memory(template: Template, container: Mapping[str, Any]) -> Any:
    """The container's memory limit, or the pod's where it is the one container that could use it up."""
    limit = template.limit(container, "memory")
    if limit is None and sum(1 for _each in walk_containers(template.spec)) == 1:
        return template.pod_limit("memory")
    return limit


def _value(container: Mapping[str, Any], variable: str) -> str:
    return next((str(entry.get("value", "")) for entry in container.get("env", ()) if entry["name"] == variable), "")


def _elsewhere(container: Mapping[str, Any], sources: Sources) -> str:
    """Where NODE_OPTIONS comes from, if not from the template itself."""
    for entry in container.get("env", ()):
        if entry["name"] == _NODE_OPTIONS:
            return f"comes from {_reference(entry['valueFrom'])}" if "valueFrom" in entry else ""
    for source in container.get("envFrom", ()):
        for key, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
            if key in source:
                name = source[key]["name"]
                keys = sources(kind, name)
                if keys is None:
                    return f"may come from {kind} {name}, which may not be read"
                if _NODE_OPTIONS in {source.get("prefix", "") + each for each in keys}:
                    return f"comes from {kind} {name}"
    return ""


def _reference(value_from: Mapping[str, Any]) -> str:
    for key, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
        if key in value_from:
            return f"{kind} {value_from[key]['name']}"
    return "a field of the pod"
