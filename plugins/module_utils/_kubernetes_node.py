# SPDX-License-Identifier: GPL-3.0-or-later
"""What a pod template has to say of its Node.js containers: heap, snapshots, the event-loop monitor. No I/O."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_intent import (
    HEAP,
    MONITOR,
    SNAPSHOTS,
    Fragment,
    Intent,
    Sources,
    Template,
)
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_quantities import number, whole_mib
from ansible_collections.leadgen.tuning.plugins.module_utils._node_options import value_of, with_module, with_value

MONITOR_FOLDER = "/opt/event-loop-monitor"
MONITOR_FILE = "event-loop-monitor.cjs"
MONITOR_PORT = 9465
_NODE_OPTIONS = "NODE_OPTIONS"


@dataclass(frozen=True)
class Heap:
    """What bounds a heap: the container's memory limit, ``--max-old-space-size``, and what keeps that from being told."""

    limit: Any
    mib: int | None
    elsewhere: str  # where NODE_OPTIONS comes from, if not from the template
    wins: str  # what wins over the flag


def diagnostics(template: Template, intent: Intent) -> Iterator[Fragment]:
    """A volume for heap snapshots, in each Node container that has none of its own mounted there."""
    wished = template.wish["heap_snapshots"]
    for name in template.wish["node_containers"] if wished else ():
        container = template.container(name)
        volume = f"diagnostics-{name}"[:63]  # the longest name of a volume
        mounted = {mount["mountPath"]: mount["name"] for mount in container.get("volumeMounts", ())}
        if mounted.get(wished["directory"], volume) != volume:
            continue
        limit = template.memory(container)
        if limit is not None and number(wished["size_limit"]) < number(limit):
            intent.errors.append(
                f"heap_snapshots.size_limit {wished['size_limit']} has no room for a snapshot of container {name}, which "
                f"may be as large as its memory, {limit}"
            )
        yield {"volumes": [{"name": volume, "emptyDir": {"sizeLimit": wished["size_limit"]}}]}
        yield template.fragment(name, {"volumeMounts": [{"name": volume, "mountPath": wished["directory"]}]})


def monitor(template: Template, _intent: Intent) -> Iterator[Fragment]:
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


def node_options(template: Template, intent: Intent, name: str, only: Collection[str] | None) -> None:
    """Merge the wished flags into NODE_OPTIONS; the first control that changes it owns the change."""
    container = template.container(name)
    wanted = [
        (control, change) for control, change in _flags(template, container, intent, only) if only is None or control in only
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


def _flags(
    template: Template, container: Mapping[str, Any], intent: Intent, only: Collection[str] | None
) -> Iterator[tuple[str, Callable[[str], str]]]:
    wish, name = template.wish, container["name"]
    limit, is_asked = template.memory(container), only is None or HEAP in only
    if is_asked and limit is None:
        intent.errors.append(
            f"container {name} has no memory limit, of which its heap could be a share; name it in resources"
        )
    elif is_asked:
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
        return Heap(template.memory(container), int(given) if given else None, elsewhere, wins)
    return Heap(template.memory(container), None, elsewhere or f"is wrong: {text}", "")


def _is_percentage(container: Mapping[str, Any], intent: Intent) -> bool:
    try:
        return value_of(_value(container, _NODE_OPTIONS), "--max-old-space-size-percentage") is not None
    except ValueError as error:
        intent.errors.append(f"container {container['name']}: {error}; mend it where it is set")
        return False


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
