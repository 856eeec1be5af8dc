# SPDX-License-Identifier: GPL-3.0-or-later
"""Redis's parameters: read, decide, refuse, and have the kind of server bring them about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._owners import owner_arguments, owners, select
from ansible_collections.leadgen.tuning.plugins.module_utils._redis import connect, connection_argument, endpoint
from ansible_collections.leadgen.tuning.plugins.module_utils._redis_host import Host
from ansible_collections.leadgen.tuning.plugins.module_utils._redis_judgement import (
    JUDGED_BY,
    forks,
    memory_of,
    refuse,
    resolve_share,
    warnings,
)
from ansible_collections.leadgen.tuning.plugins.module_utils._redis_kinds import kind_of
from ansible_collections.leadgen.tuning.plugins.module_utils._redis_parameters import SECRETS
from ansible_collections.leadgen.tuning.plugins.module_utils._redis_server import Decision, Server, read_server
from ansible_collections.leadgen.tuning.plugins.module_utils._redis_values import canonical, refuse_two_names
from ansible_collections.leadgen.tuning.plugins.module_utils._settings import HIDDEN

# The first that matches counts. Known here and not handed in, since templates of a task cost every host their milliseconds.
CONTROLS: dict[str, list[str]] = {
    "redis.eviction": ["lfu-*", "maxmemory", "maxmemory-*"],
    "redis.persistence": [
        "aof-*",
        "appendfsync",
        "appendonly",
        "auto-aof-*",
        "no-appendfsync-on-rewrite",
        "rdb*",
        "save",
        "stop-writes-on-bgsave-error",
        # of the host: forks need them
        "vm.*",
        "transparent_hugepage",
    ],
    "redis.parameters": ["*"],
}
ARGUMENT_SPEC: dict[str, Any] = {
    **connection_argument(),
    "settings": {"type": "dict", "default": {}},
    "profile": {"type": "str", "default": ""},
    "profiles": {"type": "dict", "default": {}},
    "replica_settings": {"type": "dict", "default": {}},
    **owner_arguments(),
    "controls": {"type": "dict", "default": CONTROLS},
    "persist": {"type": "bool", "default": True},
    "include_file": {"type": "path", "default": ""},
    "memory": {"type": "str", "default": ""},
    "manage_host": {"type": "bool", "default": False},
    "verify": {"type": "bool", "default": False},
}
_REWRITE = "rewrite"
# Sessions with a TTL are exactly what volatile-lru would evict.
PROFILES: dict[str, dict[str, Any]] = {
    "cache": {"maxmemory-policy": "allkeys-lru", "save": "", "appendonly": False},
    "sessions": {"maxmemory-policy": "noeviction", "save": "", "appendonly": True, "appendfsync": "everysec"},
    "durable": {"maxmemory-policy": "noeviction", "appendonly": True, "appendfsync": "everysec"},
    "queue": {"maxmemory-policy": "noeviction"},
}


def reconcile(options: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    """Bring ``settings`` about, those of the controls in ``only``; in check mode say what that would change.

    :raises TuningError: for a wrong name or value, a missing privilege, or a server that cannot be reached; nothing has
        been changed then, unless the text says that the running values were and the file was not.
    """
    given = select({**options, "settings": {**_of_profile(options), **options["settings"]}})
    of_replicas = select({**options, "settings": options["replica_settings"]})
    try:
        refuse_two_names({**given, **of_replicas})
    except ValueError as error:
        raise TuningError(f"redis_settings on {endpoint(options['connection'])}: {error}") from error
    with connect(options["connection"]) as client:
        names = {name.lower() for name in (*given, *of_replicas, *JUDGED_BY)}
        server = read_server(client, options["connection"], sorted(names))
        kind = kind_of(server, dict(options))
        wanted = {**_lower(given), **_lower(of_replicas)} if server.is_replica else _lower(given)
        memory = memory_of(server, options["memory"])
        decisions = [
            _decide(server, name, resolve_share(server, name, value, memory), options["persist"])
            for name, value in wanted.items()
        ]
        host = Host(server)
        of_host = host.decisions() if options["manage_host"] else []
        changes = [decision for decision in decisions if decision.set_it or decision.rewrite] + of_host
        if changes and options["verify"]:
            found = changes[0]
            raise server.error(found.name, f"verification found {found.before or 'nothing'} where {found.after} is wanted")
        refuse(server, host, decisions, memory, options["connection"].get("password"))
        kind.refuse(server, decisions)
        if of_host and not check_mode:
            host.write()
        if len(changes) > len(of_host) and not check_mode:
            kind.write(client, server, decisions)
    result = _result(server, changes, options["controls"])
    result["warnings"] = warnings(server, decisions, options["persist"])
    if not options["manage_host"]:
        result["warnings"] += host.warnings(server.running, forks(server, decisions))
    return result


def _of_profile(options: Mapping[str, Any]) -> dict[str, Any]:
    name, profiles = options["profile"], {**PROFILES, **options["profiles"]}
    if not name:
        return {}
    found = profiles.get(name)
    if not isinstance(found, Mapping):
        reason = f"is none of {', '.join(profiles)}" if found is None else "has to be a dictionary of parameters"
        raise TuningError(f"redis_profile on {endpoint(options['connection'])}: {name} {reason}")
    return dict(found)


def _lower(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name.lower(): value for name, value in settings.items()}


def _decide(server: Server, name: str, given: Any, persist: bool) -> Decision:
    if name not in server.running:
        raise server.error(name, f"{server.product} has no such parameter, or hides it from this user; check its spelling")
    present = server.running[name]
    try:
        wanted = canonical(name, given, present)
        running = canonical(name, present, present)
    except ValueError as error:
        raise server.error(name, error) from error
    in_file = server.standing(name) if persist else None
    stale_file = in_file is not None and in_file != wanted
    before = running if running != wanted or in_file is None else in_file
    if name in SECRETS:
        return Decision(name, f"{HIDDEN}, another", HIDDEN, wanted, running != wanted, stale_file)
    return Decision(name, before, wanted, wanted, running != wanted, stale_file)


def _result(server: Server, changes: Iterable[Decision], controls: Mapping[str, Any]) -> dict[str, Any]:
    changes = list(changes)
    return {
        "changed": bool(changes),
        "diff": {
            "before": {decision.name: decision.before for decision in changes},
            "after": {decision.name: decision.after for decision in changes},
        },
        "needs": {decision.name: _REWRITE for decision in changes if not decision.set_it},
        "restart_required": False,
        "pending_restart": [],
        "owners": owners([decision.name for decision in changes], controls),
        "previous": {
            decision.name: server.running[decision.name]
            for decision in changes
            if decision.set_it and decision.name in server.running and decision.name not in SECRETS
        },
        "server_version": ".".join(map(str, server.version)),
    }
