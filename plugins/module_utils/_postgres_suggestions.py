# SPDX-License-Identifier: GPL-3.0-or-later
"""Indexes for scans of whole large tables: suggested when a hypothetical one, or else arithmetic, shows what it saves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils import _postgres_plans as plans
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres import one_row
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_explain import Explain, NotExplainedError, Plan
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_plans import Candidate, Scan

try:
    import psycopg
    from psycopg import sql
except ImportError:  # connect() says so
    pass

# An index is worth its upkeep when the statement's cost falls to half, or less.
_FACTOR = 2.0
_FACTS = """
    select format('%%I.%%I', n.nspname, c.relname) as table, c.relname as relation,
           greatest(c.reltuples, pg_stat_get_live_tuples(c.oid))::float8 as rows,
           (pg_relation_size(c.oid) / current_setting('block_size')::int)::float8 as pages,
           (pg_stat_get_tuples_inserted(c.oid) + pg_stat_get_tuples_updated(c.oid)
               + pg_stat_get_tuples_deleted(c.oid))::float8
               / greatest(1, extract(epoch from now() - coalesce((select stats_reset from pg_stat_database
                   where datname = current_database()), pg_postmaster_start_time())))::float8 as writes_per_second,
           (select count(*) from pg_index where indrelid = c.oid)::int as index_count,
           (select coalesce(jsonb_agg(array(
                select a.attname::text from generate_series(0, i.indnkeyatts - 1) as k
                left join pg_attribute as a on a.attrelid = i.indrelid and a.attnum = i.indkey[k] order by k)), '[]')
            from pg_index as i join pg_class as x on x.oid = i.indexrelid join pg_am as m on m.oid = x.relam
            where i.indrelid = c.oid and i.indisvalid and i.indpred is null and m.amname = 'btree') as indexes,
           (select jsonb_object_agg(a.attname, jsonb_build_object('type', y.typname, 'n_distinct', s.n_distinct,
                                                                  'width', s.avg_width))
            from pg_attribute as a join pg_type as y on y.oid = a.atttypid
            left join pg_stats as s on s.schemaname = n.nspname and s.tablename = c.relname and s.attname = a.attname
                 and not s.inherited
            where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns
    from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
    where n.nspname = %s and c.relname = %s and c.relkind in ('r', 'm') and c.relpersistence <> 't'
"""
_COSTS = (
    "select name, setting::float8 as value from pg_settings"
    " where name in ('random_page_cost', 'cpu_tuple_cost', 'cpu_index_tuple_cost')"
)


class Tables:
    """The tables of one database as they were first read, and whether it has HypoPG."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._read: dict[tuple[str, str], dict[str, Any] | None] = {}
        row = connection.execute(
            "select n.nspname as schema from pg_extension as e join pg_namespace as n on n.oid = e.extnamespace"
            " where e.extname = 'hypopg'"
        ).fetchone()
        self.hypopg: str | None = row and row["schema"]
        self.costs = {row["name"]: row["value"] for row in connection.execute(_COSTS)}

    def facts(self, schema: str, table: str) -> dict[str, Any] | None:
        """Rows, pages, writes, indexes and columns of a plain table; None for another relation."""
        if (schema, table) not in self._read:
            self._read[schema, table] = self._connection.execute(_FACTS, (schema, table)).fetchone()
        return self._read[schema, table]


def suggestion(
    connection: psycopg.Connection[Any], tables: Tables, scan: Scan, plan: Plan, explain: Explain
) -> dict[str, Any] | None:
    """The index for one scan of a plan, or None: table, columns, costs, size, upkeep, and the entry for the inventory.

    Nothing is created: a hypothetical index is known to this session alone, and only to EXPLAIN.
    """
    facts = tables.facts(scan.schema, scan.table)
    wanted = plans.candidate(scan, facts["columns"]) if facts else None
    if facts is None or wanted is None or plans.is_served(wanted, facts["indexes"]):
        return None
    before = plan["Total Cost"]
    if tables.hypopg:
        by = "hypopg"
        proved = _hypothetical(connection, tables.hypopg, facts["table"], wanted, explain)
    else:
        by = "arithmetic"
        proved = _reckoned(facts, wanted, scan, before, tables.costs)
    if proved is None or before < _FACTOR * proved[0]:
        return None
    after, size = proved
    return {
        "table": facts["table"],
        "columns": wanted.columns,
        "confirmed_by": by,
        "cost_before": round(before, 2),
        "cost_after": round(after, 2),
        "bytes": size,
        "rows_written_per_second": round(facts["writes_per_second"], 2),
        "indexes_on_table": facts["index_count"],
        "postgres_indexes": {
            plans.index_name(facts["relation"], wanted): {"table": facts["table"], "columns": wanted.columns}
        },
    }


def _hypothetical(
    connection: psycopg.Connection[Any], schema: str, table: str, wanted: Candidate, explain: Explain
) -> tuple[float, int] | None:
    """Cost of the statement with the index, and the index's bytes; None when the planner does not take it."""
    keys = [
        sql.Identifier(key.removesuffix(" desc")) + sql.SQL(" desc" if key.endswith(" desc") else "")
        for key in wanted.columns
    ]
    definition = sql.SQL("create index on {} ({})").format(sql.SQL(table), sql.SQL(", ").join(keys))
    create = sql.SQL("select indexrelid, indexname from {}.hypopg_create_index(%s)").format(sql.Identifier(schema))
    try:
        with connection.transaction():
            made = one_row(connection.execute(create, (definition.as_string(connection),)))
    except psycopg.Error:
        return None  # a type that a btree does not take, or no right to ask
    try:
        plan = explain()
        measure = sql.SQL("select {}.hypopg_relation_size(%s)::int8 as bytes").format(sql.Identifier(schema))
        size = one_row(connection.execute(measure, (made["indexrelid"],)))["bytes"]
    except NotExplainedError:
        return None
    finally:
        if not connection.broken:
            connection.execute(sql.SQL("select {}.hypopg_reset()").format(sql.Identifier(schema)))
    return (plan["Total Cost"], size) if plans.uses_index(plan, made["indexname"]) else None


def _reckoned(
    facts: Mapping[str, Any], wanted: Candidate, scan: Scan, before: float, costs: Mapping[str, float]
) -> tuple[float, int] | None:
    """The same by arithmetic on the table's statistics; None where they are missing."""
    found = plans.rows_found(wanted, facts["columns"], facts["rows"])
    if found is None:
        return None
    cost = plans.index_scan_cost(found, facts["pages"], costs)
    return max(before - scan.cost, 0.0) + cost, plans.index_bytes(wanted, facts["columns"], facts["rows"])
