# SPDX-License-Identifier: GPL-3.0-or-later
"""The size of each pod's pool of connections: its share of what all pods of the workload may hold together. No I/O.

It counts the most pods that there can be, those of the autoscaler's maximum and of a rollout: today's number breaks with the
next rollout.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_limits import surge_of
from ansible_collections.leadgen.tuning.plugins.module_utils._prisma_share import pool_share
from ansible_collections.leadgen.tuning.plugins.module_utils._prisma_url import pool_environment, prisma_url

# The value of a key of a Secret; None where there is none.
Value = Callable[[str, str], str | None]


@dataclass
class Pool:
    """What sets the size: variables by container, and values by Secret with what of them makes the pods anew."""

    environment: dict[str, dict[str, str]] = field(default_factory=dict)
    secrets: dict[str, dict[str, str]] = field(default_factory=dict)
    marks: dict[str, dict[str, str]] = field(default_factory=dict)
    warning: str = ""


def most_pods(wish: Mapping[str, Any], workload: Mapping[str, Any]) -> int:
    """Of the autoscaler's maximum or the replicas, and of a rollout beside them."""
    scaling = wish["autoscaling"]
    pods: int = scaling["max_replicas"] if scaling else workload["spec"].get("replicas", 1)
    return pods + surge_of(workload, pods)


def pool_of(wish: Mapping[str, Any], workload: Mapping[str, Any], value: Value) -> Pool:
    """What the wish's ``connection_pool`` takes: variables for a driver adapter, parameters in the URL of a Secret, or both.

    :raises TuningError: when the Secret has no URL there, without repeating any of it.
    """
    wished = wish["connection_pool"]
    if not wished:
        return Pool()
    pods = most_pods(wish, workload)
    share = pool_share(wished["connections"], 0, 0, max(1, pods), 0)
    warning = f"{pods} pods are more than {share.available} connections" if share.warning else ""
    pool = Pool(warning=warning)
    for container in wished["containers"]:
        pool.environment[container] = pool_environment(share.limit, wished["pool_timeout"], wished["prefix"])
    if wished["secret"]:
        name, key = wished["secret"], wished["key"]
        url = wish["secrets"].get(name, {}).get(key) or value(name, key)
        if not url:
            raise TuningError(f"connection_pool: Secret {name} has no {key}; give it in secrets")
        pool.secrets[name] = {key: prisma_url(str(url), share.limit, wished["pool_timeout"])}
        # Only this, so that a password which another program changes makes no pods anew.
        pool.marks[name] = {key: f"{share.limit} {wished['pool_timeout']}"}
    return pool
