# SPDX-License-Identifier: GPL-3.0-or-later
"""Session defaults of roles, of databases, and of roles in databases (ALTER ROLE ... SET, ALTER DATABASE ... SET).

They come into force with the next session. All are changed in one transaction, so an error leaves none of them changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._owners import owner_arguments, owner_of, owners
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres import (
    connect,
    connection_argument,
    endpoint,
    one_line,
)
from ansible_collections.leadgen.tuning.plugins.module_utils._settings import (
    SELECT_PARAMETERS,
    Configured,
    Parameter,
    Value,
    make_parameter,
    read,
    show,
    wanted_value,
    written,
)

try:
    import psycopg
    from psycopg import sql
except ImportError:  # connect() says so
    pass

ARGUMENT_SPEC: dict[str, Any] = {
    **connection_argument(),
    "roles": {"type": "dict", "default": {}},
    "databases": {"type": "dict", "default": {}},
    "roles_in_databases": {"type": "dict", "default": {}},
    "exempt_roles": {"type": "list", "elements": "str", "default": []},
    **owner_arguments(),
    "verify": {"type": "bool", "default": False},
}

# A session may change these; the others are the whole server's.
_SESSION_CONTEXTS = frozenset({"backend", "superuser", "superuser-backend", "user"})
_TIMEOUTS = frozenset(
    """idle_in_transaction_session_timeout idle_session_timeout lock_timeout statement_timeout
    transaction_timeout""".split()
)
_UNSET = "unset"
# ALTER ROLE waits for others that alter the same role; a look at the next run is better than a queue.
_LOCK_TIMEOUT = "2s"


@dataclass(frozen=True)
class Target:
    """Whose default: a role's, a database's, or with both a role's in that database; and the inventory's variable."""

    role: str
    database: str
    variable: str

    @property
    def label(self) -> str:
        """As it is shown: leads_app, leadgen (database), leads_app in leadgen."""
        if self.role and self.database:
            return f"{self.role} in {self.database}"
        return self.role or f"{self.database} (database)"

    def alter(self) -> sql.Composed:
        """The beginning of the statement that changes it."""
        if not self.role:
            return sql.SQL("alter database {}").format(sql.Identifier(self.database))
        role = sql.SQL("alter role {}").format(sql.Identifier(self.role))
        return role if not self.database else role + sql.SQL(" in database {}").format(sql.Identifier(self.database))


@dataclass(frozen=True)
class Change:
    """One default that differs; ``value`` None takes it out, ``present`` is its text now, None where there is none."""

    target: Target
    parameter: Parameter
    value: Value
    present: str | None

    @property
    def name(self) -> str:
        """The key in the diff."""
        return f"{self.target.label}: {self.parameter.name}"

    @property
    def entry(self) -> str:
        """The entry of the inventory, for messages."""
        return f"{self.target.variable}.{self.target.role or self.target.database}.{self.parameter.name}"

    @property
    def wanted(self) -> str:
        """The value as it is shown."""
        return _UNSET if self.value is None else show(self.parameter, self.value)


def reconcile(options: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    """Bring the session defaults about; in check mode say what that would change.

    :raises TuningError: for a wrong role, database, name or value, an exempt role, or a missing privilege; nothing has been
        changed then.
    """
    wanted = [entry for entry in _wanted(options) if _is_for(options, entry)]
    where = endpoint(options["connection"])
    with connect(options["connection"]) as connection:
        _check_targets(connection, wanted, where)
        changes = _changes(connection, wanted, where)
        if options["verify"]:
            _verify(changes, where)
        _refuse(connection, changes, options, where)
        if not check_mode:
            _write(connection, changes, where)
    before = {change.name: _shown(change.parameter, change.present) for change in changes}
    after = {change.name: change.wanted for change in changes}
    return {
        "changed": bool(changes),
        "diff": {"before": before, "after": after},
        "needs": {},
        "owners": owners([*before], options["controls"]),
        "previous": _previous(changes),
    }


def _wanted(options: Mapping[str, Any]) -> Iterator[tuple[Target, str, Any]]:
    """Target, parameter and value of every entry of the three dictionaries."""
    scopes = [(Target(str(role), "", "postgres_role_settings"), values) for role, values in options["roles"].items()]
    scopes += [
        (Target("", str(name), "postgres_database_settings"), values) for name, values in options["databases"].items()
    ]
    for database, roles in options["roles_in_databases"].items():
        variable = "postgres_role_in_database_settings"
        for role, values in _dictionary(roles, f"{variable}.{database}").items():
            scopes.append((Target(str(role), str(database), variable), values))
    for target, values in scopes:
        for name, value in _dictionary(values, f"{target.variable}.{target.role or target.database}").items():
            yield target, str(name), value


def _dictionary(values: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(values, Mapping):
        raise TuningError(f"{where}: it takes a dictionary of parameters, and {values!r} was given")
    return values


def _is_for(options: Mapping[str, Any], entry: tuple[Target, str, Any]) -> bool:
    target, name, _value = entry
    return options["only"] is None or owner_of(f"{target.label}: {name}", options["controls"]) in options["only"]


def _check_targets(connection: psycopg.Connection[Any], wanted: list[tuple[Target, str, Any]], where: str) -> None:
    for kind, query, names in (
        ("role", "select rolname as name from pg_roles", {target.role: target for target, _n, _v in wanted if target.role}),
        (
            "database",
            "select datname as name from pg_database",
            {target.database: target for target, _n, _v in wanted if target.database},
        ),
    ):
        present = {row["name"] for row in connection.execute(query)} if names else set()
        for name, target in names.items():
            if name not in present:
                raise TuningError(f"{target.variable}.{name} on {where}: there is no {kind} of that name; create it first")


def _changes(connection: psycopg.Connection[Any], wanted: list[tuple[Target, str, Any]], where: str) -> list[Change]:
    names = [name.lower() for _target, name, _value in wanted]
    rows = connection.execute(
        SELECT_PARAMETERS + "lower(name) = any(%s)",
        (names,),
    )
    parameters = {row["name"].lower(): make_parameter(row, connection.info.server_version) for row in rows}
    present = _present(connection)
    changes = []
    for target, name, given in wanted:
        try:
            change = _compare(target, parameters.get(name.lower()), present, given)
        except ValueError as error:
            raise TuningError(f"{target.variable}.{target.role or target.database}.{name} on {where}: {error}") from error
        if change:
            changes.append(change)
    return changes


def _present(connection: psycopg.Connection[Any]) -> dict[tuple[str, str], dict[str, str]]:
    """Every default that is set, by role and database, each empty where it is for all."""
    rows = connection.execute(
        "select coalesce(r.rolname, '') as role, coalesce(d.datname, '') as database, unnest(s.setconfig) as entry"
        " from pg_db_role_setting as s left join pg_roles as r on r.oid = s.setrole"
        " left join pg_database as d on d.oid = s.setdatabase"
    )
    found: dict[tuple[str, str], dict[str, str]] = {}
    for row in rows:
        name, _equals, value = row["entry"].partition("=")
        found.setdefault((row["role"], row["database"]), {})[name.lower()] = value
    return found


def _compare(
    target: Target, parameter: Parameter | None, present: Mapping[tuple[str, str], Mapping[str, str]], given: Any
) -> Change | None:
    """The change that is needed, if one is.

    :raises ValueError: with a reason fit for a person.
    """
    if parameter is None:
        raise ValueError("there is no such parameter; check its spelling")
    if parameter.context not in _SESSION_CONTEXTS:
        raise ValueError("it is a parameter of the whole server; move it to postgres_settings")
    text = present.get((target.role, target.database), {}).get(parameter.name.lower())
    if given is None:
        return Change(target, parameter, None, text) if text is not None else None
    value = wanted_value(parameter, given, Configured(text, text))
    if text is not None and _reads_as(parameter, text, value):
        return None
    return Change(target, parameter, value, text)


def _reads_as(parameter: Parameter, text: str, value: Value) -> bool:
    try:
        return read(parameter, text) == value
    except ValueError:
        return False


def _shown(parameter: Parameter, text: str | None) -> str:
    if text is None:
        return _UNSET
    try:
        return show(parameter, read(parameter, text))
    except ValueError:
        return text


def _refuse(connection: psycopg.Connection[Any], changes: list[Change], options: Mapping[str, Any], where: str) -> None:
    """Find before the first write, and in check mode too, what must not be or cannot be written."""
    for change in changes:
        target = change.target
        if target.role in options["exempt_roles"] and change.parameter.name in _TIMEOUTS and change.value not in (None, 0):
            raise TuningError(
                f"{change.entry} on {where}: {target.role} is in postgres_exempt_roles, which no timeout may stop in its "
                "work; take it out of one of the two"
            )
    others = [change for change in changes if change.target.role != options["connection"]["user"]]
    if others and not _may_alter(connection):
        raise TuningError(
            f"postgres_connection.user on {where}: the role {options['connection']['user']!r} may not alter "
            f"{others[0].target.label}; grant it CREATEROLE (and from PostgreSQL 16 ADMIN on that role), or connect as a "
            "superuser"
        )


def _may_alter(connection: psycopg.Connection[Any]) -> bool:
    row = connection.execute("select rolsuper or rolcreaterole as may from pg_roles where rolname = current_user").fetchone()
    return bool(row and row["may"])


def _verify(changes: list[Change], where: str) -> None:
    for change in changes:
        found = _shown(change.parameter, change.present)
        raise TuningError(f"{change.entry} on {where}: verification found {found} where {change.wanted} is wanted")


def _write(connection: psycopg.Connection[Any], changes: list[Change], where: str) -> None:
    change: Change | None = None
    try:
        with connection.transaction():
            if changes:
                connection.execute(sql.SQL("set local lock_timeout = {}").format(sql.Literal(_LOCK_TIMEOUT)))
            for change in changes:
                connection.execute(_statement(change))
    except psycopg.errors.LockNotAvailable as error:
        raise TuningError(
            f"{change.target.variable if change else 'postgres_role_settings'} on {where}: another session holds a lock on "
            "what has to be changed; nothing was changed, run again"
        ) from error
    except psycopg.Error as error:
        if connection.broken or change is None:
            raise
        raise TuningError(
            f"{change.target.variable} on {where}: {change.name}: {one_line(error)}; nothing was changed"
        ) from error


def _statement(change: Change) -> sql.Composed:
    name = sql.Identifier(*change.parameter.name.split("."))
    if change.value is None:
        return change.target.alter() + sql.SQL(" reset {}").format(name)
    value = change.value
    elements = (value or ("",)) if isinstance(value, tuple) else (written(change.parameter, value),)
    return change.target.alter() + sql.SQL(" set {} = {}").format(name, sql.SQL(", ").join(map(sql.Literal, elements)))


def _previous(changes: list[Change]) -> dict[str, Any]:
    """What was there, in the shape of the options, so that it can be given to them to put it back."""
    previous: dict[str, Any] = {"roles": {}, "databases": {}, "roles_in_databases": {}}
    for change in changes:
        role, database = change.target.role, change.target.database
        if role and database:
            values = previous["roles_in_databases"].setdefault(database, {}).setdefault(role, {})
        else:
            values = previous["roles" if role else "databases"].setdefault(role or database, {})
        values[change.parameter.name] = change.present
    return previous
