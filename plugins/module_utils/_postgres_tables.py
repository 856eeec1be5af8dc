# SPDX-License-Identifier: GPL-3.0-or-later
"""What the storage parameters of one database's tables need: those given by name, those of rules, and those dropped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils import _postgres_memory as memory_of
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_memory import Memory
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_steps import Step
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_storage_parameters import storage_parameter
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_table_rules import Choice, choose
from ansible_collections.leadgen.tuning.plugins.module_utils._settings import (
    Configured,
    Parameter,
    Value,
    read,
    show,
    wanted_value,
    written,
)

try:
    from psycopg import sql
except ImportError:  # connect() says so
    pass

UNSET = "unset"
VARIABLE = "postgres_table_settings"
_RULE = "(rule)"
_KINDS = {"p": "partitioned, and has no rows to vacuum; name its partitions", "f": "a foreign table", "v": "a view"}

# The counters' age is the database's own where it was ever reset, and else that of the server's.
SELECT_TABLES = """
    with named as (select name, to_regclass(name) as oid from unnest(%(named)s::text[]) as name),
    age as (
        select extract(epoch from now() - coalesce(
            (select stats_reset from pg_stat_database where datname = current_database()),
            least((select stats_reset from pg_stat_bgwriter), (select stats_reset from pg_stat_archiver))
        ))::float8 as seconds
    )
    select c.relname as relation, n.nspname as schema, format('%%I.%%I', n.nspname, c.relname) as name, c.relkind as kind,
           array(select named.name from named where named.oid = c.oid) as given,
           coalesce(c.reloptions, '{}') as options, coalesce(toast.reloptions, '{}') as toast_options,
           c.reltoastrelid <> 0 as has_toast,
           greatest(c.reltuples, pg_stat_get_live_tuples(c.oid))::float8 as rows,
           pg_stat_get_dead_tuples(c.oid)::float8 as dead_rows,
           coalesce((pg_stat_get_tuples_inserted(c.oid) + pg_stat_get_tuples_updated(c.oid)
               + pg_stat_get_tuples_deleted(c.oid)) / nullif(age.seconds, 0), 0)::float8 as writes_per_second,
           pg_has_role(c.relowner, 'USAGE') as allowed
    from pg_class as c join pg_namespace as n on n.oid = c.relnamespace cross join age
    left join pg_class as toast on toast.oid = c.reltoastrelid
    where c.oid in (select oid from named)
       or c.relkind in ('r', 'm') and c.relpersistence <> 't' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
          and (%(all)s or format('%%I.%%I', n.nspname, c.relname) = any(%(remembered)s))
    order by n.nspname, c.relname
"""


@dataclass
class TablePlan:
    """What one database's tables need, and what is to be remembered when it is done."""

    steps: list[Step] = field(default_factory=list)
    memory: Memory = field(default_factory=dict)  # after the steps
    previous: dict[str, dict[str, str | None]] = field(default_factory=dict)  # by table and parameter


@dataclass(frozen=True)
class _Difference:
    parameter: Parameter
    value: Value  # None takes it out
    present: str | None
    reason: str = ""

    @property
    def before(self) -> str:
        if self.present is None:
            return UNSET
        try:
            return show(self.parameter, read(self.parameter, self.present))
        except ValueError:
            return self.present

    @property
    def after(self) -> str:
        shown = UNSET if self.value is None else show(self.parameter, self.value)
        return f"{shown} ({self.reason})" if self.reason else shown


def query_arguments(options: Mapping[str, Any], database: str, memory: Memory) -> dict[str, Any]:
    """The parameters of SELECT_TABLES."""
    return {
        "named": [str(name) for name in options["table_settings"].get(database, {})],
        "all": bool(options["table_rules"]) and database in options["databases"],
        "remembered": sorted({key.rpartition(": ")[0] for key in memory}),
    }


def plan_tables(
    options: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    memory: Memory,
    where: tuple[str, str, int],
) -> TablePlan:
    """Compare the tables with what is wanted of them; ``where`` is endpoint, database, and server_version_num.

    :raises TuningError: for a wrong table, name or value, and for a table that the role may not alter.
    """
    endpoint, database, version = where
    by_name = _by_name(options, rows, endpoint, database)
    plan = TablePlan()
    for row in rows:
        table = row["name"]
        chosen_by = next(
            (
                rule["name"]
                for rule in options["table_rules"]
                if memory_of.is_ours(memory, f"{table}: {_RULE}", rule["name"])
            ),
            None,
        )
        choice = choose(options["table_rules"], database, row, chosen_by) if row["kind"] in "rm" else None
        wanted = _wanted(row, by_name.get(table, {}), choice, where)
        texts = _texts(row)
        differences = list(_differences(wanted, texts, where, table))
        if options["remember"]:
            differences += _dropped(memory, table, wanted, texts, version)
            plan.memory |= _marks(memory, table, wanted, texts, differences, choice=choice)
        if differences:
            _check_owner(row, differences, where)
            plan.steps.append(_step(row, differences, database))
            plan.previous[table] = {change.parameter.name: change.present for change in differences}
    return plan


def _by_name(
    options: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], endpoint: str, database: str
) -> dict[str, dict[str, Any]]:
    """The dictionaries of the inventory by the tables' own full names."""
    found: dict[str, dict[str, Any]] = {}
    names = {given: row for row in rows for given in row["given"]}
    for name, settings in options["table_settings"].get(database, {}).items():
        entry = f"{VARIABLE}.{database}.{name} on {endpoint}"
        row = names.get(str(name))
        if row is None:
            raise TuningError(f"{entry}: there is no table of that name; give it as schema.table, or take it out")
        if row["kind"] not in "rm":
            raise TuningError(f"{entry}: it is {_KINDS.get(row['kind'], 'no table')}")
        if not isinstance(settings, Mapping):
            raise TuningError(f"{entry}: it takes a dictionary of storage parameters, and {settings!r} was given")
        if row["name"] in found:
            raise TuningError(f"{entry}: {row['name']} is there under another spelling too; take one of them out")
        found[row["name"]] = dict(settings)
    return found


def _wanted(
    row: Mapping[str, Any], named: Mapping[str, Any], choice: Choice | None, where: tuple[str, str, int]
) -> dict[str, tuple[Parameter, Any, str, str]]:
    """By lower-case name: parameter, given value, reason, and the inventory's entry; by name goes before a rule."""
    endpoint, database, version = where
    wanted = {}
    sources = [(choice.settings, choice.reason, f"postgres_table_rules.{choice.rule}")] if choice else []
    for settings, reason, entry in [*sources, (named, "", f"{VARIABLE}.{database}.{row['name']}")]:
        for name, given in settings.items():
            try:
                parameter = storage_parameter(str(name), version)
            except ValueError as error:
                raise TuningError(f"{entry}.{name} on {endpoint}: {error}") from error
            if parameter.name.startswith("toast.") and not row["has_toast"] and given is not None:
                if reason:
                    continue  # the server passes over it too
                raise TuningError(
                    f"{entry}.{name} on {endpoint}: {row['name']} has no TOAST table, its rows being short; take it out"
                )
            wanted[parameter.name] = (parameter, given, reason, f"{entry}.{name}")
    return wanted


def _texts(row: Mapping[str, Any]) -> dict[str, str]:
    """The storage parameters that are set, ``toast.`` before those of the TOAST table."""
    found = {}
    for prefix, entries in (("", row["options"]), ("toast.", row["toast_options"])):
        for entry in entries:
            name, _equals, text = entry.partition("=")
            found[prefix + name] = text
    return found


def _differences(
    wanted: Mapping[str, tuple[Parameter, Any, str, str]],
    texts: Mapping[str, str],
    where: tuple[str, str, int],
    table: str,
) -> Iterator[_Difference]:
    for name, (parameter, given, reason, entry) in wanted.items():
        text = texts.get(name)
        if given is None:
            if text is not None:
                yield _Difference(parameter, None, text, reason)
            continue
        try:
            value = wanted_value(parameter, given, Configured())
        except ValueError as error:
            raise TuningError(f"{entry} on {where[0]}, table {table}: {error}") from error
        difference = _Difference(parameter, value, text, reason)
        if difference.before != show(parameter, value):
            yield difference


def _dropped(
    memory: Memory, table: str, wanted: Mapping[str, Any], texts: Mapping[str, str], version: int
) -> Iterator[_Difference]:
    """What an earlier run wrote, is still as it wrote it, and is no longer wanted."""
    for name, text in texts.items():
        if name not in wanted and memory_of.is_ours(memory, f"{table}: {name}", text):
            yield _Difference(storage_parameter(name, version), None, text)


def _marks(
    memory: Memory,
    table: str,
    wanted: Mapping[str, Any],
    texts: Mapping[str, str],
    differences: Sequence[_Difference],
    *,
    choice: Choice | None,
) -> Memory:
    """What is to be remembered of one table: what is written now, what was written before and stands, and its rule."""
    changed = {change.parameter.name: change for change in differences}
    marks = {
        f"{table}: {name}": memory[f"{table}: {name}"]
        for name, text in texts.items()
        if name in wanted and name not in changed and memory_of.is_ours(memory, f"{table}: {name}", text)
    }
    values = {
        f"{table}: {name}": written(change.parameter, change.value)
        for name, change in changed.items()
        if change.value is not None
    }
    rule = {f"{table}: {_RULE}": choice.rule} if choice else {}
    return {**marks, **memory_of.remember({**values, **rule})}


def _check_owner(row: Mapping[str, Any], differences: Sequence[_Difference], where: tuple[str, str, int]) -> None:
    if not row["allowed"]:
        names = ", ".join(change.parameter.name for change in differences)
        raise TuningError(
            f"{VARIABLE}.{where[1]} on {where[0]}: the role may not set {names} of {row['name']}; grant it the role that "
            "owns the table, or connect as that one"
        )


def _step(row: Mapping[str, Any], differences: Sequence[_Difference], database: str) -> Step:
    names = [f"{database}.{row['name']}: {change.parameter.name}" for change in differences]
    texts = {
        change.parameter.name: None if change.value is None else written(change.parameter, change.value)
        for change in differences
    }
    return Step(
        entry=f"{VARIABLE}.{database}.{row['name']}",
        before=dict(zip(names, (change.before for change in differences), strict=True)),
        after=dict(zip(names, (change.after for change in differences), strict=True)),
        statements=[_alter_table(row, texts)],
        relation=row["name"],
        undo=[_alter_table(row, {change.parameter.name: change.present for change in differences})],
    )


def _alter_table(row: Mapping[str, Any], texts: Mapping[str, str | None]) -> sql.Composed:
    """One ALTER TABLE that sets the parameters which have a text, and resets the others."""
    name = {parameter: sql.Identifier(*parameter.split(".")) for parameter in texts}
    assignments = [
        sql.SQL("{} = {}").format(name[parameter], sql.Literal(text))
        for parameter, text in texts.items()
        if text is not None
    ]
    resets = [name[parameter] for parameter, text in texts.items() if text is None]
    actions = [sql.SQL("set ({})").format(sql.SQL(", ").join(assignments))] if assignments else []
    actions += [sql.SQL("reset ({})").format(sql.SQL(", ").join(resets))] if resets else []
    return sql.SQL("alter table {} {}").format(sql.Identifier(row["schema"], row["relation"]), sql.SQL(", ").join(actions))
