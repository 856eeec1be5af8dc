# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the indexes of every database over one connection each, and lists what is dead weight and what is missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils import _postgres_index_rules as rules
from ansible_collections.leadgen.tuning.plugins.module_utils._audit import audited
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres import (
    CONNECTION_OPTIONS,
    connect,
    connection_argument,
    endpoint,
    is_standby,
    one_row,
)
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_index_rules import ForeignKey, Index, Key
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_reading import (
    USER_RELATION,
    days,
    make_readonly,
    read_each,
)

ARGUMENT_SPEC: dict[str, Any] = {
    **connection_argument(),
    "databases": {"type": "list", "elements": "str", "required": True},
    "replicas": {"type": "list", "elements": "dict", "default": [], "options": CONNECTION_OPTIONS},
    "min_statistics_age": {"type": "float", "default": 7.0},
    "large_table_rows": {"type": "int", "default": 10000},
    "min_sequential_scans": {"type": "int", "default": 1000},
    "max_sequential_share": {"type": "float", "default": 0.05},
}

_AGE = (
    "select extract(epoch from now() - coalesce((select stats_reset from pg_stat_database where datname ="
    " current_database()), least((select stats_reset from pg_stat_bgwriter), (select stats_reset from pg_stat_archiver)),"
    " pg_postmaster_start_time()))::float8 / 86400 as days"
)
# A walsender that decodes for a subscriber is no replica on which queries would use these indexes.
_STANDBYS = (
    "select count(*) as standbys from pg_stat_replication as r where state = 'streaming' and not exists"
    " (select from pg_replication_slots as s where s.active_pid = r.pid and s.slot_type = 'logical')"
)
# The scans and the size of a partitioned index are those of its parts.
_INDEXES = """
    select i.indexrelid::int8 as oid, i.indrelid::int8 as table_oid, c.relkind as kind, am.amname as method,
           format('%%I.%%I', n.nspname, c.relname) as name, format('%%I.%%I', n.nspname, t.relname) as table,
           i.indkey::int2[] as columns, i.indnkeyatts as key_count, i.indclass::oid[]::int8[] as opclasses,
           i.indcollation::oid[]::int8[] as collations, i.indoption::int2[] as options,
           case when i.indexprs is not null then
               array(select pg_get_indexdef(i.indexrelid, k, false) from generate_series(1, i.indnkeyatts) as k)
           end as texts,
           coalesce(pg_get_expr(i.indpred, i.indrelid), '') as predicate, i.indisunique as is_unique,
           not i.indimmediate as deferred, coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::bool, false) as not_distinct,
           i.indisvalid and i.indisready as valid, i.indislive as live,
           i.indisprimary or i.indisexclusion or i.indisreplident or i.indisclustered or c.relispartition
               or i.indexrelid in (select conindid from pg_constraint) as pinned,
           exists (select from pg_stat_progress_create_index where index_relid = i.indexrelid) as building,
           (sum(coalesce(pg_stat_get_numscans(i.indexrelid), 0)) over whole)::int8 as scans,
           (sum(coalesce(pg_relation_size(i.indexrelid), 0)) over whole)::int8 as size
    from pg_index as i join pg_class as c on c.oid = i.indexrelid join pg_class as t on t.oid = i.indrelid
    join pg_namespace as n on n.oid = t.relnamespace join pg_am as am on am.oid = c.relam
    where {user_relation}
    window whole as (partition by case when c.relispartition or c.relkind = 'I'
        then coalesce(pg_partition_root(i.indexrelid)::oid, i.indexrelid) else i.indexrelid end)
    order by 5
""".format(user_relation=USER_RELATION.format(alias="t"))  # noqa: S608 - a constant
_TABLES = f"""
    select t.oid::int8 as oid, format('%%I.%%I', n.nspname, t.relname) as name, t.relkind as kind,
           t.relispartition as is_partition, pg_relation_size(t.oid) as size,
           exists (select from pg_index where indrelid = t.oid and indisprimary) as has_primary_key,
           greatest(t.reltuples, pg_stat_get_live_tuples(t.oid))::int8 as rows,
           pg_stat_get_numscans(t.oid) as sequential_scans,
           (select coalesce(sum(pg_stat_get_numscans(indexrelid)), 0) from pg_index where indrelid = t.oid)::int8
               as index_scans
    from pg_class as t join pg_namespace as n on n.oid = t.relnamespace
    where t.relkind in ('r', 'p') and {USER_RELATION.format(alias="t")} order by 2
"""  # noqa: S608 - a constant
_FOREIGN_KEYS = f"""
    select k.conname as name, k.conrelid::int8 as table_oid, k.conkey as columns,
           format('%%I.%%I', n.nspname, t.relname) as table, t.relkind as kind, pg_relation_size(t.oid) as size,
           (select string_agg(quote_ident(attname), ', ' order by array_position(k.conkey, attnum))
               from pg_attribute where attrelid = t.oid and attnum = any(k.conkey)) as column_names
    from pg_constraint as k join pg_class as t on t.oid = k.conrelid join pg_namespace as n on n.oid = t.relnamespace
    where k.contype = 'f' and k.conparentid = 0 and {USER_RELATION.format(alias="t")} order by 4, 1
"""  # noqa: S608 - a constant
_REPLICA_SCANS = f"""
    select format('%%I.%%I', n.nspname, c.relname) as name, pg_stat_get_numscans(c.oid) as scans
    from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
    where c.relkind = 'i' and {USER_RELATION.format(alias="c")} and pg_stat_get_numscans(c.oid) > 0
"""  # noqa: S608 - a constant


def audit(options: Mapping[str, Any], _check_mode: bool) -> dict[str, Any]:
    """Give the verdicts on postgres.index_usage and review.indexes; nothing is changed, in check mode or without.

    :raises TuningError: when the server cannot be reached. A database or replica that cannot be is an unknown verdict.
    """
    dead: list[dict[str, Any]] = []
    missing: list[dict[str, Any]] = []
    unknown: list[str] = []
    young: list[str] = []
    ages: dict[str, float] = {}
    with connect(options["connection"]) as connection:
        standby = is_standby(connection)
        standbys = 0 if standby else one_row(connection.execute(_STANDBYS))["standbys"]
    blind = _blind(options, standby, standbys)
    for database, read in read_each(options["databases"], lambda name: _read(options, name)):
        if isinstance(read, TuningError):
            unknown.append(f"database {database}: {read}")
            continue
        rows, scans, reasons = read
        ages[database] = round(rows["days"], 2)
        reasons += blind + _too_young(rows["days"], options["min_statistics_age"], "the server")
        young += [f"database {database}: {reason}" for reason in reasons]
        found = list(_findings(rows, scans, judge_unused=not reasons))
        dead += [{"database": database, **finding} for finding in found]
        missing += [{"database": database, **finding} for finding in _missing(rows, options)]
        aged = _too_young(rows["days"], options["min_statistics_age"], "the server")
        unknown += [f"database {database}, sequential scans: {reason}" for reason in aged]
    if not options["databases"]:
        unknown.append("postgres_databases names no database")
    unread = [reason for reason in unknown if ", sequential scans: " not in reason]
    figure = len(dead) if ages else None
    verdicts = [
        audited("postgres.index_usage", figure, dead, unread + [f"unused indexes not judged: {reason}" for reason in young]),
        audited("review.indexes", len(missing) if ages else None, missing, unknown),
    ]
    return {"changed": False, "statistics_age_days": ages, "audit": verdicts}


def _blind(options: Mapping[str, Any], standby: bool, standbys: int) -> list[str]:
    """Why the scans that can be seen are not all of them."""
    if standby:
        return ["the server is a standby, and its primary's scans are not seen from it; audit the primary"]
    if standbys and not options["replicas"]:
        return [f"{standbys} standby servers follow it, and postgres_replica_connections names none of them"]
    return []


def _too_young(age: float, limit: float, of: str) -> list[str]:
    return [f"the statistics of {of} are {days(age)} old, and are judged from {days(limit)}"] if age < limit else []


def _read(options: Mapping[str, Any], database: str) -> tuple[dict[str, Any], dict[str, int], list[str]]:
    """Rows of each query; scans by index on the replicas; and why those may not be all."""
    with connect(options["connection"], database) as opened:
        make_readonly(opened)
        rows = {
            "days": one_row(opened.execute(_AGE))["days"],
            "indexes": opened.execute(_INDEXES, ()).fetchall(),
            "tables": opened.execute(_TABLES, ()).fetchall(),
            "foreign_keys": opened.execute(_FOREIGN_KEYS, ()).fetchall(),
        }
    return rows, *_replica_scans(options, database)


def _replica_scans(options: Mapping[str, Any], database: str) -> tuple[dict[str, int], list[str]]:
    """Scans by index over all replicas, and why they may not be all."""
    scans: dict[str, int] = {}
    reasons = []
    for replica in options["replicas"]:
        try:
            with connect(replica, database) as opened:
                make_readonly(opened)
                age = one_row(opened.execute(_AGE))["days"]
                for row in opened.execute(_REPLICA_SCANS, ()):
                    scans[row["name"]] = scans.get(row["name"], 0) + row["scans"]
        except TuningError as error:
            reasons.append(f"a replica could not be read: {error}")
            continue
        reasons += _too_young(age, options["min_statistics_age"], f"the replica {endpoint(replica)}")
    return scans, reasons


def make_index(row: Mapping[str, Any]) -> Index:
    """The Index of a row of the query."""
    count = row["key_count"]
    columns = [
        row["texts"][place] if not column and row["texts"] else column for place, column in enumerate(row["columns"][:count])
    ]
    keys = zip(columns, row["opclasses"], row["collations"], row["options"], strict=True)
    return Index(
        oid=row["oid"],
        table=row["table_oid"],
        name=row["name"],
        keys=tuple(Key(*key) for key in keys),
        included=frozenset(row["columns"][count:]),
        method=row["method"],
        predicate=row["predicate"],
        unique=row["is_unique"],
        nulls_not_distinct=row["not_distinct"],
        deferred=row["deferred"],
        pinned=row["pinned"],
        valid=row["valid"],
        scans=int(row["scans"]),
        size=int(row["size"]),
    )


def _findings(rows: Mapping[str, Any], scans: dict[str, int], *, judge_unused: bool) -> Iterator[dict[str, Any]]:
    by_oid = {row["oid"]: row for row in rows["indexes"]}
    indexes = [make_index(row) for row in rows["indexes"] if row["live"]]
    keys = [_foreign_key(row) for row in rows["foreign_keys"]]

    def finding(kind: str, index: Index, why: str) -> dict[str, Any]:
        row = by_oid[index.oid]
        drop = f"DROP INDEX {'' if row['kind'] == 'I' else 'CONCURRENTLY '}{index.name};"
        return {"kind": kind, "table": row["table"], "index": index.name, "bytes": index.size, "why": why, "statement": drop}

    told = set()
    for one in rules.redundant_indexes(indexes):
        told.add(one.dropped.oid)
        same = "has the same keys" if one.kind == "duplicate" else "begins with its keys and holds its columns"
        yield finding(one.kind, one.dropped, f"{one.kept.name} {same}")
    for index in indexes:
        if not index.valid and not by_oid[index.oid]["building"] and not index.pinned:
            yield finding("invalid", index, "it was never finished; writers maintain it and no query uses it")
    for index in rules.unused_indexes(indexes, scans, keys) if judge_unused else ():
        if index.oid not in told:
            yield finding("unused", index, f"never scanned in the {days(rows['days'])} of the statistics, on any server")
    for row in rows["tables"]:
        if not row["has_primary_key"] and not row["is_partition"]:
            yield {
                "kind": "no primary key",
                "table": row["name"],
                "index": None,
                "bytes": row["size"],
                "why": "a row cannot be told from another, nor replicated logically",
                "statement": f"ALTER TABLE {row['name']} ADD PRIMARY KEY (...);",
            }


def _foreign_key(row: Mapping[str, Any]) -> ForeignKey:
    return ForeignKey(row["name"], row["table_oid"], tuple(row["columns"]))


def _missing(rows: Mapping[str, Any], options: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What review.indexes can tell without the statements themselves."""
    indexes: dict[int, list[Index]] = {}
    for row in rows["indexes"]:
        indexes.setdefault(row["table_oid"], []).append(make_index(row))
    for row in rows["foreign_keys"]:
        key = _foreign_key(row)
        if not rules.covered(key, indexes.get(key.table, ())):
            online = "" if row["kind"] == "p" else "CONCURRENTLY "
            yield {
                "kind": "foreign key without an index",
                "table": row["table"],
                "index": None,
                "bytes": row["size"],
                "why": f"{row['name']}: a deletion in the referenced table reads the whole of this one",
                "statement": f"CREATE INDEX {online}ON {row['table']} ({row['column_names']});",
            }
    for row in rows["tables"]:
        scans = row["sequential_scans"]
        share = scans / max(scans + row["index_scans"], 1)
        enough = row["rows"] >= options["large_table_rows"] and scans >= options["min_sequential_scans"]
        if enough and share > options["max_sequential_share"]:
            yield {
                "kind": "scanned whole",
                "table": row["name"],
                "index": None,
                "bytes": row["size"],
                "why": f"{scans} of its scans, {share:.0%}, read all of its {row['rows']} rows; see retune queries",
                "statement": "",
            }
