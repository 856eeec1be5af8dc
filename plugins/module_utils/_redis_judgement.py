# SPDX-License-Identifier: GPL-3.0-or-later
"""What is refused of a Redis before anything is changed, and what is said although it is as the inventory has it. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._redis_host import Host
from ansible_collections.leadgen.tuning.plugins.module_utils._redis_memory import (
    Need,
    limit_of_process,
    mib,
    share_of,
    why_too_large,
)
from ansible_collections.leadgen.tuning.plugins.module_utils._redis_server import Decision, Server
from ansible_collections.leadgen.tuning.plugins.module_utils._redis_values import bytes_of

# Parameters that are read whatever is wanted, since others are judged by them.
JUDGED_BY = ("appendonly", "client-output-buffer-limit", "disable-thp", "maxmemory", "maxmemory-policy", "save")
_KEEPS_ALL = "noeviction"
_CLASS_SIZE = 4


def memory_of(server: Server, given: str) -> int:
    """The memory that the server may use: what the inventory says, else its control group's, else its host's.

    :raises TuningError: when the inventory's is no size.
    """
    if given:
        try:
            return bytes_of(given)
        except ValueError as error:
            raise TuningError(f"redis_memory on {server.endpoint}: {error}") from error
    of_group = limit_of_process(server.pid) if server.pid is not None else None
    of_host = int(server.about["total_system_memory"])
    return min(of_group or of_host, of_host)


def resolve_share(server: Server, name: str, given: Any, memory: int) -> Any:
    """``maxmemory`` in bytes where it is given as a share of the memory; all else as it is."""
    if name != "maxmemory" or not isinstance(given, str):
        return given
    try:
        share = share_of(given, memory)
    except ValueError as error:
        raise server.error(name, error) from error
    return given if share is None else share


def refuse(server: Server, host: Host, decisions: Sequence[Decision], memory: int, password: str | None) -> None:
    """Refuse a cache without a limit, a limit without the memory, clients without files, and a password that locks out.

    :raises TuningError: with what to do.
    """
    values = _values(server, decisions)
    named = {decision.name for decision in decisions}
    policy = values.get("maxmemory-policy", _KEEPS_ALL)
    # An evicting policy without a limit never evicts: the cache grows until the host has no memory left.
    if policy != _KEEPS_ALL and _bytes(values.get("maxmemory")) == 0 and named & {"maxmemory", "maxmemory-policy"}:
        raise server.error(
            "maxmemory", f"0 is no limit, with which {policy} never evicts; give a size, or a share such as 60%"
        )
    if "maxmemory" in named:
        reason = why_too_large(_need(server, values), memory)
        if reason:
            raise server.error("maxmemory", reason)
    for decision in decisions:
        if decision.name == "maxclients" and decision.set_it:
            reason = host.why_too_many_clients(int(decision.value))
            if reason:
                raise server.error("maxclients", reason)
        if decision.name == "requirepass" and decision.set_it and decision.value != (password or ""):
            raise server.error(
                "requirepass",
                "with another password than redis_connection.password this run could not go on; change it by hand",
            )


def warnings(server: Server, decisions: Sequence[Decision], persist: bool) -> list[str]:
    """What is as the inventory says, and still not what its author may think."""
    return [
        text
        for text in (
            _of_volatile_policy(server, decisions),
            _of_lost_data(server, decisions),
            _of_empty_primary(server, decisions),
            _of_unread_file(server, persist),
        )
        if text
    ]


def _of_volatile_policy(server: Server, decisions: Sequence[Decision]) -> str:
    policy = next((decision.value for decision in decisions if decision.name == "maxmemory-policy"), "")
    if not policy.startswith("volatile-"):
        return ""
    return (
        f"maxmemory-policy {policy} on {server.endpoint} evicts the keys that have a TTL and no others: "
        f"{server.keys('expires')} of its {server.keys()} keys have one, and those are what goes; keys that must stay "
        "belong to an instance of their own, with noeviction"
    )


def _of_lost_data(server: Server, decisions: Sequence[Decision]) -> str:
    changed = {decision.name for decision in decisions if decision.set_it}
    if not changed & {"appendonly", "save"} or _persists(_values(server, decisions)) or not _persists(server.running):
        return ""
    keys, expiring = server.keys(), server.keys("expires")
    return (
        f"without {' and '.join(sorted(changed & {'appendonly', 'save'}))} nothing of {server.endpoint} outlives a restart: "
        f"{keys} keys in {mib(int(server.about['used_memory']))}, of which {keys - expiring} have no TTL"
    )


def _of_empty_primary(server: Server, decisions: Sequence[Decision]) -> str:
    """See "Safety of replication when master has persistence turned off" in Redis's documentation of replication."""
    if _persists(_values(server, decisions)) or not server.replicas or server.is_replica:
        return ""
    return (
        f"{server.endpoint} keeps nothing on its disk and has {server.replicas} replicas: when it is started again by "
        "itself it is empty, and so are they; turn its automatic restart off, or persistence on"
    )


def _of_unread_file(server: Server, persist: bool) -> str:
    if not persist or not server.config_file or server.in_file is not None:
        return ""
    return f"{server.config_file} of {server.endpoint} cannot be read from where this runs, so drift in it is not seen"


def forks(server: Server, decisions: Sequence[Decision]) -> bool:
    """Whether the server would fork: for what it keeps on the disk, or for its replicas."""
    return _persists(_values(server, decisions)) or server.replicas > 0


def _values(server: Server, decisions: Sequence[Decision]) -> dict[str, str]:
    """The values as they would be."""
    return {**server.running, **{decision.name: decision.value for decision in decisions}}


def _persists(values: Mapping[str, str]) -> bool:
    return values.get("appendonly") == "yes" or bool(values.get("save"))


def _bytes(text: str | None) -> int:
    return bytes_of(text or "0")


def _need(server: Server, values: Mapping[str, str]) -> Need:
    about = server.about
    copied = [int(about.get(name, 0)) for name in ("rdb_last_cow_size", "aof_last_cow_size")]
    return Need(
        maxmemory=_bytes(values["maxmemory"]),
        forks=_persists(values) or server.replicas > 0,
        last_copied=max(copied),
        # From 7.0 on one buffer serves all replicas.
        replicas_wait=_limit_of_replicas(values)
        * (min(server.replicas, 1) if server.version >= (7, 0) else server.replicas),
    )


def _limit_of_replicas(values: Mapping[str, str]) -> int:
    parts = values.get("client-output-buffer-limit", "").split()
    for start in range(0, len(parts), _CLASS_SIZE):
        if parts[start] in ("replica", "slave"):
            return _bytes(parts[start + 1])
    return 0
