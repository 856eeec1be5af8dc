# SPDX-License-Identifier: GPL-3.0-or-later
"""A server of one's own: parameters through ALTER SYSTEM, one reload, and the server asked what it made of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils import _lists as lists
from ansible_collections.leadgen.tuning.plugins.module_utils import _postgres_memory as memory_of
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres import one_line, one_row
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_server import Server
from ansible_collections.leadgen.tuning.plugins.module_utils._settings import Configured, Decision, Parameter, written

try:
    import psycopg
    from psycopg import sql
except ImportError:  # connect() says so
    pass

_RELOAD_SECONDS = 10.0
_RELOAD_POLL_SECONDS = 0.02


class SelfHosted:
    """PostgreSQL as its own packages install it. A standby too: its parameters are its own."""

    reads_files = True

    def refuse(self, connection: psycopg.Connection[Any], server: Server, decisions: Sequence[Decision]) -> None:
        """Refuse broken files, missing privileges, a list that cannot be emptied, and a library that is not installed."""
        if not any(decision.needs for decision in decisions):
            return
        _refuse_server(server)
        for decision in (decision for decision in decisions if decision.write):
            _refuse_privilege(server, decision.name)
            _refuse_empty_list(server, decision)
            _refuse_missing_library(connection, server, decision)
            if server.remembers:
                _refuse_privilege(server, memory_of.SYSTEM)

    def write(self, connection: psycopg.Connection[Any], server: Server, decisions: Sequence[Decision]) -> None:
        """Write every entry, then reload once; put back what was written when one of them is refused."""
        entries: list[tuple[str, Any]] = [(decision.name, decision.value) for decision in decisions if decision.write]
        if server.remembers and entries:
            entries = _with_memory(server, entries)
        done: list[str] = []
        try:
            for name, value in entries:
                _alter_system(connection, server.parameters.get(name.lower()), name, value)
                done.append(name)
        except psycopg.Error as error:
            if connection.broken:
                raise  # the server is gone: the next run goes on from what is in the file
            _put_back(connection, server, done)
            raise server.error(
                entries[len(done)][0], f"the server refused it: {one_line(error)}; nothing was changed"
            ) from error
        if any(decision.needs for decision in decisions):
            try:
                _reload(connection)
                _prove(connection, server, decisions)
            except TuningError:
                _put_back(connection, server, done)
                connection.execute("select pg_reload_conf()")
                raise


def _refuse_server(server: Server) -> None:
    if server.broken:
        raise TuningError(
            f"postgres_settings on {server.endpoint}: the server cannot load its configuration: {server.broken[0]}; "
            "mend that line first"
        )
    if not server.can_reload:
        raise TuningError(
            f"postgres_connection.user on {server.endpoint}: the role may not reload the server; "
            "grant it EXECUTE on pg_reload_conf(), or connect as a superuser"
        )


def _refuse_privilege(server: Server, name: str) -> None:
    if not server.alter_system_allowed:
        origin = server.origins.get("allow_alter_system") or "the server's command line"
        raise server.error(
            name,
            f"{origin} sets allow_alter_system to off; change the value where the server's owner keeps its parameters, or "
            "set that to on and reload",
        )
    if name.lower() not in server.privileged:
        raise server.error(
            name,
            "the role may not set it; as a superuser run "
            f"GRANT ALTER SYSTEM ON PARAMETER {name} (PostgreSQL 15 or later), or connect as a superuser",
        )


def _refuse_empty_list(server: Server, decision: Decision) -> None:
    """An empty list can only be had by leaving the parameter out: ALTER SYSTEM would write one empty, quoted name."""
    manual = server.configured.get(decision.name.lower(), Configured()).manual
    if decision.value == () and lists.LIST_PARAMETERS.get(decision.name.lower()) and manual:
        raise server.error(
            decision.name,
            f"it cannot be made empty from here while a configuration file sets it to {manual!r}; edit that",
        )


def _refuse_missing_library(connection: psycopg.Connection[Any], server: Server, decision: Decision) -> None:
    """A library that is not installed keeps the server from starting again; LOAD tells without any harm."""
    if decision.name not in lists.PRELOAD_LIBRARIES or not server.superuser or not isinstance(decision.value, tuple):
        return
    present = lists.split_list(decision.name, decision.before)
    for library in decision.value:
        if library in present:
            continue
        try:
            connection.execute(sql.SQL("load {}").format(sql.Literal(library)))
        except psycopg.errors.UndefinedFile as error:
            raise server.error(
                decision.name,
                f"the library {library} is not installed on the server, which could not start with it; install its "
                "package (postgresql-contrib has pg_stat_statements)",
            ) from error
        except psycopg.Error:
            continue


def _with_memory(server: Server, entries: Sequence[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """The entries between two of the memory: one that claims what is about to be written, one without what was taken out.

    The claim comes first, so that a run that is killed in the middle forgets nothing; it holds no one else's value, since
    that has another fingerprint.
    """
    kept = {name: mark for name, mark in server.memory.items() if server.is_ours(name)}
    texts = {name.lower(): _stored(server, name, value) for name, value in entries}
    claim = {**kept, **memory_of.remember({name: text for name, text in texts.items() if text is not None})}
    settled = {name: mark for name, mark in claim.items() if texts.get(name, "") is not None}
    around = [(memory_of.SYSTEM, memory_of.dump(claim)), *entries]
    return around if settled == claim else [*around, (memory_of.SYSTEM, memory_of.dump(settled) if settled else None)]


def _stored(server: Server, name: str, value: Any) -> str | None:
    """A value as memory_of.plain() will read it back from the file; None for no entry."""
    if isinstance(value, tuple):
        return memory_of.plain_list(value) if value or not lists.LIST_PARAMETERS[name.lower()] else None
    return None if value is None else written(server.parameters.get(name.lower()), value)


def _alter_system(connection: psycopg.Connection[Any], parameter: Parameter | None, name: str, value: Any) -> None:
    identifier = sql.Identifier(*name.split("."))
    if name == memory_of.SYSTEM:
        connection.execute(sql.SQL("set {} = ''").format(identifier))  # or it is taken for a misspelling
    if value is None or (value == () and lists.LIST_PARAMETERS[name.lower()]):
        connection.execute(sql.SQL("alter system reset {}").format(identifier))
        return
    if parameter is not None and parameter.running is None:
        # Without this the server takes a parameter whose library is not loaded for a misspelling.
        connection.execute(sql.SQL("set {} = {}").format(identifier, sql.Literal(written(parameter, value))))
    elements = (value or ("",)) if isinstance(value, tuple) else (written(parameter, value),)
    literals = sql.SQL(", ").join(map(sql.Literal, elements))
    connection.execute(sql.SQL("alter system set {} = {}").format(identifier, literals))


def _put_back(connection: psycopg.Connection[Any], server: Server, names: Sequence[str]) -> None:
    """Make postgresql.auto.conf say again what it said before."""
    for name in reversed(names):
        before: Any = server.automatic(name)
        if before is not None and name.lower() in lists.LIST_PARAMETERS:
            before = lists.split_list(name, before)
        _alter_system(connection, None, name, before)


def _reload(connection: psycopg.Connection[Any]) -> None:
    """Reload, and wait until this session has loaded the files too, so that what it reads next is the new state."""
    load_time = "select pg_conf_load_time() as at"
    before = one_row(connection.execute(load_time))["at"]
    connection.execute("select pg_reload_conf()")
    deadline = time.monotonic() + _RELOAD_SECONDS
    while one_row(connection.execute(load_time))["at"] == before:
        if time.monotonic() > deadline:
            raise TuningError(
                f"postgres_settings: the server was told to reload and had not after {_RELOAD_SECONDS:.0f} s; "
                "see its log for the reason"
            )
        time.sleep(_RELOAD_POLL_SECONDS)


def _prove(connection: psycopg.Connection[Any], server: Server, decisions: Sequence[Decision]) -> None:
    """Ask the server what it made of its files: what it did not take is an error, not a success."""
    rows = connection.execute(
        "select name, error from pg_file_settings where not applied and error is not null and name = any(%s)",
        ([decision.name for decision in decisions if decision.needs == "reload"],),
    )
    for row in rows:
        raise server.error(row["name"], f"written, and the server did not take it: {row['error']}; see its log")
