# SPDX-License-Identifier: GPL-3.0-or-later
"""What the inventory may ask of a workload, and what it may not. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_quantities import number

KINDS = ("Deployment", "StatefulSet", "DaemonSet", "Rollout")
# The autoscaler does nothing within 10% of its target (--horizontal-pod-autoscaler-tolerance): above this it acts after 80%.
MOST_CPU_PERCENT = 72

_PROBE = {
    "path": {"type": "str", "required": True},
    "port": {"type": "raw", "required": True},
    "scheme": {"type": "str", "choices": ["HTTP", "HTTPS"]},
    "initial_delay_seconds": {"type": "int"},
    "period_seconds": {"type": "int", "default": 10},
    "timeout_seconds": {"type": "int", "default": 2},
    "success_threshold": {"type": "int"},
    "failure_threshold": {"type": "int", "default": 3},
}
WISH: dict[str, Any] = {
    "kind": {"type": "str", "choices": list(KINDS), "default": "Deployment"},
    "namespace": {"type": "str", "required": True},
    "name": {"type": "str", "required": True},
    "node_containers": {"type": "list", "elements": "str", "default": []},
    "heap_percent": {"type": "int", "default": 75},
    "heap_snapshots": {
        "type": "dict",
        "options": {
            "signal": {"type": "str", "default": "SIGUSR2"},
            "directory": {"type": "str", "default": "/var/diagnostics"},
            "size_limit": {"type": "str", "default": "2Gi"},
        },
    },
    "event_loop_monitor": {"type": "dict", "options": {"port": {"type": "int", "default": 9465}}},
    "resources": {"type": "dict", "default": {}},
    "pod_resources": {"type": "dict"},
    "guaranteed_qos": {"type": "bool", "default": False},
    "readiness_probes": {"type": "dict", "default": {}},
    "environment": {"type": "dict", "default": {}},
    "keep_alive": {"type": "dict", "default": {}},
    "secrets": {"type": "dict", "default": {}, "no_log": True},
    "connection_pool": {
        "type": "dict",
        "options": {
            "connections": {"type": "int", "required": True},
            "pool_timeout": {"type": "int", "default": 10},
            "containers": {"type": "list", "elements": "str", "default": []},
            "prefix": {"type": "str", "default": "DATABASE_POOL_"},
            "secret": {"type": "str", "no_log": False},
            "key": {"type": "str", "default": "DATABASE_URL", "no_log": False},
        },
    },
    "autoscaling": {
        "type": "dict",
        "options": {
            "name": {"type": "str"},
            "min_replicas": {"type": "int", "required": True},
            "max_replicas": {"type": "int", "required": True},
            "cpu_percent": {"type": "int", "default": 70},
            "behavior": {"type": "dict"},
        },
    },
    "disruption_budget": {
        "type": "dict",
        "options": {
            "name": {"type": "str"},
            "max_unavailable": {"type": "raw"},
            "min_available": {"type": "raw"},
        },
        "mutually_exclusive": [("max_unavailable", "min_available")],
    },
    "take": {"type": "list", "elements": "str", "default": []},
}


def wishes_arguments() -> dict[str, Any]:
    """The argument spec of the options ``workloads``, whose elements ``read_wishes`` validates, and ``defaults``."""
    return {
        "workloads": {"type": "list", "elements": "dict", "default": []},
        "defaults": {"type": "dict", "default": {}},
    }


_RESOURCES = frozenset({"cpu", "memory"})


def read_wishes(options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The validated wishes of ``workloads``, each over ``defaults``.

    :raises TuningError: that names the variable, the workload, and what is wrong.
    """
    wishes, seen = [], set()
    for given in options["workloads"]:
        if not isinstance(given, Mapping):
            raise TuningError("kubernetes_workloads: each has to be a dictionary with namespace and name")
        wish = _validated({**options["defaults"], **given})
        if key_of(wish) in seen:
            raise _wrong(wish, "it is there twice; make one of the two")
        seen.add(key_of(wish))
        _refuse(wish)
        wishes.append(wish)
    return wishes


def key_of(wish: Mapping[str, Any]) -> tuple[str, str, str]:
    """The namespace, kind and name of the workload."""
    return wish["namespace"], wish["kind"], wish["name"]


def named(wish: Mapping[str, Any]) -> str:
    """The workload as messages name it."""
    return "{}/{}/{}".format(*key_of(wish))


def takes(wish: Mapping[str, Any], path: str) -> bool:
    """Whether the inventory says to take the field from its owner."""
    return any(fnmatchcase(path, pattern) for pattern in wish["take"])


def _wrong(wish: Mapping[str, Any], why: object) -> TuningError:
    return TuningError(f"kubernetes_workloads, {named(wish)}: {why}")


def _validated(given: dict[str, Any]) -> dict[str, Any]:
    result = ArgumentSpecValidator(WISH).validate(given)
    wish = dict(result.validated_parameters)
    if result.error_messages:
        where = "/".join(str(given.get(part, "?")) for part in ("namespace", "name"))
        raise TuningError(f"kubernetes_workloads, {where}: {_said(result)}")
    probes = {}
    for container, probe in wish["readiness_probes"].items():
        checked = ArgumentSpecValidator(_PROBE).validate(probe if isinstance(probe, dict) else {"path": probe})
        if checked.error_messages:
            raise _wrong(wish, f"readiness_probes.{container}: {_said(checked)}")
        probes[container] = dict(checked.validated_parameters)
    return {**wish, "readiness_probes": probes}


def _said(result: Any) -> str:
    """What the validator finds wrong; of unknown options its own message is a list of the known ones."""
    unknown = sorted(path if isinstance(path, str) else ".".join(path) for path in result.unsupported_parameters)
    return f"there is no option {', '.join(unknown)}" if unknown else "; ".join(result.error_messages)


def _refuse(wish: Mapping[str, Any]) -> None:
    if not 1 <= wish["heap_percent"] <= 95:  # noqa: PLR2004 - the rest is what Node needs besides its old space
        raise _wrong(wish, f"heap_percent is {wish['heap_percent']}; it has to be 1 to 95, and 75 is what the guide says")
    for container, resources in {**wish["resources"], "pod_resources": wish["pod_resources"] or {}}.items():
        _refuse_resources(wish, container, resources)
    for container, probe in wish["readiness_probes"].items():
        if probe["timeout_seconds"] >= probe["period_seconds"]:
            raise _wrong(
                wish,
                f"readiness_probes.{container}: timeout_seconds {probe['timeout_seconds']} is not below period_seconds "
                f"{probe['period_seconds']}; a slow answer would still be waited for when the next is due",
            )
    for option in ("environment", "keep_alive"):
        for container, variables in wish[option].items():
            if not isinstance(variables, Mapping) or "NODE_OPTIONS" in variables:
                raise _wrong(wish, f"{option}.{container} has to be a dictionary, without NODE_OPTIONS, which is merged")
    for secret, values in wish["secrets"].items():
        if not isinstance(values, Mapping) or not values:
            raise _wrong(wish, f"secrets.{secret} has to be a dictionary of keys and their values")
    if wish["connection_pool"] and wish["connection_pool"]["connections"] < 1:
        raise _wrong(wish, "connection_pool.connections has to be 1 or more: what all of its pods may hold together")
    if wish["autoscaling"]:
        _refuse_autoscaling(wish)
    if wish["disruption_budget"]:
        _refuse_budget(wish)


def _refuse_resources(wish: Mapping[str, Any], container: str, resources: Any) -> None:
    if not isinstance(resources, Mapping) or set(resources) - _RESOURCES:
        raise _wrong(wish, f"resources of {container} may hold cpu and memory alone, each of them request and limit at once")
    for name, quantity in resources.items():
        try:
            positive = number(quantity) > 0
        except (ValueError, TypeError):
            positive = False
        if not positive:
            raise _wrong(
                wish, f"resources of {container}: {name} {quantity} is not a quantity above zero, such as 500m or 512Mi"
            )


def _refuse_autoscaling(wish: Mapping[str, Any]) -> None:
    autoscaling = wish["autoscaling"]
    low, high, percent = (autoscaling[name] for name in ("min_replicas", "max_replicas", "cpu_percent"))
    if wish["kind"] == "DaemonSet":
        raise _wrong(wish, "a DaemonSet has a pod for each node and cannot be scaled; take autoscaling out")
    if not 1 <= low <= high:
        raise _wrong(
            wish, f"autoscaling from {low} to {high} replicas: min_replicas has to be 1 or more, and max_replicas no less"
        )
    if not 1 <= percent <= MOST_CPU_PERCENT:
        raise _wrong(
            wish,
            f"autoscaling at cpu_percent {percent}: with its tolerance of 10% it would act too late; give at most "
            f"{MOST_CPU_PERCENT}, and 70 is the default",
        )


def _refuse_budget(wish: Mapping[str, Any]) -> None:
    """One that no eviction satisfies stops every drain of a node."""
    budget, autoscaling = wish["disruption_budget"], wish["autoscaling"]
    most, least = budget["max_unavailable"], budget["min_available"]
    if most is None and least is None:
        budget["max_unavailable"] = 1
    blocks = str(most) in ("0", "0%") or str(least) == "100%"
    if not blocks and autoscaling and str(least).isdigit():
        blocks = int(str(least)) >= autoscaling["min_replicas"]
    if blocks:
        raise _wrong(
            wish,
            "disruption_budget can never be satisfied, so that no node could be drained; give max_unavailable 1 or more",
        )
