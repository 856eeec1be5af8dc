# SPDX-License-Identifier: GPL-3.0-or-later
"""A server of one's own: CONFIG SET, the append-only file waited for, and then the file that outlives a restart."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._redis_include import Include
from ansible_collections.leadgen.tuning.plugins.module_utils._redis_values import canonical

if TYPE_CHECKING:
    from ansible_collections.leadgen.tuning.plugins.module_utils._redis import Client
    from ansible_collections.leadgen.tuning.plugins.module_utils._redis_server import Decision, Server

try:
    from redis.exceptions import NoPermissionError, ResponseError
except ImportError:  # connect() says so
    pass

_SETS_TOGETHER_SINCE = (7, 0)
_POLL_SECONDS = 0.05
# A failure is told at once; this is for a disk that hangs. 100 GB at 50 MB/s take a third of it.
SECONDS = 7200.0
_AOF, _SAVE = "appendonly", "save"


class SelfHosted:
    """Redis or Valkey as its packages install it, standalone or replicated: each node has its parameters for itself."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.persist = bool(options["persist"])
        self.path = options["include_file"]
        self.include: Include | None = None

    def refuse(self, server: Server, decisions: Sequence[Decision]) -> None:
        """Refuse what nothing could keep over a restart."""
        changes = [decision for decision in decisions if decision.set_it or decision.rewrite]
        if not changes or not self.persist:
            return
        if not server.config_file:
            raise TuningError(
                f"redis_settings on {server.endpoint}: the server was started without a configuration file, so nothing can "
                "outlive a restart; start it with one, or set redis_persist to false"
            )
        if self.path:
            self.include = Include(server, self.path, decisions)

    def write(self, client: Client, server: Server, decisions: Sequence[Decision]) -> None:
        """What adds durability first, and what takes some away once that is there; then the file."""
        wanted = {decision.name: decision.value for decision in decisions if decision.set_it}
        values = {**server.running, **{decision.name: decision.value for decision in decisions}}
        losing = _losing(wanted, values)
        done: dict[str, str] = {}
        try:
            _set(client, server, {name: text for name, text in wanted.items() if name not in losing}, done)
            self._wait_for_files(client, server, values, losing)
            _set(client, server, {name: wanted[name] for name in losing}, done)
            _prove(client, server, wanted)
        except (TuningError, ResponseError):
            _put_back(client, server, done)
            raise
        try:
            if self.include:
                self.include.write()
            elif self.persist:
                _rewrite(client, server)
        except TuningError as error:
            raise _with_what_is_in_force(error, decisions) from error

    def _wait_for_files(self, client: Client, server: Server, values: Mapping[str, str], losing: Sequence[str]) -> None:
        """Wait for a whole append-only file where one is wanted, and for a snapshot where that is to do without one."""
        if _AOF in losing:
            before = client.info("persistence")
            if not before["rdb_bgsave_in_progress"]:
                client.execute_command("BGSAVE", "SCHEDULE")  # or once the append-only file that is being written is whole
            _wait(client, server, before, _snapshot_is_whole)
        elif values.get(_AOF) == "yes":
            _wait(client, server, server.about, _aof_is_whole)


def _losing(wanted: Mapping[str, str], values: Mapping[str, str]) -> list[str]:
    """The changes that leave the data with one way of persistence less, while another way has first to be there."""
    if wanted.get(_AOF) == "yes" and wanted.get(_SAVE) == "":
        return [_SAVE]
    return [_AOF] if wanted.get(_AOF) == "no" and values.get(_SAVE) else []


def _aof_is_whole(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool | None:
    if _has_failed(before, now, "aof_last_bgrewrite_status") or _has_failed(before, now, "aof_last_write_status"):
        return None
    return (
        not now["aof_rewrite_in_progress"] and not now["aof_rewrite_scheduled"] and now["aof_last_bgrewrite_status"] == "ok"
    )


def _snapshot_is_whole(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool | None:
    if _has_failed(before, now, "rdb_last_bgsave_status"):
        return None
    # Redis 7.0 counts them, each when it begins.
    saved = "rdb_saves" if "rdb_saves" in now else "rdb_last_save_time"
    begun = now[saved] > before[saved] or before["rdb_bgsave_in_progress"]
    return bool(begun and not now["rdb_bgsave_in_progress"])


def _has_failed(before: Mapping[str, Any], now: Mapping[str, Any], status: str) -> bool:
    """Whether it was well before; one that had failed already is told from a new failure by its success alone."""
    return bool(before.get(status, "ok") == "ok" and now.get(status, "ok") != "ok")


def _wait(
    client: Client,
    server: Server,
    before: Mapping[str, Any],
    is_done: Callable[[Mapping[str, Any], Mapping[str, Any]], bool | None],
) -> None:
    """Wait until what writes the data is done; None of ``is_done`` is that it failed."""
    deadline = time.monotonic() + SECONDS
    while not (done := is_done(before, client.info("persistence"))):
        if done is None:
            raise server.error(
                _AOF,
                "Redis could not write its data to the disk (see its log); nothing was changed, make room and run again",
            )
        if time.monotonic() > deadline:
            raise server.error(
                _AOF,
                f"Redis has not written its data to the disk in {SECONDS:.0f} s; nothing was changed, see its log",
            )
        time.sleep(_POLL_SECONDS)


def _set(client: Client, server: Server, wanted: Mapping[str, str], done: dict[str, str]) -> None:
    """Set all or none: Redis does so itself from 7.0; what was set before 7.0 is in ``done``, as is what is set now."""
    batches = [wanted] if server.version >= _SETS_TOGETHER_SINCE else [{name: text} for name, text in wanted.items()]
    for batch in filter(None, batches):
        try:
            client.execute_command(server.config_command, "SET", *(word for pair in batch.items() for word in pair))
        except NoPermissionError:
            raise
        except ResponseError as error:
            named = next((name for name in batch if name in str(error)), next(iter(batch)))
            raise server.error(named, f"Redis refused it: {error}; nothing was changed") from error
        done.update(batch)


def _put_back(client: Client, server: Server, done: Mapping[str, str]) -> None:
    for name in done:
        client.execute_command(server.config_command, "SET", name, server.running[name])


def _prove(client: Client, server: Server, wanted: Mapping[str, str]) -> None:
    pipeline = client.pipeline(transaction=False)
    for name in wanted:
        pipeline.execute_command(server.config_command, "GET", name)
    for name, answer in zip(wanted, pipeline.execute(), strict=True):
        if canonical(name, answer[1], answer[1]) != wanted[name]:
            raise server.error(
                name,
                f"set to {wanted[name]!r}, which the server made {answer[1]!r}; nothing was changed, write it that way",
            )


def _rewrite(client: Client, server: Server) -> None:
    try:
        client.execute_command(server.config_command, "REWRITE")
    except NoPermissionError:
        raise
    except ResponseError as error:
        raise TuningError(
            f"redis_settings on {server.endpoint}: Redis could not write {server.config_file}: {error}; let the server's "
            "user write the file and its folder, name redis_include_file, or set redis_persist to false"
        ) from error


def _with_what_is_in_force(error: TuningError, decisions: Sequence[Decision]) -> TuningError:
    """The error that nothing outlives a restart, with what has changed until then, for the log."""
    applied = [decision for decision in decisions if decision.set_it]
    names = ", ".join(decision.name for decision in applied)
    said = f"until the next restart there are in force: {names}" if applied else "nothing was changed"
    return TuningError(
        f"{error}; {said}",
        {
            "changed": bool(applied),
            "diff": {
                "before": {decision.name: decision.before for decision in applied},
                "after": {decision.name: decision.after for decision in applied},
            },
        },
    )
