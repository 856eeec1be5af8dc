# SPDX-License-Identifier: GPL-3.0-or-later
"""Redis's parameters: read, decide, CONFIG SET all at once, CONFIG REWRITE, prove."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._owners import owner_arguments, owners, select
from ansible_collections.leadgen.tuning.plugins.module_utils._redis import connect, connection_argument, endpoint
from ansible_collections.leadgen.tuning.plugins.module_utils._redis_parameters import DEFAULTS, SECRETS
from ansible_collections.leadgen.tuning.plugins.module_utils._redis_values import canonical, file_values, parse_conf

if TYPE_CHECKING:
    from ansible_collections.leadgen.tuning.plugins.module_utils._redis import Client

try:
    from redis.exceptions import NoPermissionError, ResponseError
except ImportError:  # connect() says so
    pass

ARGUMENT_SPEC: dict[str, Any] = {
    **connection_argument(),
    "settings": {"type": "dict", "required": True},
    **owner_arguments(),
    "persist": {"type": "bool", "default": True},
    "verify": {"type": "bool", "default": False},
}

HIDDEN = "(hidden)"
_SETS_TOGETHER_SINCE = (7, 0)
_REWRITE = "rewrite"


@dataclass
class Server:
    """What was read of one server, before anything was decided."""

    endpoint: str
    version: tuple[int, ...]
    config_file: str
    running: dict[str, str]  # in the server's own words
    in_file: dict[str, str] | None  # None where its redis.conf cannot be read from here

    def error(self, name: str, reason: object) -> TuningError:
        """An error about one entry of the inventory's dictionary."""
        return TuningError(f"redis_settings.{name} on {self.endpoint}: {reason}")


@dataclass(frozen=True)
class Decision:
    """What one parameter needs: texts to show, and whether the server or only its file has to change."""

    name: str
    before: str
    after: str
    value: str
    set_it: bool
    rewrite: bool


def reconcile(options: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    """Bring ``settings`` about, those of the controls in ``only``; in check mode say what that would change.

    :raises TuningError: for a wrong name or value, a missing privilege, or a server that cannot be reached; nothing has
        been changed then, unless the text says that the running values were and the file was not.
    """
    wanted = select(options)
    with connect(options["connection"]) as client:
        server = _read(client, options["connection"], [name.lower() for name in wanted])
        decisions = [_decide(server, name, given, options["persist"]) for name, given in wanted.items()]
        _refuse_unbounded_cache(server, decisions)
        _refuse_to_lock_out(server, decisions, options["connection"].get("password"))
        changes = [decision for decision in decisions if decision.set_it or decision.rewrite]
        if changes and options["verify"]:
            found = changes[0]
            raise server.error(found.name, f"verification found {found.before or 'nothing'} where {found.after} is wanted")
        if changes and options["persist"] and not server.config_file:
            raise TuningError(
                f"redis_settings on {server.endpoint}: the server was started without a configuration file, so nothing can "
                "outlive a restart; start it with one, or set redis_persist to false"
            )
        if changes and not check_mode:
            _write(client, server, changes, options["persist"])
    result = _result(server, changes, options["controls"])
    result["warnings"] = _warnings(server, decisions, options["persist"])
    return result


def _read(client: Client, where: Mapping[str, Any], names: list[str]) -> Server:
    """One round trip, whatever the number of parameters; a name a call serves servers before 7.0 too."""
    pipeline = client.pipeline(transaction=False)
    pipeline.info("server")
    for name in names:
        pipeline.config_get(name)
    try:
        about, *answers = pipeline.execute()
    except ResponseError as error:
        raise TuningError(f"redis_connection on {endpoint(where)}: {error}; the user needs INFO and CONFIG GET") from error
    running = {name: str(answer[name]) for name, answer in zip(names, answers, strict=True) if name in answer}
    config_file = about.get("config_file", "")
    return Server(
        endpoint=endpoint(where),
        version=tuple(int(part) for part in about["redis_version"].split(".")[:2]),
        config_file=config_file,
        running=running,
        in_file=_read_file(config_file) if config_file and _runs_here(about) else None,
    )


def _runs_here(about: Mapping[str, Any]) -> bool:
    """Whether the server is a process of this very machine, so that the path of its file means the same here.

    A forwarded port or a container has another process, or none, under the id that the server gives.
    """
    try:
        with open(f"/proc/{about['process_id']}/cmdline", "rb") as file:
            title = file.read().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return False
    return title.startswith(("redis-server", "valkey-server", "/")) and f":{about['tcp_port']}" in title


def _read_file(path: str) -> dict[str, str] | None:
    """The values of a redis.conf and of the files that it includes; None when one cannot be read."""
    directives: list[tuple[str, list[str]]] = []
    if not _collect(path, directives, 0):
        return None
    return file_values(directives)


def _collect(path: str, directives: list[tuple[str, list[str]]], depth: int) -> bool:
    too_deep = 16
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            found = parse_conf(file.read())
    except OSError:
        return False
    except ValueError as error:
        raise TuningError(f"redis_settings: {path} cannot be understood: {error}; mend that line first") from error
    for name, words in found:
        if name != "include":
            directives.append((name, words))
            continue
        for pattern in words:
            for included in sorted(glob.glob(os.path.join(os.path.dirname(path), pattern))):
                if depth >= too_deep or not _collect(included, directives, depth + 1):
                    return False
    return True


def _decide(server: Server, given_name: str, given: Any, persist: bool) -> Decision:
    name = given_name.lower()
    if name not in server.running:
        version = ".".join(map(str, server.version))
        raise server.error(
            given_name, f"Redis {version} has no such parameter, or hides it from this user; check its spelling"
        )
    present = server.running[name]
    try:
        wanted = canonical(name, given, present)
        running = canonical(name, present, present)
    except ValueError as error:
        raise server.error(given_name, error) from error
    in_file = _file_value(server, name, present) if persist else None
    stale_file = in_file is not None and in_file != wanted
    before = running if running != wanted or in_file is None else in_file
    if name in SECRETS:
        return Decision(name, f"{HIDDEN}, another", HIDDEN, wanted, running != wanted, stale_file)
    return Decision(name, before, wanted, wanted, running != wanted, stale_file)


def _warnings(server: Server, decisions: list[Decision], persist: bool) -> list[str]:
    """What is as the inventory says, and still not what its author may think."""
    policy = next((decision.value for decision in decisions if decision.name == "maxmemory-policy"), "")
    found = []
    if policy.startswith("volatile-"):
        found.append(
            f"maxmemory-policy {policy} on {server.endpoint} evicts the keys that have a TTL and no others: sessions with a "
            "TTL are what goes; keys that must stay belong to an instance of their own, with noeviction"
        )
    if persist and server.config_file and server.in_file is None:
        found.append(
            f"{server.config_file} of {server.endpoint} cannot be read from where this runs, so drift in it is not seen"
        )
    return found


def _refuse_unbounded_cache(server: Server, decisions: list[Decision]) -> None:
    """An evicting policy without a limit never evicts: the cache grows until the host has no memory left."""
    values = {decision.name: decision.value for decision in decisions}
    if values.get("maxmemory-policy", "noeviction") != "noeviction" and values.get("maxmemory") == "0":
        raise server.error("maxmemory", f"0 is no limit, with which {values['maxmemory-policy']} never evicts; give a size")


def _refuse_to_lock_out(server: Server, decisions: list[Decision], password: str | None) -> None:
    for decision in decisions:
        if decision.name == "requirepass" and decision.set_it and decision.value != (password or ""):
            raise server.error(
                "requirepass",
                "with another password than redis_connection.password this run could not go on; change it by hand",
            )


def _file_value(server: Server, name: str, present: str) -> str | None:
    """What the server's file stands for, canonical; None where that cannot be known."""
    if server.in_file is None:
        return None
    text = server.in_file.get(name, DEFAULTS.get(name))
    if text is None:
        return None
    try:
        return canonical(name, text, DEFAULTS.get(name, present))
    except ValueError:
        return text  # a wrong value: it differs from anything that is right


def _write(client: Client, server: Server, changes: list[Decision], persist: bool) -> None:
    wanted = {decision.name: decision.value for decision in changes if decision.set_it}
    _set(client, server, wanted)
    _prove(client, server, wanted)
    if persist:
        _rewrite(client, server, wanted)


def _set(client: Client, server: Server, wanted: Mapping[str, str]) -> None:
    """Set all or none: Redis does so itself from 7.0, and before that what was set is put back."""
    done: list[str] = []
    batches = [wanted] if server.version >= _SETS_TOGETHER_SINCE else [{name: text} for name, text in wanted.items()]
    for batch in filter(None, batches):
        arguments = [word for pair in batch.items() for word in pair]
        try:
            client.execute_command("CONFIG SET", *arguments)
        except NoPermissionError:
            raise
        except ResponseError as error:
            for name in done:
                client.execute_command("CONFIG SET", name, server.running[name])
            named = next((name for name in batch if name in str(error)), next(iter(batch)))
            raise server.error(named, f"Redis refused it: {error}; nothing was changed") from error
        done.extend(batch)


def _rewrite(client: Client, server: Server, wanted: Mapping[str, str]) -> None:
    try:
        client.execute_command("CONFIG REWRITE")
    except NoPermissionError:
        raise
    except ResponseError as error:
        applied = f"{', '.join(wanted)} now in force until the next restart" if wanted else "nothing was changed"
        raise TuningError(
            f"redis_settings on {server.endpoint}: Redis could not write {server.config_file}: {error}; {applied}; let the "
            "server's user write the file and its folder, or set redis_persist to false"
        ) from error


def _prove(client: Client, server: Server, wanted: Mapping[str, str]) -> None:
    pipeline = client.pipeline(transaction=False)
    for name in wanted:
        pipeline.config_get(name)
    for name, answer in zip(wanted, pipeline.execute(), strict=True):
        if canonical(name, answer[name], answer[name]) != wanted[name]:
            former = [word for given in wanted for word in (given, server.running[given])]
            client.execute_command("CONFIG SET", *former)
            raise server.error(
                name,
                f"set to {wanted[name]!r}, which the server made {answer[name]!r}; nothing was changed, write it that way",
            )


def _result(server: Server, changes: list[Decision], controls: Mapping[str, Any]) -> dict[str, Any]:
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
            if decision.set_it and decision.name not in SECRETS
        },
        "server_version": ".".join(map(str, server.version)),
    }
