# SPDX-License-Identifier: GPL-3.0-or-later
"""Session defaults of roles, of databases, and of roles in databases (ALTER ROLE ... SET, ALTER DATABASE ... SET).

They come into force with the next session. All are changed in one transaction, so an error leaves none of them changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils import _postgres_memory as memory_of
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._lists import PRELOAD_LIBRARIES
from ansible_collections.leadgen.tuning.plugins.module_utils._owners import owner_arguments, owner_of, owners
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres import (
    connect,
    connection_argument,
    endpoint,
    is_standby,
)
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_session_default import (
    SELECT_DEFAULTS,
    UNSET,
    VARIABLES,
    Change,
    Present,
    Target,
    present_of,
)
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_session_memory import (
    MEMORY,
    forgotten,
    remembered,
    remembering,
)
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_session_write import refuse, write
from ansible_collections.leadgen.tuning.plugins.module_utils._settings import (
    SELECT_PARAMETERS,
    Configured,
    Parameter,
    Value,
    make_parameter,
    read,
    show,
    wanted_value,
)

try:
    import psycopg
except ImportError:  # connect() says so
    pass

ARGUMENT_SPEC: dict[str, Any] = {
    **connection_argument(),
    "roles": {"type": "dict", "default": {}},
    "databases": {"type": "dict", "default": {}},
    "roles_in_databases": {"type": "dict", "default": {}},
    "exempt_roles": {"type": "list", "elements": "str", "default": []},
    **owner_arguments(),
    "remember": {"type": "bool", "default": False},
    "verify": {"type": "bool", "default": False},
}

# A session may change these; the others are the whole server's, or fixed before a session's defaults are read.
_SESSION_CONTEXTS = frozenset({"superuser", "user"})


def reconcile(options: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    """Bring the session defaults about; in check mode say what that would change.

    With ``remember``, what an earlier run wrote and the options no longer name is taken out. On a standby nothing is
    changed, since its defaults are its primary's; what differs there is a warning.

    :raises TuningError: for a wrong role, database, name or value, an exempt role, or a missing privilege; nothing has been
        changed then.
    """
    wanted = [entry for entry in _wanted(options) if _is_for(options, entry[0], entry[1])]
    where = endpoint(options["connection"])
    with connect(options["connection"]) as connection:
        _check_targets(connection, wanted, where)
        present = present_of(connection.execute(SELECT_DEFAULTS))
        changes = _changes(connection, wanted, present, where)
        memory = []
        if options["remember"]:
            user = options["connection"]["user"]
            written = remembered(user, present)
            changes += _forget(options, forgotten(written, present))
            memory = remembering(user, written, changes, present)
        if changes and is_standby(connection):
            return _reported(changes, where)
        if options["verify"]:
            _verify(changes, where)
        refuse(connection, changes, memory, options)
        if not check_mode and changes:
            write(connection, [*changes, *memory], where)
    before = {change.name: _shown(change.parameter, change.present) for change in changes}
    after = {change.name: change.wanted for change in changes}
    return {
        "changed": bool(changes),
        "diff": {"before": before, "after": after},
        "needs": {},
        "owners": owners([*before], options["controls"]),
        "previous": _previous([*changes, *memory]),
    }


def _reported(changes: list[Change], where: str) -> dict[str, Any]:
    names = ", ".join(change.name for change in changes)
    return {
        "changed": False,
        "diff": {"before": {}, "after": {}},
        "needs": {},
        "owners": {},
        "previous": {},
        "warnings": [f"{where} is a standby, whose session defaults come from its primary; these differ: {names}"],
    }


def _wanted(options: Mapping[str, Any]) -> Iterator[tuple[Target, str, Any]]:
    """Target, parameter and value of every entry of the three dictionaries."""
    scopes = [(Target(str(role), "", VARIABLES[True, False]), values) for role, values in options["roles"].items()]
    scopes += [(Target("", str(name), VARIABLES[False, True]), values) for name, values in options["databases"].items()]
    variable = VARIABLES[True, True]
    for database, roles in options["roles_in_databases"].items():
        for role, values in _dictionary(roles, f"{variable}.{database}").items():
            scopes.append((Target(str(role), str(database), variable), values))
    for target, values in scopes:
        for name, value in _dictionary(values, f"{target.variable}.{target.role or target.database}").items():
            yield target, str(name), value


def _dictionary(values: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(values, Mapping):
        raise TuningError(f"{where}: it takes a dictionary of parameters, and {values!r} was given")
    return values


def _is_for(options: Mapping[str, Any], target: Target, name: str) -> bool:
    return options["only"] is None or owner_of(f"{target.label}: {name}", options["controls"]) in options["only"]


def _forget(options: Mapping[str, Any], written: Iterable[Change]) -> Iterator[Change]:
    """Of the changes that take out what earlier runs wrote, those that the options call for."""
    named = {target.key(name) for target, name, _value in _wanted(options)}
    for change in written:
        if change.key not in named and _is_for(options, change.target, change.parameter.name):
            yield change


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


def _changes(
    connection: psycopg.Connection[Any], wanted: list[tuple[Target, str, Any]], present: Present, where: str
) -> list[Change]:
    names = [name.lower() for _target, name, _value in wanted]
    rows = connection.execute(
        SELECT_PARAMETERS + "lower(name) = any(%s)",
        (names,),
    )
    parameters = {row["name"].lower(): make_parameter(row, connection.info.server_version) for row in rows}
    parameters[memory_of.SESSION] = MEMORY  # what a run put back that failed
    changes = []
    for target, name, given in wanted:
        try:
            change = _compare(target, parameters.get(name.lower()), present, given)
        except ValueError as error:
            raise TuningError(f"{target.variable}.{target.role or target.database}.{name} on {where}: {error}") from error
        if change:
            changes.append(change)
    return changes


def _compare(target: Target, parameter: Parameter | None, present: Present, given: Any) -> Change | None:
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
    if value == () and parameter.name in PRELOAD_LIBRARIES:
        raise ValueError(
            "an empty list would be written as one library without a name, which no session could start with; give null, "
            "which takes the default out"
        )
    return Change(target, parameter, value, text)


def _reads_as(parameter: Parameter, text: str, value: Value) -> bool:
    try:
        return read(parameter, text) == value
    except ValueError:
        return False


def _shown(parameter: Parameter, text: str | None) -> str:
    if text is None:
        return UNSET
    try:
        return show(parameter, read(parameter, text))
    except ValueError:
        return text


def _verify(changes: list[Change], where: str) -> None:
    for change in changes:
        found = _shown(change.parameter, change.present)
        raise TuningError(f"{change.entry} on {where}: verification found {found} where {change.wanted} is wanted")


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
