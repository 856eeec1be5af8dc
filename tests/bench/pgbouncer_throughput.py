# SPDX-License-Identifier: GPL-3.0-or-later
"""Transactions a second of 1,000 clients, directly and through PgBouncer in transaction mode, in one run.

usage: pgbouncer_throughput.py [SECONDS]      starts a PostgreSQL and a PgBouncer of its own, and ends them
"""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import yaml
from ansible_collections.leadgen.tuning.plugins.module_utils import _pgbouncer_config

from retune.sandbox import Sandbox
from retune.sandbox.processes import find_program

CLIENTS = 1_000
LEADS = 1_000
OPEN_FILES = 4_096
SCALE = 10
QUERY = f"\\set id random(1, {LEADS})\nselect id, email from leads where id = :id;\n"


@dataclass(frozen=True)
class Bench:
    """Where pgbench leads, as the application's role."""

    passfile: str
    seconds: int

    def run(self, port: int, *options: str) -> tuple[float | None, str]:
        """Transactions a second with all clients; None, and the reason, when one of them was refused."""
        command = [
            find_program("pgbench") or "pgbench", "--no-vacuum", f"--client={CLIENTS}", "--jobs=2", f"--time={self.seconds}",
            *options, "--host=127.0.0.1", f"--port={port}", "--username=leads_app", "leadgen",
        ]  # fmt: skip
        environment = {**os.environ, "PGPASSFILE": self.passfile, "PGSSLMODE": "disable"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
        served = re.search(r"number of failed transactions: 0 ", done.stdout)
        found = re.search(r"^tps = ([0-9.]+)", done.stdout, re.MULTILINE)
        if done.returncode != 0 or not served or not found:
            return None, (done.stderr.strip().splitlines() or ["?"])[0]
        return float(found[1]), ""


def main() -> None:
    """Print a line for each way."""
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    # Inherited by the servers: 1,000 clients need more files than the usual 1,024.
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    with tempfile.TemporaryDirectory(prefix="retune-bench-") as base:
        sandbox = Sandbox(Path(base) / "sandbox", Path(base) / "bench")
        try:
            sandbox.up(events=1_000, leads=LEADS, keys=10, services=("postgres", "pgbouncer"))
            hosts = yaml.safe_load(sandbox.hosts_file.read_text(encoding="utf-8"))["all"]["children"]
            server = hosts["postgres"]["hosts"]["sandbox-postgres"]["postgres_superuser_connection"]
            console = hosts["pgbouncer"]["hosts"]["sandbox-pgbouncer"]["pgbouncer_connection"]
            query = Path(base) / "query.pgbench"
            query.write_text(QUERY, encoding="utf-8")
            compare(sandbox, Bench(server["passfile"], seconds), server, console, f"--file={query}")
        finally:
            sandbox.down()


def compare(sandbox: Sandbox, bench: Bench, server: dict[str, Any], console: dict[str, Any], read: str) -> None:
    """Pool by transaction, then measure: with stock max_connections, and with as many as there are clients."""
    settings = {"pool_mode": "transaction", "max_client_conn": CLIENTS + 200, "default_pool_size": 20}
    options = {
        "settings": settings,
        "databases": {},
        "users": {},
        "hba": None,
        "passwords": None,
        "limits": None,
        "verify": False,
    }
    _pgbouncer_config.reconcile({"connection": {"connect_timeout": 10, **console}, **options}, False)
    direct, reason = bench.run(server["port"], read)
    print(f"{CLIENTS} clients, max_connections 100, directly:  {reason or direct}")
    print(f"{CLIENTS} clients, max_connections 100, pooled:    {_shown(*bench.run(console['port'], read))}")
    with psycopg.connect(**server, autocommit=True) as connection:
        connection.execute(f"alter system set max_connections = {CLIENTS + 100}".encode())
    sandbox.restart(("postgres",))
    make_tpcb(server)
    _ratio(bench, server, console, ", one read a transaction", read)
    _ratio(bench, server, console, ", TPC-B-like", "--builtin=tpcb-like")
    _ratio(bench, server, console, ", a connection for each read, SCRAM", read, "--connect")
    # Most of that is pgbench's own arithmetic of SCRAM, on the same cores. Without it, what a connection costs the servers:
    with psycopg.connect(**server, autocommit=True) as connection:
        (hba,) = connection.execute("show hba_file").fetchone() or ("",)
        text = Path(hba).read_text(encoding="utf-8")
        Path(hba).write_text(f"host leadgen leads_app 127.0.0.1/32 trust\n{text}", encoding="utf-8")
        connection.execute("select pg_reload_conf()")
    options["settings"] = {**settings, "auth_type": "trust"}
    _pgbouncer_config.reconcile({"connection": {"connect_timeout": 10, **console}, **options}, False)
    _ratio(bench, server, console, ", a connection for each read, no password", read, "--connect")


def make_tpcb(server: dict[str, Any]) -> None:
    """pgbench's own tables, for the application's role."""
    where = [f"--host={server['host']}", f"--port={server['port']}", f"--username={server['user']}", "leadgen"]
    command = [find_program("pgbench") or "pgbench", "--initialize", "--quiet", f"--scale={SCALE}", *where]
    subprocess.run(command, env={**os.environ, "PGPASSFILE": server["passfile"]}, capture_output=True, check=True)
    with psycopg.connect(**server, autocommit=True) as connection:
        connection.execute("grant all on all tables in schema public to leads_app")


def _ratio(bench: Bench, server: dict[str, Any], console: dict[str, Any], what: str, *extra: str) -> None:
    one, other = bench.run(server["port"], *extra), bench.run(console["port"], *extra)
    print(f"{CLIENTS} clients{what}, directly: {_shown(*one)}")
    print(f"{CLIENTS} clients{what}, pooled:   {_shown(*other)}")
    if one[0] and other[0]:
        print(f"{CLIENTS} clients{what}, pooled to direct: {other[0] / one[0]:.1f}")


def _shown(tps: float | None, reason: str) -> str:
    return reason if tps is None else f"{tps:,.0f} transactions a second, none failed"


if __name__ == "__main__":
    main()
