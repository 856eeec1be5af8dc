# SPDX-License-Identifier: GPL-3.0-or-later
"""Each pod's share of PostgreSQL's connections: the size of Prisma's pool. No I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._numbers import whole_number

# What Kubernetes takes for maxSurge where a Deployment says nothing (its API reference, RollingUpdateDeployment).
DEFAULT_SURGE = "25%"


def surge_pods(surge: int | str, max_replicas: int) -> int:
    """How many pods a rollout adds to ``max_replicas``: ``maxSurge``, of which a percentage is rounded up.

    Source: Kubernetes' API reference, ``RollingUpdateDeployment.maxSurge``.

    :raises TuningError: for what is neither a whole number nor a whole percentage.
    """
    percentage = re.fullmatch(r"([0-9]{1,9})%", surge) if isinstance(surge, str) else None
    if percentage:
        return -(-int(percentage[1]) * max_replicas // 100)
    try:
        return whole_number("surge", surge)
    except TuningError as error:
        raise TuningError("surge has to be maxSurge of the Deployment: a number of pods such as 2, or 25%") from error


@dataclass(frozen=True)
class Share:
    """What each of ``pods`` pods gets of the ``available`` connections. ``warning`` is empty when they suffice."""

    limit: int
    pods: int
    available: int
    warning: str = ""


def pool_share(
    max_connections: int, reserved: int, other_users: int, max_replicas: int, surge: int | str = DEFAULT_SURGE
) -> Share:
    """Divide what ``reserved`` slots and ``other_users`` leave among the most pods that a rollout can run at once.

    The limit is at least 1, since a pool of none serves nobody: with a ``warning`` where that is more than there is.

    :raises TuningError: for numbers that make no sense, such as no replicas.
    """
    available = (
        whole_number("max_connections", max_connections, 1)
        - whole_number("reserved", reserved)
        - whole_number("other_users", other_users)
    )
    replicas = whole_number("max_replicas", max_replicas, 1)
    pods = replicas + surge_pods(surge, replicas)
    if pods <= available:
        return Share(available // pods, pods, available)
    return Share(
        1,
        pods,
        available,
        f"one connection for each of {pods} pods ({replicas} replicas and {pods - replicas} of a rollout) is more than the "
        f"{available} that max_connections {max_connections} leaves beside {reserved} reserved and {other_users} of other "
        "users: put PgBouncer between, lower the replicas or the surge, or raise max_connections",
    )


def connection_limit(
    max_connections: int, reserved: int, other_users: int, max_replicas: int, surge: int | str = DEFAULT_SURGE
) -> int:
    """Connections of one pod's pool: floor((max connections - reserved - other users) / (replicas + surge)), at least 1.

    :raises TuningError: as pool_share() does, which also tells when even 1 is too much.
    """
    return pool_share(max_connections, reserved, other_users, max_replicas, surge).limit
