# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a namespace's LimitRanges and ResourceQuotas admit the pods of a template. No I/O.

The server judges a template only when its pods are made, after the apply has been accepted: the rollout then stands still.
So what its admission would say is worked out before (Kubernetes's documentation, *Limit Ranges* and *Resource Quotas*).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_fields import walk_containers
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_quantities import number
from ansible_collections.leadgen.tuning.plugins.module_utils._prisma_share import DEFAULT_SURGE, surge_pods

_COMPUTE = ("cpu", "memory")


def refused_by_ranges(spec: Mapping[str, Any], ranges: Iterable[Mapping[str, Any]]) -> list[str]:
    """What the LimitRanges of the namespace refuse of the pod's spec, each with the range's name."""
    found = []
    for limit_range in ranges:
        name = limit_range["metadata"]["name"]
        for item in limit_range["spec"]["limits"]:
            if item["type"] == "Container":
                for _where, container in walk_containers(spec):
                    what = f"container {container['name']}"
                    found += [f"LimitRange {name}: {why}" for why in _outside(container.get("resources", {}), item, what)]
            elif item["type"] == "Pod":
                found += [f"LimitRange {name}: {why}" for why in _outside(_of_pod(spec), item, "the pod")]
    return found


def _outside(resources: Mapping[str, Any], item: Mapping[str, Any], what: str) -> Iterator[str]:
    requests, limits = resources.get("requests", {}), resources.get("limits", {})
    for resource in _COMPUTE:
        request, limit = (each.get(resource) for each in (requests, limits))
        least, most, ratio = (item.get(key, {}).get(resource) for key in ("min", "max", "maxLimitRequestRatio"))
        if least is not None and request is not None and number(request) < number(least):
            yield f"{what} requests {resource} {request}, and at least {least} is required"
        if most is not None and limit is not None and number(limit) > number(most):
            yield f"{what} has the {resource} limit {limit}, and at most {most} is allowed"
        if (
            ratio is not None
            and request is not None
            and limit is not None
            and number(limit) > number(ratio) * number(request)
        ):
            yield f"{what} has a {resource} limit of more than {ratio} times its request"


def refused_by_quotas(
    before: Mapping[str, Any], after: Mapping[str, Any], pods: int, unavailable: int, quotas: Iterable[Mapping[str, Any]]
) -> list[str]:
    """What the ResourceQuotas refuse when pods of the spec ``after`` take the place of those of ``before``.

    A rollout ends only where there is room for all of the new ones in the place of the former, and goes on only where there
    is room for the first while no more than ``unavailable`` of the former are gone.
    """
    found = []
    for quota, key, each, former in _claims(before, after, quotas):
        limit, now = quota["status"]["hard"][key], number(quota["status"]["used"].get(key, 0))
        needed = now + max(pods * (each - former), each - unavailable * former)
        if pods and needed > number(limit):
            found.append(
                f"ResourceQuota {quota['metadata']['name']}: the rollout of {pods} pods takes {_shown(needed)} of "
                f"{key}, and {limit} is allowed"
            )
    return found


def claim(before: Mapping[str, Any], after: Mapping[str, Any], pods: int, quotas: Iterable[Mapping[str, Any]]) -> None:
    """Count what the pods will have taken when they are rolled out as used."""
    for quota, key, each, former in _claims(before, after, quotas):
        used = quota["status"]["used"]
        used[key] = str(number(used.get(key, 0)) + pods * (each - former))


def _claims(
    before: Mapping[str, Any], after: Mapping[str, Any], quotas: Iterable[Mapping[str, Any]]
) -> Iterator[tuple[Mapping[str, Any], str, Decimal, Decimal]]:
    """Each quota of all pods and its key, with what a pod takes of it, a new one and a former one."""
    old, new = _of_pod(before), _of_pod(after)
    for quota in quotas:
        if quota["spec"].get("scopes") or quota["spec"].get("scopeSelector") or "used" not in quota.get("status", {}):
            continue  # of some pods only, or not counted yet
        for key in quota["status"].get("hard", {}):
            part, resource = _counted(key)
            if resource is not None:
                yield quota, key, number(new[part].get(resource, 0)), number(old[part].get(resource, 0))


def unavailable_of(workload: Mapping[str, Any], pods: int) -> int:
    """How many of the former pods may be gone before a new one is there, by the workload's strategy."""
    if workload["kind"] in {"DaemonSet", "StatefulSet"}:
        return 1  # one is removed before its successor is made
    strategy = _strategy(workload)
    if strategy is None:
        return pods
    most = _part(strategy["maxUnavailable"], pods)
    # Where both are 0 the server takes one to be unavailable, or no rollout would ever begin.
    return most or int(surge_of(workload, pods) == 0)


def surge_of(workload: Mapping[str, Any], pods: int) -> int:
    """How many pods a rollout may make beyond ``pods``."""
    strategy = None if workload["kind"] in {"DaemonSet", "StatefulSet"} else _strategy(workload)
    return 0 if strategy is None else surge_pods(strategy["maxSurge"], pods)


def _strategy(workload: Mapping[str, Any]) -> dict[str, int | str] | None:
    """``maxSurge`` and ``maxUnavailable`` with their defaults; None where all pods go before the first new one comes."""
    given = workload["spec"].get("strategy") or {}
    if given.get("type") == "Recreate":
        return None
    if "blueGreen" in given:  # of a Rollout: all pods are there twice for a while
        return {"maxSurge": "100%", "maxUnavailable": 0}
    defaults: dict[str, int | str] = {"maxSurge": DEFAULT_SURGE, "maxUnavailable": "25%"}
    return defaults | (given.get("canary") or given.get("rollingUpdate") or {})


def _part(given: int | str, pods: int) -> int:
    """So many pods, or a percentage of them, which is rounded down unlike that of ``maxSurge``."""
    return int(str(given)[:-1]) * pods // 100 if str(given).endswith("%") else int(given)


def _counted(key: str) -> tuple[str, str | None]:
    part, dot, resource = key.partition(".")
    if not dot:
        part, resource = "requests", key
    return part, resource if part in ("requests", "limits") and resource in _COMPUTE else None


def _of_pod(spec: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """What the whole pod requests and is limited to: its own resources, else the sum of what runs at the same time.

    Init containers run one after another, before the others; those that go on (sidecars) add to all that start after them.
    """
    own = spec.get("resources", {})
    found: dict[str, dict[str, str]] = {"requests": {}, "limits": {}}
    for part, totals in found.items():
        for resource in _COMPUTE:
            if resource in own.get(part, {}):
                totals[resource] = own[part][resource]
                continue
            total = _sum(spec, part, resource)
            if total is not None:
                totals[resource] = _shown(total)
    return found


def _sum(spec: Mapping[str, Any], part: str, resource: str) -> Decimal | None:
    sidecars, most, is_given = Decimal(0), Decimal(0), False
    for where, container in walk_containers(spec):
        quantity = container.get("resources", {}).get(part, {}).get(resource)
        is_given = is_given or quantity is not None
        amount = number(quantity or 0)
        if where == "containers" or container.get("restartPolicy") == "Always":
            sidecars += amount
            most = max(most, sidecars)
        else:
            most = max(most, sidecars + amount)
    return most if is_given else None


def _shown(amount: Decimal) -> str:
    mib = amount / (1 << 20)
    return f"{mib.normalize():f}Mi" if mib >= 1 else f"{amount.normalize():f}"
