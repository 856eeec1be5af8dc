# SPDX-License-Identifier: GPL-3.0-or-later
"""What is inside the databases: extensions, storage parameters of tables, and indexes, over one connection to each.

Every database is read and decided before anything is written in the first one. What cannot have its lock soon is deferred to
the next run: a queue behind a long transaction would hold up everybody else.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils import _postgres_indexes as indexes_of
from ansible_collections.leadgen.tuning.plugins.module_utils import _postgres_memory as memory_of
from ansible_collections.leadgen.tuning.plugins.module_utils import _postgres_tables as tables_of
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._owners import owner_arguments, owner_of, owners
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres import (
    PARAMETER_PRIVILEGES_SINCE,
    connect,
    connection_argument,
    endpoint,
    is_standby,
    one_row,
)
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_extensions import SELECT_EXTENSIONS, extension_steps
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_steps import Step, run_step, undo
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_table_rules import RULES_ARGUMENT, check_rules
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_tables import TablePlan

try:
    import psycopg
    from psycopg import sql
except ImportError:  # connect() says so
    pass

ARGUMENT_SPEC: dict[str, Any] = {
    **connection_argument(),
    "databases": {"type": "list", "elements": "str", "required": True},
    "extensions": {"type": "list", "elements": "str", "default": []},
    "table_settings": {"type": "dict", "default": {}},
    "table_rules": RULES_ARGUMENT,
    "indexes": {"type": "dict", "default": {}},
    **owner_arguments(),
    "remember": {"type": "bool", "default": False},
    "table_memory": {"type": "dict", "default": {}},
    "deferred": {"type": "list", "elements": "str", "default": []},
    "verify": {"type": "bool", "default": False},
}


@dataclass
class _Database:
    """One database as it was read, and what it needs."""

    name: str
    steps: list[Step] = field(default_factory=list)
    tables: TablePlan = field(default_factory=TablePlan)
    memory_text: str | None = None  # as it is
    standby: bool = False

    @property
    def all_steps(self) -> list[Step]:
        """In the order in which they are run: an index may need its extension."""
        return [*self.steps, *self.tables.steps]


def reconcile(options: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    """Bring about what ``databases`` are to hold; in check mode say what that would change.

    With ``remember``, the storage parameters that an earlier run wrote and nothing names any more are reset. On a standby
    nothing is changed, since all of it comes from its primary; what differs there is a warning.

    :raises TuningError: for a database, table or value that is wrong, an extension whose files are not there, a missing
        privilege: nothing has been changed then; or when the server refuses a statement: what was done to tables is
        undone, while extensions and indexes stay.
    """
    check_rules(options["table_rules"])
    _check_dictionaries(options)
    where = endpoint(options["connection"])
    databases = _read_all(options)
    if options["verify"]:
        _verify(databases, options["deferred"], where)
    deferred: dict[str, str] = {}
    if not check_mode and not options["verify"]:
        deferred = _write_all(options, [database for database in databases if not database.standby])
    return _result(options, databases, deferred)


def _check_dictionaries(options: Mapping[str, Any]) -> None:
    for option in ("table_settings", "indexes"):
        for database, given in options[option].items():
            if not isinstance(given, Mapping):
                raise TuningError(
                    f"postgres_{option}.{database} on {endpoint(options['connection'])}: it takes a dictionary, and "
                    f"{given!r} was given"
                )


def _read_all(options: Mapping[str, Any]) -> list[_Database]:
    found: list[_Database] = []
    given = [*options["databases"], *options["table_settings"], *options["indexes"], *options["table_memory"]]
    names = list(dict.fromkeys(map(str, given)))
    if options["remember"] and not names:
        names = [options["connection"]["dbname"]]
    for name in names:  # which the first connection adds to
        with connect(options["connection"], name) as connection:
            if options["remember"] and not found:
                remembered = connection.execute(_REMEMBERED, (memory_of.TABLES,)).fetchall()
                names += [row["name"] for row in remembered if row["name"] not in names]
            found.append(_read(connection, options, name))
    return found


# Databases whose tables an earlier run wrote to, named by the inventory or not.
_REMEMBERED = (
    "select d.datname as name from pg_db_role_setting as s join pg_roles as r on r.oid = s.setrole"
    " join pg_database as d on d.oid = s.setdatabase"
    " where r.rolname = current_user"
    " and exists (select from unnest(s.setconfig) as entry where starts_with(entry, %s || '='))"
    " order by 1"
)


def _read(connection: psycopg.Connection[Any], options: Mapping[str, Any], name: str) -> _Database:
    """Read and decide one database, with a query for each kind of thing that is wanted in it."""
    where = endpoint(options["connection"])
    indexes = indexes_of.wanted_indexes(options, name, where)
    text: str | None = one_row(
        connection.execute("select nullif(current_setting(%s, true), '') as text", (memory_of.TABLES,))
    )["text"]
    memory = memory_of.load(text) if options["remember"] else {}
    tables = tables_of.query_arguments(options, name, memory)
    database = _Database(name, memory_text=text, standby=is_standby(connection))
    if options["extensions"] and name in options["databases"]:
        rows = connection.execute(SELECT_EXTENSIONS, (options["extensions"],)).fetchall()
        database.steps += extension_steps(rows, name, where)
    if indexes:
        rows = connection.execute(indexes_of.SELECT_INDEXES, indexes_of.query_arguments(indexes)).fetchall()
        database.steps += indexes_of.index_steps(indexes, rows, name, where)
    if any(tables.values()):
        rows = connection.execute(tables_of.SELECT_TABLES, tables).fetchall()
        version = connection.info.server_version
        database.tables = tables_of.plan_tables(options, rows, memory, (where, name, version))
    _select(options, database)
    if options["remember"] and database.tables.steps and not database.standby:
        _check_memory(connection, options)
    return database


def _select(options: Mapping[str, Any], database: _Database) -> None:
    """Leave the steps of the controls that the run selects."""
    if options["only"] is not None:
        for steps in (database.steps, database.tables.steps):
            steps[:] = [step for step in steps if owner_of(next(iter(step.after)), options["controls"]) in options["only"]]


def _check_memory(connection: psycopg.Connection[Any], options: Mapping[str, Any]) -> None:
    granted = connection.info.server_version >= PARAMETER_PRIVILEGES_SINCE
    may = "has_parameter_privilege({}, 'SET')" if granted else "(select rolsuper from pg_roles where rolname = current_user)"
    query = sql.SQL("select " + may + " as remember").format(sql.Literal(memory_of.TABLES))
    if not one_row(connection.execute(query))["remember"]:
        raise TuningError(
            f"postgres_connection.user on {endpoint(options['connection'])}: the role {options['connection']['user']!r} may "
            f"not remember what it writes; run playbooks/grants.yml, which grants it SET on {memory_of.TABLES}"
        )


def _write_all(options: Mapping[str, Any], databases: list[_Database]) -> dict[str, str]:
    """Run the steps; return by key of the diff who is in the way of those that are deferred."""
    deferred: dict[str, str] = {}
    for number, database in enumerate(databases):
        try:
            deferred |= _write(options, database)
        except TuningError:
            for earlier in reversed(databases[:number]):
                _take_back(options, earlier)
            raise
    return deferred


def _write(options: Mapping[str, Any], database: _Database) -> dict[str, str]:
    where, memory = endpoint(options["connection"]), options["table_memory"]
    if not database.all_steps and database.name not in memory:
        return {}
    deferred: dict[str, str] = {}
    remembers = options["remember"] and bool(database.tables.steps)
    with connect(options["connection"], database.name) as connection:
        if remembers:  # first, so that a run that is killed in the middle forgets nothing
            known = memory_of.load(database.memory_text)
            _remember(connection, database.name, memory_of.dump({**known, **database.tables.memory}))
        done: list[Step] = []
        try:
            for step in database.all_steps:
                holders = run_step(connection, step, where)
                if holders is None:
                    done.append(step)
                else:
                    deferred |= dict.fromkeys(step.after, holders)
        except TuningError:
            undo(connection, [step for step in done if step in database.tables.steps])
            if remembers:
                _remember(connection, database.name, database.memory_text)
            raise
        if remembers and not deferred:
            _remember(connection, database.name, memory_of.dump(database.tables.memory) if database.tables.memory else None)
        if database.name in memory:
            _remember(connection, database.name, memory[database.name] or None)
    return deferred


def _take_back(options: Mapping[str, Any], database: _Database) -> None:
    """Undo what was done to the tables of a database, when another one has refused its part."""
    if not database.tables.steps:
        return
    with suppress(TuningError), connect(options["connection"], database.name) as connection:
        undo(connection, database.tables.steps)
        if options["remember"]:
            _remember(connection, database.name, database.memory_text)


def _remember(connection: psycopg.Connection[Any], database: str, text: str | None) -> None:
    alter = sql.SQL("alter role current_user in database {} ").format(sql.Identifier(database))
    name = sql.Identifier(*memory_of.TABLES.split("."))
    value = sql.SQL("reset {}").format(name)
    if text is not None:
        value = sql.SQL("set {} = {}").format(name, sql.Literal(text))
    connection.execute(alter + value)


def _verify(databases: list[_Database], deferred: list[str], where: str) -> None:
    for step in (step for database in databases if not database.standby for step in database.all_steps):
        for name, wanted in step.after.items():
            if name not in deferred:
                raise TuningError(
                    f"{step.entry} on {where}: verification found {step.before[name]} where {wanted} is wanted ({name})"
                )


def _result(options: Mapping[str, Any], databases: list[_Database], deferred: Mapping[str, str]) -> dict[str, Any]:
    where = endpoint(options["connection"])
    own = [database for database in databases if not database.standby]
    steps = [step for database in own for step in database.all_steps]
    before = {name: text for step in steps for name, text in step.before.items() if name not in deferred}
    after = {name: text for step in steps for name, text in step.after.items() if name not in deferred}
    warnings = [f"{name} on {where} is left for the next run: its lock is {holders}" for name, holders in deferred.items()]
    copied = [name for database in databases if database.standby for step in database.all_steps for name in step.after]
    if copied:
        warnings.append(f"{where} is a standby, whose databases are its primary's; these differ: {', '.join(copied)}")
    written = [database for database in own if database.tables.steps]
    return {
        "changed": bool(after),
        "diff": {"before": before, "after": after},
        "needs": {},
        "owners": owners(after, options["controls"]),
        "deferred": sorted(deferred),
        "previous": {
            "table_settings": {database.name: database.tables.previous for database in written},
            "table_memory": {database.name: database.memory_text or "" for database in written},
        },
        "warnings": warnings,
    }
