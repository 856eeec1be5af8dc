# SPDX-License-Identifier: GPL-3.0-or-later
"""Server-wide parameters through ALTER SYSTEM: read, decide, write, reload once, prove."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils import _lists as lists
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._owners import owner_arguments, owners, select
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres import (
    connect,
    connection_argument,
    endpoint,
    one_line,
    one_row,
)
from ansible_collections.leadgen.tuning.plugins.module_utils._settings import (
    SECRET_PARAMETERS,
    SELECT_PARAMETERS,
    Configured,
    Decision,
    Parameter,
    decide,
    make_parameter,
    pg_stat_statements_parameters,
    written,
)

try:
    import psycopg
    from psycopg import sql
except ImportError:  # connect() says so
    pass

ARGUMENT_SPEC: dict[str, Any] = {
    **connection_argument(),
    "settings": {"type": "dict", "required": True},
    **owner_arguments(),
    "verify": {"type": "str", "choices": ["configured", "running"]},
}

_RELOAD_SECONDS = 10.0
_RELOAD_POLL_SECONDS = 0.02
_PARAMETER_PRIVILEGES_SINCE = 150000
_AUTO_FILE = "postgresql.auto.conf"
# What pg_file_settings says of a value that only waits for a restart, among other things.
_NOT_APPLIED = "setting could not be applied"


@dataclass
class Server:
    """What was read of one server, before anything was decided."""

    endpoint: str
    version: int
    superuser: bool
    can_reload: bool
    alter_system_allowed: bool
    parameters: dict[str, Parameter]  # by lower-case name
    configured: dict[str, Configured]  # by lower-case name
    broken: list[str]  # lines that keep the files from being loaded
    privileged: set[str] = field(default_factory=set)  # names that this role may ALTER SYSTEM

    def error(self, name: str, reason: str) -> TuningError:
        """An error about one entry of the inventory's dictionary."""
        return TuningError(f"postgres_settings.{name} on {self.endpoint}: {reason}")


def reconcile(options: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    """Bring ``settings`` about, those of the controls in ``only``; in check mode say what that would change.

    :raises TuningError: for a wrong name or value, a missing privilege, or a server that cannot be reached; nothing has
        been changed then, or what had been is put back.
    """
    wanted = select(options)
    with connect(options["connection"]) as connection:
        server = _read(connection, options["connection"], list(wanted))
        decisions = _decide(server, wanted, options["settings"])
        if options["verify"]:
            _verify(server, decisions, options["verify"])
        _refuse_what_would_fail(connection, server, decisions)
        if not check_mode:
            _write(connection, server, decisions)
    return _result(server, decisions, options["controls"])


def _read(connection: psycopg.Connection[Any], where: Mapping[str, Any], names: Sequence[str]) -> Server:
    """Read in two round trips what every decision needs; a role that is no superuser takes a third."""
    with connection.pipeline():
        about = connection.execute(
            "select current_setting('server_version_num')::int as version,"
            " current_setting('is_superuser') = 'on' as superuser,"
            " has_function_privilege('pg_catalog.pg_reload_conf()', 'execute') as can_reload,"
            " has_table_privilege('pg_catalog.pg_file_settings', 'select')"
            " and has_function_privilege('pg_catalog.pg_show_all_file_settings()', 'execute') as can_read_files,"
            " coalesce(current_setting('allow_alter_system', true), 'on') = 'on' as alter_system_allowed"
        )
        rows = connection.execute(
            SELECT_PARAMETERS + "lower(name) = any(%s) or name = 'shared_preload_libraries'",
            ([name.lower() for name in names],),
        )
    facts = one_row(about)
    if not facts["can_read_files"]:
        raise TuningError(
            f"postgres_connection.user on {endpoint(where)}: the role {where['user']!r} may not read pg_file_settings; "
            "grant it SELECT on that view and EXECUTE on pg_show_all_file_settings(), or connect as a superuser"
        )
    files = connection.execute(
        "select sourcefile, sourceline, name, setting, error from pg_file_settings order by seqno"
    ).fetchall()
    parameters = {row["name"].lower(): make_parameter(row, facts["version"]) for row in rows.fetchall()}
    known = {**pg_stat_statements_parameters(), **parameters}
    return Server(
        endpoint=endpoint(where),
        version=facts["version"],
        superuser=facts["superuser"],
        can_reload=facts["can_reload"],
        alter_system_allowed=facts["alter_system_allowed"],
        parameters=known,
        configured=_configured(files),
        broken=_broken(files),
        privileged=_privileged(connection, facts, names),
    )


def _configured(files: Sequence[Mapping[str, Any]]) -> dict[str, Configured]:
    """Fold the rows of pg_file_settings, in reading order, to one entry a parameter: the last one wins."""
    found: dict[str, Configured] = {}
    for row in files:
        if row["name"] is None:
            continue
        before = found.get(row["name"].lower(), Configured())
        if row["sourcefile"].endswith("/" + _AUTO_FILE):
            entry = Configured(row["setting"], row["setting"], before.manual)
        else:
            entry = Configured(row["setting"], before.automatic, row["setting"])
        found[row["name"].lower()] = entry
    return found


def _broken(files: Sequence[Mapping[str, Any]]) -> list[str]:
    """Lines with an error that keeps the server from loading its files; a value that awaits a restart is not one."""
    return [
        f"{row['sourcefile']} line {row['sourceline']}: {row['error']}"
        for row in files
        # A row without a file is about a parameter that was taken out of the files and waits for a restart to go.
        if row["error"] and row["error"] != _NOT_APPLIED and row["sourcefile"]
    ]


def _privileged(connection: psycopg.Connection[Any], facts: Mapping[str, Any], names: Sequence[str]) -> set[str]:
    if facts["superuser"]:
        return {name.lower() for name in names}
    if facts["version"] < _PARAMETER_PRIVILEGES_SINCE:
        return set()
    rows = connection.execute(
        "select name from unnest(%s::text[]) as name where has_parameter_privilege(name, 'ALTER SYSTEM')",
        ([name.lower() for name in names],),
    )
    return {row["name"] for row in rows}


def _decide(server: Server, wanted: Mapping[str, Any], settings: Mapping[str, Any]) -> list[Decision]:
    decisions = []
    for name, given in wanted.items():
        parameter = _parameter(server, name, settings)
        try:
            decision = decide(parameter, server.configured.get(name.lower(), Configured()), given)
        except ValueError as error:
            raise server.error(name, f"{error}") from error
        if decision.needs and parameter.source == "command line":
            raise server.error(
                name,
                f"the server was started with it on its command line ({parameter.running}), which ALTER SYSTEM cannot "
                f"override; change it there, or take it out of the inventory",
            )
        if decision.needs and decision.name == "statement_timeout" and decision.value not in (None, 0):
            raise server.error(
                name,
                "for the whole server it would end migrations and backups too; set it for the application's roles, in "
                "postgres_role_settings",
            )
        decisions.append(decision)
    return decisions


def _verify(server: Server, decisions: Sequence[Decision], what: str) -> None:
    for decision in decisions:
        if decision.needs:
            raise server.error(
                decision.name, f"verification found {decision.before or 'nothing'} where {decision.after} is wanted"
            )
        if decision.pending and what == "running":
            raise server.error(decision.name, f"{decision.after} is configured, and the server does not run with it yet")


def _parameter(server: Server, name: str, settings: Mapping[str, Any]) -> Parameter:
    """The parameter's row, or a stand-in for one whose library is about to be loaded.

    :raises TuningError: when the server knows no such parameter.
    """
    found = server.parameters.get(name.lower())
    library = name.split(".", maxsplit=1)[0]
    if found and (found.running is not None or _will_be_loaded(server, library, settings)):
        return found
    if "." not in name:
        raise server.error(name, f"PostgreSQL {server.version // 10000} has no such parameter; check its spelling")
    if not _will_be_loaded(server, library, settings):
        raise server.error(
            name,
            f"no library named {library} is loaded or about to be; add it to "
            f"postgres_settings.shared_preload_libraries, or check the spelling",
        )
    return Parameter(name.lower(), "string", "sighup", None)


def _will_be_loaded(server: Server, library: str, settings: Mapping[str, Any]) -> bool:
    """Whether the library is in a preload list, as configured or as wanted in the whole dictionary."""
    for name in lists.PRELOAD_LIBRARIES:
        text = server.configured.get(name, Configured()).effective or ""
        wanted = settings.get(name) or ()
        if isinstance(wanted, Mapping):
            wanted = wanted.get("ensure") or ()
        if isinstance(wanted, str):
            wanted = lists.split_list(name, wanted)
        if library in (*lists.split_list(name, text), *wanted):
            return True
    return False


def _refuse_what_would_fail(connection: psycopg.Connection[Any], server: Server, decisions: Sequence[Decision]) -> None:
    """Find before the first write, and in check mode too, whatever would stop the last."""
    if not any(decision.needs for decision in decisions):
        return
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
    for decision in decisions:
        if not decision.write:
            continue
        if not server.alter_system_allowed:
            raise server.error(decision.name, "allow_alter_system is off; change the value where the server's owner does")
        if decision.name.lower() not in server.privileged:
            raise server.error(
                decision.name,
                "the role may not set it; as a superuser run "
                f"GRANT ALTER SYSTEM ON PARAMETER {decision.name} (PostgreSQL 15 or later), or connect as a superuser",
            )
        _refuse_empty_list(server, decision)
        _refuse_missing_library(connection, server, decision)


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


def _write(connection: psycopg.Connection[Any], server: Server, decisions: Sequence[Decision]) -> None:
    """Write every entry, then reload once; put back what was written when one of them is refused."""
    written: list[Decision] = []
    try:
        for decision in (d for d in decisions if d.write):
            _alter_system(connection, server.parameters.get(decision.name.lower()), decision.name, decision.value)
            written.append(decision)
    except psycopg.Error as error:
        if connection.broken:
            raise  # the server is gone: the next run goes on from what is in the file
        _put_back(connection, server, written)
        raise server.error(decision.name, f"the server refused it: {one_line(error)}; nothing was changed") from error
    if any(decision.needs for decision in decisions):
        try:
            _reload(connection)
            _prove(connection, server, decisions)
        except TuningError:
            _put_back(connection, server, written)
            connection.execute("select pg_reload_conf()")
            raise


def _alter_system(connection: psycopg.Connection[Any], parameter: Parameter | None, name: str, value: Any) -> None:
    identifier = sql.Identifier(*name.split("."))
    if value is None or (value == () and lists.LIST_PARAMETERS[name.lower()]):
        connection.execute(sql.SQL("alter system reset {}").format(identifier))
        return
    if parameter is not None and parameter.running is None:
        # Without this the server takes a parameter whose library is not loaded for a misspelling.
        connection.execute(sql.SQL("set {} = {}").format(identifier, sql.Literal(written(parameter, value))))
    elements = (value or ("",)) if isinstance(value, tuple) else (written(parameter, value),)
    literals = sql.SQL(", ").join(map(sql.Literal, elements))
    connection.execute(sql.SQL("alter system set {} = {}").format(identifier, literals))


def _put_back(connection: psycopg.Connection[Any], server: Server, written: Sequence[Decision]) -> None:
    """Make postgresql.auto.conf say again what it said before."""
    for decision in reversed(written):
        before: Any = _automatic(server, decision.name)
        if before is not None and decision.name.lower() in lists.LIST_PARAMETERS:
            before = lists.split_list(decision.name, before)
        _alter_system(connection, None, decision.name, before)


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


def _result(server: Server, decisions: Sequence[Decision], controls: Mapping[str, Any]) -> dict[str, Any]:
    changes = [decision for decision in decisions if decision.needs]
    pending = sorted(decision.name for decision in decisions if decision.pending)
    return {
        "changed": bool(changes),
        "diff": {
            "before": {decision.name: decision.before for decision in changes},
            "after": {decision.name: decision.after for decision in changes},
        },
        "needs": {decision.name: decision.needs for decision in changes},
        "restart_required": any(decision.needs == "restart" for decision in changes),
        "pending_restart": pending,
        "owners": owners([*(decision.name for decision in changes), *pending], controls),
        "previous": {
            decision.name: _automatic(server, decision.name)
            for decision in changes
            if decision.write and decision.name not in SECRET_PARAMETERS
        },
        "server_version": server.version,
    }


def _automatic(server: Server, name: str) -> str | None:
    return server.configured.get(name.lower(), Configured()).automatic
