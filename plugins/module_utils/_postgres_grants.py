# SPDX-License-Identifier: GPL-3.0-or-later
"""What a role without superuser needs to tune a server, no more, and granting what it lacks.

Privileges on parameters came with PostgreSQL 15; before that only a superuser can tune.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils import _postgres_memory as memory_of
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres import (
    PARAMETER_PRIVILEGES_SINCE,
    connect,
    connection_argument,
    endpoint,
    is_standby,
    one_line,
    one_row,
)

try:
    import psycopg
    from psycopg import sql
except ImportError:  # connect() says so
    pass

ARGUMENT_SPEC: dict[str, Any] = {
    **connection_argument(),
    "role": {"type": "str", "required": True},
    "password": {"type": "str", "no_log": True},
    "databases": {"type": "list", "elements": "str", "default": []},
    "settings": {"type": "dict", "default": {}},
    "role_settings": {"type": "dict", "default": {}},
    "database_settings": {"type": "dict", "default": {}},
    "role_in_database_settings": {"type": "dict", "default": {}},
}
ADMIN_OPTION_SINCE = 160000  # CREATEROLE alone no longer lets a role alter others

# Reading settings, files and statistics, and loading the files.
_MEMBERSHIPS = ("pg_monitor", "pg_read_all_settings")
_FUNCTIONS = ("pg_reload_conf()", "pg_show_all_file_settings()")
_VIEW = "pg_file_settings"
_ABSENT, _GRANTED = "absent", "granted"


@dataclass(frozen=True)
class Grant:
    """One thing that a role lacks: its name in the diff, and the statement that gives it."""

    name: str
    statement: sql.Composed
    before: str = _ABSENT
    after: str = _GRANTED


def reconcile(options: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    """Grant ``role`` what it lacks; in check mode say what that would be. The connection is a superuser's.

    A standby's roles are its primary's: nothing is done there.

    :raises TuningError: for a server before 15, a connection without superuser, or an object that a superuser owns, since
        its owner's role cannot be shared.
    """
    where = endpoint(options["connection"])
    with connect(options["connection"]) as connection:
        if is_standby(connection):
            return result_of([])
        _check(connection, options, where)
        grants = [*_role(connection, options), *_server_wide(connection, options)]
        grants += _owners(connection, options, where)
        if not check_mode:
            _write(connection, grants, options, where)
    return result_of(grants)


def result_of(grants: Sequence[Grant]) -> dict[str, Any]:
    """The module's result, done or planned."""
    return {
        "changed": bool(grants),
        "diff": {
            "before": {grant.name: grant.before for grant in grants},
            "after": {grant.name: grant.after for grant in grants},
        },
    }


def _check(connection: psycopg.Connection[Any], options: Mapping[str, Any], where: str) -> None:
    if connection.info.server_version < PARAMETER_PRIVILEGES_SINCE:
        raise TuningError(
            f"postgres_connection on {where}: PostgreSQL {connection.info.server_version // 10000} has no privileges on "
            "parameters, which came with 15; let a superuser tune it"
        )
    if connection.info.parameter_status("is_superuser") != "on":
        raise TuningError(
            f"postgres_superuser_connection.user on {where}: the role {options['connection']['user']!r} is no superuser, "
            "and only one can grant this; name one"
        )


def _role(connection: psycopg.Connection[Any], options: Mapping[str, Any]) -> Iterator[Grant]:
    row = connection.execute("select rolcreaterole from pg_roles where rolname = %s", (options["role"],)).fetchone()
    role = sql.Identifier(options["role"])
    if row is None:
        password = sql.SQL(" password {}").format(sql.Literal(options["password"])) if options["password"] else sql.SQL("")
        yield Grant("role", sql.SQL("create role {} login{}").format(role, password), after="created")
    others = _roles_with_settings(options)
    if others and not (row and row["rolcreaterole"]):
        yield Grant("CREATEROLE", sql.SQL("alter role {} createrole").format(role))
    if connection.info.server_version >= ADMIN_OPTION_SINCE:
        for other in _lacking(connection, options["role"], others, "MEMBER WITH ADMIN OPTION"):
            statement = sql.SQL("grant {} to {} with admin true, inherit false, set false")
            yield Grant(f"ADMIN on {other}", statement.format(sql.Identifier(other), role))


def _roles_with_settings(options: Mapping[str, Any]) -> list[str]:
    """The roles whose session defaults the inventory names, the one that tunes aside: it may alter itself."""
    names = [*options["role_settings"]]
    names += [name for roles in options["role_in_database_settings"].values() for name in roles]
    return [name for name in dict.fromkeys(map(str, names)) if name != options["role"]]


def _lacking(connection: psycopg.Connection[Any], role: str, names: Sequence[str], privilege: str) -> list[str]:
    """Those of the roles ``names`` on which the role has not the privilege, in pg_has_role's terms; all for a new role."""
    rows = connection.execute(
        "select name from unnest(%(names)s::text[]) with ordinality as wanted(name, place)"
        " where exists (select from pg_roles where rolname = name)"
        " and not (exists (select from pg_roles where rolname = %(role)s)"
        "          and pg_has_role(%(role)s, name, %(privilege)s)) order by place",
        {"names": list(names), "role": role, "privilege": privilege},
    )
    return [row["name"] for row in rows]


def _server_wide(connection: psycopg.Connection[Any], options: Mapping[str, Any]) -> Iterator[Grant]:
    role = sql.Identifier(options["role"])
    for name in _lacking(connection, options["role"], _MEMBERSHIPS, "USAGE"):
        yield Grant(name, sql.SQL("grant {} to {}").format(sql.Identifier(name), role))
    new = connection.execute("select from pg_roles where rolname = %s", (options["role"],)).fetchone() is None
    for function in _FUNCTIONS:
        query = "select has_function_privilege(%s, %s, 'EXECUTE') as granted"
        if new or not one_row(connection.execute(query, (options["role"], f"pg_catalog.{function}")))["granted"]:
            signature = sql.SQL("pg_catalog.") + sql.Identifier(function.removesuffix("()")) + sql.SQL("()")
            yield Grant(f"EXECUTE on {function}", sql.SQL("grant execute on function {} to {}").format(signature, role))
    query = "select has_table_privilege(%s, %s, 'SELECT') as granted"
    if new or not one_row(connection.execute(query, (options["role"], f"pg_catalog.{_VIEW}")))["granted"]:
        view = sql.Identifier("pg_catalog", _VIEW)
        yield Grant(f"SELECT on {_VIEW}", sql.SQL("grant select on {} to {}").format(view, role))
    for privilege, names in _parameters(connection, options).items():
        for name in names:
            statement = sql.SQL("grant {} on parameter {} to {}")
            identifier = sql.Identifier(*name.split("."))
            yield Grant(f"{privilege} on {name}", statement.format(sql.SQL(privilege), identifier, role))


def _parameters(connection: psycopg.Connection[Any], options: Mapping[str, Any]) -> dict[str, list[str]]:
    """By privilege the parameters on which the role lacks it. What any session may set needs none."""
    sessions = [*options["role_settings"].values(), *options["database_settings"].values()]
    sessions += [values for roles in options["role_in_database_settings"].values() for values in roles.values()]
    session = sorted({str(name).lower() for values in sessions for name in values})
    rows = connection.execute("select name from pg_settings where lower(name) = any(%s) and context = 'user'", (session,))
    free = {row["name"].lower() for row in rows}
    wanted = {
        "ALTER SYSTEM": [*sorted({str(name).lower() for name in options["settings"]}), memory_of.SYSTEM],
        "SET": [*(name for name in session if name not in free), memory_of.SESSION, memory_of.TABLES],
    }
    query = (
        "select name from unnest(%(names)s::text[]) with ordinality as wanted(name, place)"
        " where not (exists (select from pg_roles where rolname = %(role)s)"
        "            and has_parameter_privilege(%(role)s, name, %(privilege)s)) order by place"
    )
    return {
        privilege: [
            row["name"]
            for row in connection.execute(query, {"names": names, "role": options["role"], "privilege": privilege})
        ]
        for privilege, names in wanted.items()
    }


def _owners(connection: psycopg.Connection[Any], options: Mapping[str, Any], where: str) -> Iterator[Grant]:
    """The roles that own the databases and the tables in them, whose privileges the role is to inherit."""
    owners: dict[str, str] = {}  # by role, what it owns
    for name in options["databases"]:
        with connect(options["connection"], name) as database:
            rows = database.execute(
                "select pg_get_userbyid(datdba) as owner, format('the database %I', datname) as object"
                " from pg_database where datname = current_database()"
                " union all select pg_get_userbyid(c.relowner), min(format('%I.%I in %I', n.nspname, c.relname,"
                " current_database())) from pg_class as c join pg_namespace as n on n.oid = c.relnamespace"
                " where c.relkind in ('r', 'm', 'p') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'"
                " and not exists (select from pg_depend as d where d.classid = 'pg_class'::regclass and d.objid = c.oid"
                " and d.deptype = 'e') group by c.relowner"
            )
            for row in rows:
                owners.setdefault(row["owner"], row["object"])
    superusers = {row["rolname"] for row in connection.execute("select rolname from pg_roles where rolsuper")}
    for owner in superusers & owners.keys():
        raise TuningError(
            f"postgres_databases on {where}: {owners[owner]} belongs to {owner}, a superuser, whose role is not to be "
            "shared; give it to a role of its own (ALTER ... OWNER TO), or take the database out"
        )
    # Said outright, since the grant that carries the ADMIN option says the opposite.
    inherit = " with inherit true" if connection.info.server_version >= ADMIN_OPTION_SINCE else ""
    for owner in _lacking(connection, options["role"], sorted(owners), "USAGE"):
        if owner != options["role"]:
            statement = sql.SQL("grant {} to {}" + inherit)
            yield Grant(f"membership in {owner}", statement.format(sql.Identifier(owner), sql.Identifier(options["role"])))


def _write(connection: psycopg.Connection[Any], grants: Sequence[Grant], options: Mapping[str, Any], where: str) -> None:
    """All or none."""
    grant = None
    try:
        with connection.transaction():
            for grant in grants:
                connection.execute(grant.statement)
    except psycopg.Error as error:
        if connection.broken:
            raise
        name = grant.name if grant else ""
        raise TuningError(
            f"postgres_superuser_connection on {where}: cannot grant {options['role']} {name}: {one_line(error)}; nothing "
            "was granted"
        ) from error
