# SPDX-License-Identifier: GPL-3.0-or-later
"""What a pod template has to say so that a workload is as the inventory wishes. No I/O.

Each concern gives fragments of a pod's spec, and each fragment belongs to one control of the guide.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_fields import walk_containers
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_intent import (
    CONNECTIONS,
    KEEP_ALIVE,
    MONITOR,
    QOS,
    READINESS,
    SNAPSHOTS,
    Fragment,
    Intent,
    Template,
)
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_node import diagnostics, monitor, node_options

_OTHER_HANDLERS = ("exec", "grpc", "tcpSocket")


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
        SNAPSHOTS: diagnostics,
        MONITOR: monitor,
    }
    for control, concern in concerns.items():
        if only is None or control in only:
            for fragment in concern(template, intent):
                intent.add(control, fragment)
    for name in template.wish["node_containers"]:
        node_options(template, intent, name, only)
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
