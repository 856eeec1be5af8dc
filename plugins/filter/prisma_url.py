# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters for Prisma's connection: documented in the .yml beside this file, worked out in module_utils/_prisma_*.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from ansible.errors import AnsibleFilterError
from ansible_collections.leadgen.tuning.plugins.module_utils import _prisma_share, _prisma_url
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError

Result = TypeVar("Result")


def prisma_url(
    url: Any,
    connection_limit: int | str,
    pool_timeout: int | str | None = None,
    pgbouncer_version: str | None = None,
    max_prepared_statements: int | str | None = None,
) -> str:
    """The URL with the pool's parameters and PgBouncer's flag set."""
    return _told(
        _prisma_url.prisma_url, str(url), connection_limit, pool_timeout, pgbouncer_version, max_prepared_statements
    )


def prisma_direct_url(url: Any, host: str, port: int | str = 5432) -> str:
    """The URL for migrations, without the pooler."""
    return _told(_prisma_url.direct_url, str(url), host, port)


def prisma_pool_environment(
    connection_limit: int | str, pool_timeout: int | str = 10, prefix: str = "DATABASE_POOL_"
) -> dict[str, str]:
    """The pool's size and timeout for a driver adapter."""
    return _told(_prisma_url.pool_environment, connection_limit, pool_timeout, prefix)


def prisma_connection_limit(
    max_connections: int | str,
    reserved: int | str,
    other_users: int | str,
    max_replicas: int | str,
    max_surge: int | str = _prisma_share.DEFAULT_SURGE,
) -> int:
    """Connections of one pod's pool."""
    return _told(_prisma_share.connection_limit, max_connections, reserved, other_users, max_replicas, max_surge)


def _told(function: Callable[..., Result], *arguments: Any) -> Result:
    try:
        return function(*arguments)
    except TuningError as error:
        raise AnsibleFilterError(str(error)) from None  # a cause would be shown a second time


class FilterModule:
    """What Ansible asks for the filters."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by name."""
        return {
            "prisma_connection_limit": prisma_connection_limit,
            "prisma_url": prisma_url,
            "prisma_direct_url": prisma_direct_url,
            "prisma_pool_environment": prisma_pool_environment,
        }
