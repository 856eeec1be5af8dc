# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a look at two thousand tables and two hundred databases takes: wall seconds, medians.

usage: postgres_scale.py [ROUNDS]      starts a PostgreSQL of its own, fills it, and ends it
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg
import yaml
from ansible_collections.leadgen.tuning.plugins.module_utils import _postgres_databases

from retune.sandbox import Sandbox

TABLES, DATABASES = 2_000, 200


def main() -> None:
    """Print one line for each way to look."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory(prefix="retune-bench-") as base:
        sandbox = Sandbox(Path(base) / "sandbox", Path(base) / "bench")
        try:
            sandbox.up(events=1_000, leads=100, keys=10, services=("postgres",))
            hosts = yaml.safe_load(sandbox.hosts_file.read_text(encoding="utf-8"))["all"]["children"]["postgres"]["hosts"]
            connection = hosts["sandbox-postgres"]["postgres_superuser_connection"]
            measure({"connect_timeout": 10, **connection}, fill(connection), rounds)
        finally:
            sandbox.down()


def fill(connection: dict[str, Any]) -> list[str]:
    """Make the tables in one database, and the other databases from a template; return the databases' names."""
    with psycopg.connect(**connection, autocommit=True) as opened:
        for number in range(TABLES):
            opened.execute(f"create table many_{number} (id int primary key, text text)")  # type: ignore[arg-type] # a number
        names = [f"copy_{number}" for number in range(1, DATABASES)]
        for name in names:
            opened.execute(f"create database {name} strategy file_copy")  # type: ignore[arg-type] # a number
    return [connection["dbname"], *names]


def measure(connection: dict[str, Any], databases: list[str], rounds: int) -> None:
    """Look at them as a drift check does, with extensions, tables by name and rules."""
    options = {
        "connection": connection,
        "databases": databases,
        "extensions": ["pg_stat_statements"],
        "table_settings": {databases[0]: {"public.many_7": {"fillfactor": 90}}},
        "table_rules": [
            {
                "name": "large",
                "databases": None,
                "rows": 1e6,
                "dead_rows": None,
                "writes_per_second": None,
                "settings": {"autovacuum_vacuum_scale_factor": 0.02},
            }
        ],
        "indexes": {},
        "controls": {},
        "only": None,
        "remember": True,
        "table_memory": {},
        "deferred": [],
        "verify": False,
    }
    for title, wanted in (("2,000 tables", databases[:1]), ("200 databases", databases[1:]), ("both", databases)):
        seconds = []
        for _round in range(rounds):
            start = time.monotonic()
            _postgres_databases.reconcile({**options, "databases": wanted}, True)
            seconds.append(time.monotonic() - start)
        print(f"{title:28} wall {statistics.median(seconds):5.2f} s  (median of {rounds})")


if __name__ == "__main__":
    main()
