# SPDX-License-Identifier: GPL-3.0-or-later
"""The statements that took most time, from pg_stat_statements, and what their figures say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres import one_row

try:
    import psycopg
    from psycopg import sql
except ImportError:  # connect() says so
    pass

# The N+1 signature: a read of at most one row that is called this often, and makes up this much of all calls.
N_PLUS_ONE_CALLS = 1000
N_PLUS_ONE_SHARE = 0.1
_ONE_ROW = 1.05  # rows a call, on average

# Enough to find the wanted few among utility statements and our own, which are left out.
_READ = 200
_COMMENTS = r"\s*(?:(?:--[^\n]*(?:\n|$)|/\*.*?\*/)\s*)*"
_QUERY = re.compile(
    rf"{_COMMENTS}[(\s]*(?:select|with|insert|update|delete|merge|values|table)\b", re.IGNORECASE | re.DOTALL
)
_READING = re.compile(rf"{_COMMENTS}[(\s]*(?:select|with|values|table)\b", re.IGNORECASE | re.DOTALL)
# What administrators' programs read, this one among them; an application may well call pg_advisory_lock or pg_sleep.
_CATALOG = re.compile(
    r"\bpg_catalog\.|\binformation_schema\.|\bhypopg\w*|\bpg_(?:stat\w*|class|settings|file_settings|database|roles|namespace"
    r"|attribute|index|indexes|proc|type|extension|available_extensions|db_role_setting|prepared_statements|locks|operator"
    r"|cast|inherits|constraint|tables|views)\b",
    re.IGNORECASE,
)

_COLUMNS = """
    select n.nspname as schema, array_agg(a.attname::text) as columns
    from pg_extension as e join pg_namespace as n on n.oid = e.extnamespace
    join pg_class as c on c.relnamespace = n.oid and c.relname = 'pg_stat_statements'
    join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0
    where e.extname = 'pg_stat_statements' group by n.nspname
"""
_SELECT = """
    select queryid::text as queryid, (array_agg(query order by {time} desc))[1] as text,
           (array_agg(userid order by {time} desc))[1] as role_oid,
           sum(calls)::float8 as calls, sum({time})::float8 as total_ms, sum(rows)::float8 as rows,
           sum(temp_blks_written)::float8 as temp_blocks_written,
           (sum(sum(calls)) over ())::float8 as all_calls, (sum(sum({time})) over ())::float8 as all_ms
    from {view} where queryid is not null and dbid = (select oid from pg_database where datname = %s)
    group by queryid order by total_ms desc limit {limit}
"""


@dataclass(frozen=True)
class Statement:
    """One statement of one database, summed over the roles that ran it; ``role_oid`` is the one that spent most."""

    queryid: str
    text: str
    role_oid: int
    calls: int
    total_ms: float
    rows: int
    temp_blocks_written: int
    all_calls: float  # of the database
    all_ms: float

    @property
    def mean_ms(self) -> float:
        """Milliseconds a call."""
        return self.total_ms / self.calls if self.calls else 0.0

    def figures(self) -> dict[str, Any]:
        """What the report says of it: milliseconds, counts, and the share from 0 to 1."""
        return {
            "queryid": self.queryid,
            "statement": " ".join(self.text.split()),
            "calls": self.calls,
            "total_ms": round(self.total_ms, 1),
            "mean_ms": round(self.mean_ms, 3),
            "rows": self.rows,
            "share": round(self.total_ms / self.all_ms, 4) if self.all_ms else 0.0,
            "temp_blocks_written": self.temp_blocks_written,
            "n_plus_one": n_plus_one(self.text, self.calls, self.rows, self.all_calls),
        }


def is_query(text: str) -> bool:
    """Whether it is a query and no utility statement. Utility statements keep their constants, passwords among them."""
    return bool(_QUERY.match(text))


def is_catalog(text: str) -> bool:
    """Whether it reads the server's own tables, as this program and those of administrators do."""
    return bool(_CATALOG.search(text))


def n_plus_one(text: str, calls: float, rows: float, all_calls: float) -> bool:
    """Whether a statement looks like one that a program runs for each row of another's result.

    It is a read of at most one row, called at least N_PLUS_ONE_CALLS times, and at least N_PLUS_ONE_SHARE of all calls.
    """
    if not _READING.match(text) or calls < N_PLUS_ONE_CALLS:
        return False
    return rows <= calls * _ONE_ROW and calls >= all_calls * N_PLUS_ONE_SHARE


def view_of(connection: psycopg.Connection[Any]) -> tuple[str, str] | None:
    """The schema of pg_stat_statements in this database, and its column of time; None without the extension."""
    row = connection.execute(_COLUMNS).fetchone()
    if row is None:
        return None
    # By the view, not by the server: the extension may be older than its files.
    return row["schema"], "total_exec_time" if "total_exec_time" in row["columns"] else "total_time"


def top_statements(
    connection: psycopg.Connection[Any], view: tuple[str, str], database: str, count: int, where: str
) -> list[Statement]:
    """The statements of a database that took most time, without utility statements and readers of the catalog.

    :raises TuningError: when the library is not loaded, or the role may not see others' statements.
    """
    if not one_row(connection.execute("select pg_has_role('pg_read_all_stats', 'USAGE') as may"))["may"]:
        raise TuningError(f"the role may not see what others run on {where}; grant it pg_monitor (playbooks/grants.yml)")
    schema, time = view
    query = sql.SQL(_SELECT).format(
        time=sql.Identifier(time), view=sql.Identifier(schema, "pg_stat_statements"), limit=sql.Literal(_READ)
    )
    try:
        rows = connection.execute(query, (database,)).fetchall()
    except psycopg.errors.ObjectNotInPrerequisiteState as error:
        raise TuningError(
            f"pg_stat_statements is not loaded on {where}; let shared_preload_libraries in postgres_settings ensure it, and "
            "apply with --allow-restart"
        ) from error
    return [_statement(row) for row in rows if _is_wanted(row["text"])][:count]


def _is_wanted(text: str | None) -> bool:
    return bool(text) and is_query(str(text)) and not is_catalog(str(text))


def _statement(row: Mapping[str, Any]) -> Statement:
    whole = {name: round(row[name]) for name in ("calls", "rows", "temp_blocks_written")}
    return Statement(**{**row, **whole})


def settings_of(connection: psycopg.Connection[Any], role_oid: int) -> dict[str, Any]:
    """The role that ran a statement, whether we may take it on, and its search_path in this database (None: the default)."""
    privilege = "SET" if connection.info.server_version >= 160000 else "MEMBER"  # noqa: PLR2004 - what came with 16
    return one_row(
        connection.execute(
            """
            select (select rolname from pg_roles where oid = %(role)s) as role,
                   coalesce(pg_has_role(%(role)s::oid, %(privilege)s), false) as allowed,
                   (select split_part(entry, '=', 2) from pg_db_role_setting as s, unnest(s.setconfig) as entry
                    where entry like 'search_path=%%' and s.setrole in (%(role)s, 0) and s.setdatabase in (0,
                          (select oid from pg_database where datname = current_database()))
                    order by s.setrole <> 0 desc, s.setdatabase <> 0 desc limit 1) as search_path
            """,
            {"role": role_oid, "privilege": privilege},
        )
    )
