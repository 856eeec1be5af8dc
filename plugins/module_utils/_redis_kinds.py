# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells the kinds of Redis apart, by what any user may read.

A kind is one class with ``refuse`` and ``write``, in a file of its own: another one is added there and named in ``kind_of``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._redis_self_hosted import SelfHosted

if TYPE_CHECKING:
    from ansible_collections.leadgen.tuning.plugins.module_utils._redis import Client
    from ansible_collections.leadgen.tuning.plugins.module_utils._redis_server import Decision, Server

# What INFO says of a service: a field, and how its value begins. Self-hosted servers have the system's name in ``os``.
_SERVICES = {
    "Amazon ElastiCache or MemoryDB": ("os", "Amazon"),
    "Redis Enterprise or Redis Cloud": ("rlec_version", ""),
}
_MODES = {"sentinel": "Redis Sentinel", "cluster": "Redis Cluster"}


class Kind(Protocol):
    """What can be done with a kind of server."""

    def refuse(self, server: Server, decisions: Sequence[Decision]) -> None:
        """Refuse what could not be done, before anything is."""

    def write(self, client: Client, server: Server, decisions: Sequence[Decision]) -> None:
        """Bring the changes about, those that are none left out, or leave all as it was and say why."""


def kind_of(server: Server, options: dict[str, Any]) -> Kind:
    """The kind of server; a replica is one of its own, since its parameters are.

    :raises TuningError: for a kind that cannot be done yet, by its name where that is known.
    """
    for name, (field, begins) in _SERVICES.items():
        if field in server.about and str(server.about[field]).startswith(begins):
            raise TuningError(
                f"redis_connection: {server.endpoint} is {name}, whose parameters are set by the service itself; take it "
                "out of the group redis, and set its parameter group by hand"
            )
    mode = _MODES.get(str(server.about.get("redis_mode") or server.about.get("server_mode")))
    if mode:
        raise TuningError(
            f"redis_connection: {server.endpoint} is {mode}, which is not tuned yet; name the servers that keep the data, "
            "standalone or replicated, in the group redis"
        )
    if server.config_error:
        raise TuningError(
            f"redis_connection on {server.endpoint}: {server.config_error}; {server.config_command} is renamed there, and "
            "redis_connection.config_command has to name it, or this is a managed service, whose parameters are set "
            "by its own parameter group and not over this connection"
        )
    return SelfHosted(options)
