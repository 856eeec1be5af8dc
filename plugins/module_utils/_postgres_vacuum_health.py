# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads whether vacuum keeps up: dead rows, estimated bloat, ages, and what holds vacuum back. Alarms, never a change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils import _postgres_vacuum_rules as rules
from ansible_collections.leadgen.tuning.plugins.module_utils._audit import audited
from ansible_collections.leadgen.tuning.plugins.module_utils._counters import ratio
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres import connect, connection_argument, one_row
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_reading import USER_RELATION, make_readonly, read_each
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_vacuum_rules import Column

ARGUMENT_SPEC: dict[str, Any] = {
    **connection_argument(),
    "databases": {"type": "list", "elements": "str", "required": True},
    "max_dead_ratio": {"type": "float", "default": 0.2},
    "min_dead_rows": {"type": "int", "default": 10000},
    "max_bloat_ratio": {"type": "float", "default": 0.5},
    "min_bloat_bytes": {"type": "int", "default": 67108864},
    "max_freeze_ratio": {"type": "float", "default": 1.5},
    "max_wraparound_ratio": {"type": "float", "default": 0.5},
    "max_transaction_seconds": {"type": "int", "default": 3600},
    "max_xmin_age": {"type": "int", "default": 10000000},
    "worst": {"type": "int", "default": 20},
}

_SERVER = """
    select current_setting('autovacuum')::bool and current_setting('track_counts')::bool as autovacuum,
           current_setting('autovacuum_freeze_max_age')::int8 as freeze_limit,
           current_setting('autovacuum_multixact_freeze_max_age')::int8 as multixact_limit,
           current_setting('block_size')::int as block, pg_has_role('pg_read_all_stats', 'USAGE') as sees_all
"""
_DATABASES = (
    "select datname as name, age(datfrozenxid) as xid, mxid_age(datminmxid) as multixact from pg_database order by 1"
)
# Each of these keeps vacuum from removing rows that died since.
_HOLDERS = """
    select format('transaction of pid %s (%s, %s)', pid, coalesce(usename, backend_type), coalesce(state, '-')) as name,
           coalesce(greatest(age(backend_xmin), age(backend_xid)), 0) as age,
           coalesce(extract(epoch from now() - xact_start), 0)::float8 as seconds
    from pg_stat_activity
    where pid <> pg_backend_pid() and backend_type in ('client backend', 'walsender')
        and (backend_xmin is not null or backend_xid is not null)
    union all
    select 'replication slot ' || slot_name, coalesce(greatest(age(xmin), age(catalog_xmin)), 0), 0 from pg_replication_slots
    union all
    select 'prepared transaction ' || gid || ' in ' || database, age(transaction),
           extract(epoch from now() - prepared)::float8 from pg_prepared_xacts
"""
_TABLES = f"""
    select t.oid::int8 as oid, format('%%I.%%I', n.nspname, t.relname) as name, pg_relation_size(t.oid) as size,
           coalesce(t.reloptions, '{{}}') as options, t.reltuples::float8 as estimated_rows,
           pg_stat_get_live_tuples(t.oid) as live, pg_stat_get_dead_tuples(t.oid) as dead,
           greatest(pg_stat_get_last_vacuum_time(t.oid), pg_stat_get_last_autovacuum_time(t.oid))::text as vacuumed,
           greatest(pg_stat_get_last_analyze_time(t.oid), pg_stat_get_last_autoanalyze_time(t.oid))::text as analyzed,
           greatest(age(t.relfrozenxid), age(toast.relfrozenxid)) as xid,
           greatest(mxid_age(t.relminmxid), mxid_age(toast.relminmxid)) as multixact
    from pg_class as t join pg_namespace as n on n.oid = t.relnamespace
    left join pg_class as toast on toast.oid = t.reltoastrelid
    where t.relkind in ('r', 'm') and {USER_RELATION.format(alias="t")}
"""  # noqa: S608 - a constant
_COLUMNS = f"""
    select a.attrelid::int8 as oid, a.attnum as number, a.attalign as align, a.attlen < 0 as varies,
           coalesce(s.avg_width, nullif(a.attlen, -1)) as width, coalesce(s.null_frac, 0)::float8 as null_share,
           coalesce(s.n_distinct, -1)::float8 as distinct, s.attname is not null as known
    from pg_attribute as a join pg_class as t on t.oid = a.attrelid join pg_namespace as n on n.oid = t.relnamespace
    left join pg_stats as s on s.schemaname = n.nspname and s.tablename = t.relname and s.attname = a.attname
        and not s.inherited
    where t.relkind in ('r', 'm') and a.attnum > 0 and not a.attisdropped and {USER_RELATION.format(alias="t")}
    order by 1, 2
"""  # noqa: S608 - a constant
_BTREES = f"""
    select i.indrelid::int8 as table_oid, format('%%I.%%I', n.nspname, c.relname) as name, i.indkey::int2[] as columns,
           i.indisunique as is_unique, pg_relation_size(c.oid) as size, coalesce(c.reloptions, '{{}}') as options,
           c.reltuples::float8 as estimated_rows, i.indpred is not null as partial
    from pg_index as i join pg_class as c on c.oid = i.indexrelid join pg_class as t on t.oid = i.indrelid
    join pg_namespace as n on n.oid = t.relnamespace join pg_am as am on am.oid = c.relam
    where am.amname = 'btree' and c.relkind = 'i' and i.indisvalid and t.relkind in ('r', 'm')
        and {USER_RELATION.format(alias="t")}
"""  # noqa: S608 - a constant


def audit(options: Mapping[str, Any], _check_mode: bool) -> dict[str, Any]:
    """Give the verdict on postgres.autovacuum as it is measured; nothing is changed, in check mode or without.

    :raises TuningError: when the server cannot be reached. A database that cannot be read is an unknown verdict.
    """
    with connect(options["connection"]) as connection:
        make_readonly(connection)
        server = one_row(connection.execute(_SERVER))
        ages = connection.execute(_DATABASES).fetchall()
        holders = connection.execute(_HOLDERS).fetchall()
    findings = list(_server_findings(options, server, ages, holders))
    unknown = [] if options["databases"] else ["postgres_databases names no database"]
    if not server["sees_all"]:
        unknown.append("old transactions of other roles are not seen; grant the role pg_monitor")
    databases = {}
    for database, figures in read_each(options["databases"], lambda name: _database(options, name, server["block"])):
        if isinstance(figures, TuningError):
            unknown.append(f"database {database}: {figures}")
            continue
        findings += [{"database": database, **finding} for finding in _table_findings(options, server, figures)]
        unknown += [f"database {database}: {reason}" for reason in _unmeasured(options, figures)]
        databases[database] = _shown(options, figures)
    dead = sum(figures["dead_rows"] for figures in databases.values())
    live = sum(figures["live_rows"] for figures in databases.values())
    figure = ratio(dead, dead + live) if dead + live else 0.0
    verdict = audited("postgres.autovacuum", figure if databases else None, findings, unknown)
    transaction_ages = {row["name"]: {"xid": row["xid"], "multixact": row["multixact"]} for row in ages}
    return {"changed": False, "databases": databases, "ages": transaction_ages, "audit": [verdict]}


def _finding(kind: str, name: str, size: int | None, why: str, statement: str = "") -> dict[str, Any]:
    return {"kind": kind, "table": name, "index": None, "bytes": size, "why": why, "statement": statement}


def _server_findings(
    options: Mapping[str, Any], server: Mapping[str, Any], ages: list[dict[str, Any]], holders: list[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    if not server["autovacuum"]:
        yield _finding("autovacuum off", "the server", None, "autovacuum or track_counts is off")
    for row in ages:
        for why in _old(options, server, row):
            yield {"database": row["name"], **_finding("age", f"database {row['name']}", None, why)}
    for row in holders:
        if row["age"] >= options["max_xmin_age"] or row["seconds"] >= options["max_transaction_seconds"]:
            why = f"it keeps rows that died in {row['age']:,} transactions ({row['seconds']:.0f} s) from removal"
            yield _finding("holds vacuum back", row["name"], None, why)


def _old(options: Mapping[str, Any], server: Mapping[str, Any], row: Mapping[str, Any]) -> Iterator[str]:
    ratios = options["max_freeze_ratio"], options["max_wraparound_ratio"]
    for what, name, limit in (("transaction ids", "xid", "freeze_limit"), ("multixacts", "multixact", "multixact_limit")):
        why = rules.too_old(row[name] or 0, server[limit], *ratios)
        if why:
            yield f"{what}: {why}"


def _database(options: Mapping[str, Any], database: str, block: int) -> dict[str, list[dict[str, Any]]]:
    """Tables and btree indexes with their figures; ``bloat`` is None where there are no statistics to estimate it by."""
    with connect(options["connection"], database) as connection:
        make_readonly(connection)
        tables = connection.execute(_TABLES, ()).fetchall()
        columns = connection.execute(_COLUMNS, ()).fetchall()
        indexes = connection.execute(_BTREES, ()).fetchall()
    by_table: dict[int, dict[int, Column | None]] = {}
    for row in columns:
        known = row["known"] or (row["width"] and not row["varies"])
        column = Column(row["width"], row["null_share"], row["align"], row["varies"], row["distinct"]) if known else None
        by_table.setdefault(row["oid"], {})[row["number"]] = column
    rows = {}
    for table in tables:
        found = by_table.get(table["oid"], {})
        rows[table["oid"]] = table["live"] or max(table["estimated_rows"], 0)
        judged = table["size"] == 0 or (None not in found.values() and (table["analyzed"] or table["estimated_rows"] >= 0))
        pages = table["size"] / block
        widths = [column for column in found.values() if column]
        needed = rules.table_pages(rows[table["oid"]], widths, _fillfactor(table, 100), block)
        table["bloat"] = rules.bloat_ratio(pages, needed) if judged else None
    for index in indexes:
        keys = [by_table.get(index["table_oid"], {}).get(number) for number in index["columns"]]
        known_keys = [key for key in keys if key]
        # Of a partial index only the server's own last count tells the entries.
        entries = max(index["estimated_rows"], 0) if index["partial"] else rows.get(index["table_oid"], 0)
        needed = rules.btree_pages(entries, known_keys, _fillfactor(index, 90), block, index["is_unique"])
        index["bloat"] = rules.bloat_ratio(index["size"] / block, needed) if None not in keys else None
    return {"tables": tables, "indexes": indexes}


def _option(row: Mapping[str, Any], name: str) -> str | None:
    return next((text.partition("=")[2] for text in row["options"] if text.startswith(f"{name}=")), None)


def _fillfactor(row: Mapping[str, Any], default: int) -> int:
    return int(_option(row, "fillfactor") or default)


def _table_findings(
    options: Mapping[str, Any], server: Mapping[str, Any], figures: Mapping[str, list[dict[str, Any]]]
) -> Iterator[dict[str, Any]]:
    for row in figures["tables"]:
        name, size = row["name"], row["size"]
        share = row["dead"] / max(row["dead"] + row["live"], 1)
        if row["dead"] >= options["min_dead_rows"] and share > options["max_dead_ratio"]:
            why = f"{row['dead']} of its rows, {share:.0%}, are dead; last vacuumed {row['vacuumed'] or 'never'}"
            yield _finding("dead rows", name, size, why, f"VACUUM (ANALYZE) {name};")
        if (_option(row, "autovacuum_enabled") or "true").lower() in ("off", "false", "no", "0"):
            yield _finding(
                "autovacuum off", name, size, "autovacuum passes it over", f"ALTER TABLE {name} RESET (autovacuum_enabled);"
            )
        for why in _old(options, server, row):
            yield _finding("age", name, size, why, f"VACUUM (FREEZE) {name};")
    for kind, statement in (("tables", "VACUUM (FULL)"), ("indexes", "REINDEX INDEX CONCURRENTLY")):
        for row in figures[kind]:
            wasted = (row["bloat"] or 0) * row["size"]
            if wasted >= options["min_bloat_bytes"] and row["bloat"] > options["max_bloat_ratio"]:
                why = f"by estimate {row['bloat']:.0%} of its pages would not be there if it were written anew"
                yield _finding("bloat", row["name"], row["size"], why, f"{statement} {row['name']};")


def _unmeasured(options: Mapping[str, Any], figures: Mapping[str, list[dict[str, Any]]]) -> list[str]:
    """What is large enough to matter, and has no statistics that this role may read."""
    names = [row["name"] for row in figures["tables"] if row["bloat"] is None and row["size"] >= options["min_bloat_bytes"]]
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")  # noqa: PLR2004 - enough to see
    return (
        [f"the bloat of {shown} has no statistics to be estimated by; analyze, or grant their owner's role"] if names else []
    )


def _shown(options: Mapping[str, Any], figures: Mapping[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """The figures of a database, and those of its worst tables and indexes by the bytes and rows that are wasted."""

    def table(row: Mapping[str, Any]) -> dict[str, Any]:
        ages = {"xid_age": row["xid"], "multixact_age": row["multixact"]}
        dead = {
            "dead_rows": row["dead"],
            "live_rows": row["live"],
            "dead_ratio": ratio(row["dead"], row["dead"] + row["live"]),
        }
        times = {"last_vacuum": row["vacuumed"], "last_analyze": row["analyzed"]}
        return {"name": row["name"], "bytes": row["size"], **dead, "estimated_bloat": row["bloat"], **times, **ages}

    def wasted(row: Mapping[str, Any]) -> tuple[float, int]:
        return ((row["bloat"] or 0) * row["size"], row.get("dead") or 0)

    tables = sorted(figures["tables"], key=wasted, reverse=True)[: options["worst"]]
    indexes = sorted(figures["indexes"], key=wasted, reverse=True)[: options["worst"]]
    return {
        "dead_rows": sum(row["dead"] for row in figures["tables"]),
        "live_rows": sum(row["live"] for row in figures["tables"]),
        "oldest_xid": max((row["xid"] or 0 for row in figures["tables"]), default=0),
        "tables": [table(row) for row in tables],
        "indexes": [{"name": row["name"], "bytes": row["size"], "estimated_bloat": row["bloat"]} for row in indexes],
    }
