# SPDX-License-Identifier: GPL-3.0-or-later
"""The function by which PgBouncer looks a user's password up, and the role that may call it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres import (
    connect,
    connection_argument,
    endpoint,
    is_standby,
    one_line,
    one_row,
)
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_grants import Grant, result_of

try:
    import psycopg
    from psycopg import sql
except ImportError:  # connect() says so
    pass

ARGUMENT_SPEC: dict[str, Any] = {
    **connection_argument(),
    "database": {"type": "str", "required": True},
    "role": {"type": "str", "default": "pgbouncer_auth"},
    "password": {"type": "str", "no_log": True},
    "schema": {"type": "str", "default": "pgbouncer"},
}
NAME = "get_auth"
# PgBouncer's own auth_query looks past rolvaliduntil in old releases and hands out superusers; this one does neither.
_BODY = """
    select a.rolname::text, a.rolpassword
    from pg_catalog.pg_authid as a
    where a.rolname = $1 and a.rolcanlogin and not a.rolsuper
      and (a.rolvaliduntil is null or a.rolvaliduntil > pg_catalog.now())
"""
# A caller's search_path could lead a function that runs with its owner's rights to other objects; pg_temp comes first unless
# it is named (PostgreSQL documentation, "Writing SECURITY DEFINER Functions Safely").
_PATH = "search_path=pg_catalog, pg_temp"
_READ = """
    select exists (select from pg_roles where rolname = %(role)s and rolcanlogin) as role,
           exists (select from pg_namespace where nspname = %(schema)s) as schema,
           coalesce((select has_schema_privilege(r.oid, n.oid, 'usage') from pg_roles as r, pg_namespace as n
                     where r.rolname = %(role)s and n.nspname = %(schema)s), false) as usage,
           p.oid is not null as function,
           coalesce(p.prosrc = %(body)s and p.prosecdef and p.proconfig = array[%(path)s] and p.provolatile = 's'
                    and o.rolsuper and l.lanname = 'sql', false) as right,
           coalesce(has_function_privilege(%(role)s, p.oid, 'execute'), false) as execute,
           coalesce((select bool_or(a.grantee = 0)
                     from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as a), false) as public
    from (select) as once
    left join pg_proc as p on p.pronamespace = (select oid from pg_namespace where nspname = %(schema)s)
         and p.proname = %(name)s and p.proargtypes = array['text'::regtype::oid]::oidvector
    left join pg_roles as o on o.oid = p.proowner left join pg_language as l on l.oid = p.prolang
"""


def reconcile(options: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    """Make the role and the function, all or nothing; in check mode say what that would be.

    :raises TuningError: for a connection without superuser, since only one may read pg_authid.
    """
    where = endpoint(options["connection"])
    with connect(options["connection"], options["database"]) as connection:
        if is_standby(connection):
            return result_of([])
        if connection.info.parameter_status("is_superuser") != "on":
            raise TuningError(
                f"connection.user on {where}: the role {options['connection']['user']!r} is no superuser, and only one may "
                "read the passwords for the function; name one"
            )
        names = {"role": options["role"], "schema": options["schema"], "name": NAME, "body": _BODY, "path": _PATH}
        # A role that is not there has no privileges to be asked for.
        exists = one_row(connection.execute("select to_regrole(quote_ident(%(role)s)) is not null as role", names))["role"]
        query = _READ if exists else _READ.replace("has_function_privilege(%(role)s, p.oid, 'execute')", "false")
        steps = list(_steps(one_row(connection.execute(query, names)), options))
        if steps and not check_mode:
            _write(connection, steps, where)
    return result_of(steps)


def _steps(found: Mapping[str, Any], options: Mapping[str, Any]) -> Iterator[Grant]:
    role, schema = sql.Identifier(options["role"]), sql.Identifier(options["schema"])
    function = sql.SQL("{}(text)").format(sql.Identifier(options["schema"], NAME))
    label = f"function {options['schema']}.{NAME}"
    if not found["role"]:
        password = sql.SQL(" password {}").format(sql.Literal(options["password"])) if options["password"] else sql.SQL("")
        yield _present(f"role {options['role']}", sql.SQL("create role {} login").format(role) + password)
    if not found["schema"]:
        yield _present(f"schema {options['schema']}", sql.SQL("create schema {}").format(schema))
    if not found["usage"]:
        yield _granted(
            f"usage of schema {options['schema']}", sql.SQL("grant usage on schema {} to {}").format(schema, role)
        )
    if not found["right"]:
        # Dropped first: one that stood there may be another's, and would keep its owner and its privileges.
        create = sql.SQL(
            "drop function if exists {0}; create function {0} returns table (username text, password text) language sql"
            " stable security definer set search_path = pg_catalog, pg_temp as {1}"
        ).format(function, sql.Literal(_BODY))
        yield _present(label, create, "another" if found["function"] else "absent")
    if not found["right"] or found["public"]:
        revoke = sql.SQL("revoke all on function {} from public").format(function)
        yield Grant(f"execution of {label} by everyone", revoke, "granted", "not granted")
    if not found["right"] or not found["execute"] or found["public"]:
        grant = sql.SQL("grant execute on function {} to {}").format(function, role)
        yield _granted(f"execution of {label}", grant)


def _present(name: str, statement: sql.Composed, before: str = "absent") -> Grant:
    return Grant(name, statement, before, "present")


def _granted(name: str, statement: sql.Composed) -> Grant:
    return Grant(name, statement, "not granted", "granted")


def _write(connection: psycopg.Connection[Any], steps: list[Grant], where: str) -> None:
    try:
        with connection.transaction():
            # The password of a new role must not reach the server's log.
            connection.execute("set local log_statement = 'none'")
            connection.execute("set local log_min_duration_statement = -1")
            connection.execute("set local log_min_error_statement = 'panic'")
            for step in steps:
                connection.execute(step.statement)
    except psycopg.Error as error:
        if connection.broken:
            raise
        raise TuningError(
            f"pgbouncer_auth on {where}: the function cannot be made: {one_line(error)}; nothing was changed"
        ) from error
