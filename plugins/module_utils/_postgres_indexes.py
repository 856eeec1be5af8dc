# SPDX-License-Identifier: GPL-3.0-or-later
"""Indexes named in the inventory: created without stopping writers, and again where an attempt left an invalid one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_steps import Step

try:
    from psycopg import sql
except ImportError:  # connect() says so
    pass

VARIABLE = "postgres_indexes"
# CREATE INDEX CONCURRENTLY waits, without being in anyone's way, for the transactions that are open when it starts.
_LOCK_TIMEOUT = "60s"
_INDEX = ArgumentSpecValidator(
    {
        "table": {"type": "str", "required": True},
        "columns": {"type": "list", "elements": "str", "required": True},
        "include": {"type": "list", "elements": "str", "default": []},
        "method": {"type": "str", "default": "btree"},
        "unique": {"type": "bool", "default": False},
        "where": {"type": "str"},
    }
)
# A column of an index with what may follow it: an operator class, an order.
_KEY = re.compile(r"(?P<column>[a-z_][a-z0-9_$]*)(?P<rest>(?:\s+[a-z_][a-z0-9_.]*)*)", re.IGNORECASE)

SELECT_INDEXES = """
    select wanted.name as index, wanted.relation as given, t.oid is not null as table_found, t.relkind as kind,
           n.nspname as schema, t.relname as relation,
           quote_ident(n.nspname) || '.' || quote_ident(t.relname) as table,
           quote_ident(n.nspname) || '.' || quote_ident(wanted.name) as full_name,
           array(select attname from pg_attribute where attrelid = t.oid and attnum > 0 and not attisdropped) as columns,
           pg_has_role(t.relowner, 'USAGE') and has_schema_privilege(n.oid, 'CREATE') as allowed,
           exists (select from pg_am where amname = wanted.method and amtype = 'i') as method_found,
           existing.oid is not null as taken, i.indrelid = t.oid as same_table, i.indisvalid as valid,
           i.indisunique as is_unique, am.amname as is_method, pg_get_indexdef(existing.oid) as definition,
           array(select pg_get_indexdef(i.indexrelid, k, true) from generate_series(1, i.indnkeyatts) as k) as keys,
           array(select pg_get_indexdef(i.indexrelid, k, true) from generate_series(i.indnkeyatts + 1, i.indnatts) as k)
               as included,
           (select pid from pg_stat_progress_create_index where index_relid = existing.oid limit 1) as builder
    from unnest(%(names)s::text[], %(tables)s::text[], %(methods)s::text[]) as wanted(name, relation, method)
    left join pg_class as t on t.oid = to_regclass(wanted.relation)
    left join pg_namespace as n on n.oid = t.relnamespace
    left join pg_class as existing on existing.relname = wanted.name and existing.relnamespace = t.relnamespace
    left join pg_index as i on i.indexrelid = existing.oid
    left join pg_am as am on am.oid = existing.relam
"""


def wanted_indexes(options: Mapping[str, Any], database: str, where: str) -> dict[str, dict[str, Any]]:
    """The database's indexes by name, each whole: table, columns, include, method, unique, where.

    :raises TuningError: when one is not in that form.
    """
    found = {}
    for name, given in options["indexes"].get(database, {}).items():
        entry = f"{VARIABLE}.{database}.{name} on {where}"
        if not isinstance(given, Mapping):
            raise TuningError(f"{entry}: it takes a dictionary with table and columns, and {given!r} was given")
        checked = _INDEX.validate(dict(given))
        if checked.error_messages or checked.unsupported_parameters:
            raise TuningError(
                f"{entry}: {'; '.join(checked.error_messages)}; it takes table, columns, include, method, unique, where"
            )
        found[str(name)] = checked.validated_parameters
    return found


def query_arguments(indexes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The parameters of SELECT_INDEXES."""
    return {
        "names": list(indexes),
        "tables": [index["table"] for index in indexes.values()],
        "methods": [index["method"] for index in indexes.values()],
    }


def index_steps(
    indexes: Mapping[str, Mapping[str, Any]], rows: Sequence[Mapping[str, Any]], database: str, where: str
) -> Iterator[Step]:
    """Create what is missing, and drop what a failed attempt left before trying again.

    :raises TuningError: for a table or column that is not there, a name that another index has, or a missing privilege.
    """
    for row in rows:
        wanted = indexes[row["index"]]
        entry = f"{VARIABLE}.{database}.{row['index']} on {where}"
        _check(row, wanted, entry)
        if row["taken"] and row["valid"]:
            continue
        if row["builder"]:
            raise TuningError(f"{entry}: the session with pid {row['builder']} is building it; run again when it is done")
        name = sql.Identifier(row["schema"], row["index"])
        drop = sql.SQL("drop index concurrently if exists {}").format(name)
        key = f"{database}.{row['full_name']} (index)"
        create = _create(row, wanted)
        yield Step(
            entry=entry.partition(" on ")[0],
            before={key: "invalid" if row["taken"] else "absent"},
            after={key: _shown(row, wanted)},
            statements=[drop, create] if row["taken"] else [create],
            relation=row["table"],
            lock_timeout=_LOCK_TIMEOUT,
            undo=[drop],
        )


def _check(row: Mapping[str, Any], wanted: Mapping[str, Any], entry: str) -> None:
    if not row["table_found"]:
        raise TuningError(f"{entry}: there is no table {row['given']}; give it as schema.table")
    if row["kind"] not in "rm":
        raise TuningError(
            f"{entry}: {row['table']} is not a plain table; an index is built without stopping writers on plain tables "
            "only, so name its partitions"
        )
    if not row["method_found"]:
        raise TuningError(f"{entry}: the server has no index method {wanted['method']}; check its spelling")
    for given in (*wanted["columns"], *wanted["include"]):
        column = _column(given, row["columns"])
        if column is None and (_KEY.fullmatch(given) or given in wanted["include"]):
            raise TuningError(f"{entry}: {row['table']} has no column {given}; check its spelling")
    if row["taken"] and not _is_same(row, wanted):
        raise TuningError(
            f"{entry}: another stands under that name ({row['definition'] or 'no index'}); give this one another name, or "
            "drop that"
        )
    if not row["allowed"] and not (row["taken"] and row["valid"]):
        raise TuningError(
            f"{entry}: the role may not create an index on {row['table']}; grant it the role that owns the table, and "
            "CREATE on its schema"
        )


def _column(given: str, columns: Sequence[str]) -> str | None:
    """The table's column that a key begins with; None for an expression, and for a name the table has not."""
    if given in columns:
        return given
    match = _KEY.fullmatch(given)
    return match["column"].lower() if match and match["column"].lower() in columns else None


def _is_same(row: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether the index that stands is the one that is meant, as far as can be told: the server rewrites expressions."""
    if not row["same_table"] or (row["is_unique"], row["is_method"]) != (wanted["unique"], wanted["method"]):
        return False
    pairs = [(row["keys"], wanted["columns"]), (row["included"], wanted["include"])]
    for found, given in pairs:
        if len(found) != len(given):
            return False
        for text, key in zip(found, given, strict=True):
            column = _column(key, row["columns"])
            if column is not None and text not in (column, f'"{column}"'):
                return False
    return True


def _create(row: Mapping[str, Any], wanted: Mapping[str, Any]) -> sql.Composed:
    statement = sql.SQL("create {} index concurrently {} on {} using {} ({})").format(
        sql.SQL("unique" if wanted["unique"] else ""),
        sql.Identifier(row["index"]),
        sql.Identifier(row["schema"], row["relation"]),
        sql.Identifier(wanted["method"]),
        sql.SQL(", ").join(_key(given, row["columns"]) for given in wanted["columns"]),
    )
    if wanted["include"]:
        included = sql.SQL(", ").join(sql.Identifier(_column(name, row["columns"]) or name) for name in wanted["include"])
        statement += sql.SQL(" include ({})").format(included)
    # What is left is SQL by its nature; the step that runs it lets a single statement pass.
    return statement + sql.SQL(f" where {wanted['where']}") if wanted["where"] else statement


def _key(given: str, columns: Sequence[str]) -> sql.Composable:
    if given in columns:
        return sql.Identifier(given)
    column = _column(given, columns)
    rest = given[len(column) :] if column else f"({given})"
    return (sql.Identifier(column) if column else sql.SQL("")) + sql.SQL(rest)


def _shown(row: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    parts = [f"on {row['table']} ({', '.join(wanted['columns'])})"]
    parts += [f"include ({', '.join(wanted['include'])})"] if wanted["include"] else []
    parts += [f"where {wanted['where']}"] if wanted["where"] else []
    return " ".join([*(["unique"] if wanted["unique"] else []), *parts])
