# SPDX-License-Identifier: GPL-3.0-or-later
"""Server-wide parameters: read, decide, and have the kind of server bring the decisions about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils import _lists as lists
from ansible_collections.leadgen.tuning.plugins.module_utils import _postgres_memory as memory_of
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._owners import (
    owner_arguments,
    owner_of,
    owners,
    select,
)
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres import (
    PARAMETER_PRIVILEGES_SINCE,
    connect,
    connection_argument,
    endpoint,
    one_row,
)
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_elsewhere import hidden, overridden
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_files import (
    SELECT_FILES,
    broken_in,
    configured_by,
    origins_of,
)
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_kinds import SIGNS, by_files, by_signs
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_server import Kind, Server
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_session_default import SELECT_DEFAULTS, present_of
from ansible_collections.leadgen.tuning.plugins.module_utils._settings import (
    SECRET_PARAMETERS,
    SELECT_PARAMETERS,
    Configured,
    Decision,
    Parameter,
    decide,
    make_parameter,
    pg_stat_statements_parameters,
)

try:
    import psycopg
except ImportError:  # connect() says so
    pass

ARGUMENT_SPEC: dict[str, Any] = {
    **connection_argument(),
    "settings": {"type": "dict", "required": True},
    **owner_arguments(),
    "remember": {"type": "bool", "default": False},
    "verify": {"type": "str", "choices": ["configured", "running"]},
}


def reconcile(options: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    """Bring ``settings`` about, those of the controls in ``only``; in check mode say what that would change.

    With ``remember``, what an earlier run wrote and the settings no longer name is taken out.

    :raises TuningError: for a wrong name or value, a missing privilege, or a server that cannot be reached; nothing has
        been changed then, or what had been is put back.
    """
    wanted = select(options)
    with connect(options["connection"]) as connection:
        server = _read(connection, options, list(wanted))
        decisions = [*_decide(server, wanted, options["settings"]), *_forget(server, options)]
        if options["verify"]:
            _verify(server, decisions, options["verify"])
        server.kind.refuse(connection, server, decisions)
        if not check_mode:
            server.kind.write(connection, server, decisions)
    return {**_result(server, decisions, options["controls"]), "warnings": _warnings(server, decisions)}


def _read(connection: psycopg.Connection[Any], options: Mapping[str, Any], names: Sequence[str]) -> Server:
    """Read in two round trips what every decision needs; a role that is no superuser takes a third."""
    with connection.pipeline():
        about = connection.execute(
            "select current_setting('server_version_num')::int as version,"
            " current_setting('is_superuser') = 'on' as superuser,"
            " has_function_privilege('pg_catalog.pg_reload_conf()', 'execute') as can_reload,"
            " has_table_privilege('pg_catalog.pg_file_settings', 'select')"
            " and has_function_privilege('pg_catalog.pg_show_all_file_settings()', 'execute') as can_read_files,"
            " coalesce(current_setting('allow_alter_system', true), 'on') = 'on' as alter_system_allowed,"
            " array(select name from unnest(%s::text[]) as name where current_setting(name, true) is not null) as signs",
            (SIGNS,),
        )
        rows = connection.execute(
            SELECT_PARAMETERS
            + "lower(name) = any(%s) or name in ('config_file', 'data_directory', 'shared_preload_libraries')"
            # What the memory names is in double quotes there.
            " or position('\"' || lower(name) || '\"' in coalesce(current_setting(%s, true), '')) > 0",
            ([name.lower() for name in names], memory_of.SYSTEM),
        )
        defaults = connection.execute(
            SELECT_DEFAULTS + " where split_part(lower(entry), '=', 1) = any(%s)",
            ([*(name.lower() for name in names), memory_of.SESSION],),
        )
    facts = one_row(about)
    parameters = {row["name"].lower(): make_parameter(row, facts["version"]) for row in rows.fetchall()}
    kind = by_signs(facts["signs"])
    files = _read_files(connection, kind, facts["can_read_files"], options["connection"])
    configured = configured_by(files) if kind.reads_files else _as_running(parameters)
    memory = memory_of.load(configured.get(memory_of.SYSTEM, Configured()).automatic)
    return Server(
        endpoint=endpoint(options["connection"]),
        version=facts["version"],
        kind=by_files(kind, (row["sourcefile"] or "" for row in files)),
        superuser=facts["superuser"],
        can_reload=facts["can_reload"],
        alter_system_allowed=facts["alter_system_allowed"],
        parameters={**pg_stat_statements_parameters(), **parameters},
        configured=configured,
        origins=origins_of(files, *(_running(parameters, name) for name in ("data_directory", "config_file"))),
        defaults=present_of(defaults),
        user=options["connection"]["user"],
        broken=broken_in(files),
        privileged=_privileged(connection, facts, [*names, *memory, memory_of.SYSTEM]),
        remembers=options["remember"],
        memory=memory,
    )


def _read_files(
    connection: psycopg.Connection[Any], kind: Kind, allowed: bool, where: Mapping[str, Any]
) -> list[Mapping[str, Any]]:
    """What the configuration files say, in reading order; nothing where the kind of server shows none."""
    if not kind.reads_files:
        return []
    if not allowed:
        raise TuningError(
            f"postgres_connection.user on {endpoint(where)}: the role {where['user']!r} may not read pg_file_settings; "
            "grant it SELECT on that view and EXECUTE on pg_show_all_file_settings(), or connect as a superuser"
        )
    return connection.execute(SELECT_FILES).fetchall()


def _running(parameters: Mapping[str, Parameter], name: str) -> str | None:
    """The value of a parameter that was read; None where the role may not read it."""
    return parameters[name].running if name in parameters else None


def _as_running(parameters: Mapping[str, Parameter]) -> dict[str, Configured]:
    """What a server is configured with whose files cannot be read: what it runs with, by all that is known."""
    return {name: Configured(about.running, None, about.running) for name, about in parameters.items()}


def _privileged(connection: psycopg.Connection[Any], facts: Mapping[str, Any], names: Sequence[str]) -> set[str]:
    if facts["superuser"]:
        return {name.lower() for name in names}
    if facts["version"] < PARAMETER_PRIVILEGES_SINCE:
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


def _forget(server: Server, options: Mapping[str, Any]) -> list[Decision]:
    """Decisions to take out what an earlier run wrote and ``settings`` no longer name."""
    if not server.remembers:
        return []
    named = {str(name).lower() for name in options["settings"]}
    decisions = []
    for name in sorted(server.memory.keys() - named):
        selected = options["only"] is None or owner_of(name, options["controls"]) in options["only"]
        if selected and server.is_ours(name):
            found = server.parameters.get(name)
            if found is None or found.running is None:  # its library is gone: there is only the entry
                found = Parameter(name, "string", "sighup", server.automatic(name))
            decisions.append(decide(found, server.configured[name], None))
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
    if name == memory_of.SYSTEM:  # what a run put back that failed
        return Parameter(name, "string", "sighup", server.configured.get(name, Configured()).effective or "", default="")
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
        "previous": _previous(server, changes),
        "server_version": server.version,
    }


def _warnings(server: Server, decisions: Sequence[Decision]) -> list[str]:
    """What others have set of the same parameters, which the run leaves alone."""
    found = []
    for decision in decisions:
        name = decision.name.lower()
        parameter = server.parameters.get(name) or Parameter(name, "string", "sighup", None)
        owner = overridden(decision, parameter, server.automatic(name), server.origins.get(name))
        texts = [*([owner] if owner else []), *hidden(decision, parameter, server.defaults, server.user)]
        found += [f"{decision.name} on {server.endpoint}: {text}" for text in texts]
    return found


def _previous(server: Server, changes: Sequence[Decision]) -> dict[str, str | None]:
    """By name the former entries of what is written, the memory's with them."""
    names = [change.name for change in changes if change.write and change.name not in SECRET_PARAMETERS]
    if names and server.remembers:
        names.append(memory_of.SYSTEM)
    return {name: server.automatic(name) for name in names}
