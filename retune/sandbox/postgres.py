# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL with stock settings and the database `leadgen`."""

import os
import re
import signal
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from . import files, processes
from .processes import LOOPBACK
from .service import Program, Service
from .state import APP, MIGRATE, SUPERUSER, TUNING, State

DATABASE = "leadgen"
VERSIONS = Path("/usr/lib/postgresql")
CONNECT_SECONDS = 3


def connect(state: State, port: str, user: str, dbname: str) -> psycopg.Connection[tuple[Any, ...]]:
    """A connection in autocommit mode; the password is given so that PGPASSWORD cannot replace it."""
    return psycopg.connect(
        host=LOOPBACK,
        port=state.ports[port],
        user=user,
        dbname=dbname,
        password=state.password(user),
        sslmode="disable",
        connect_timeout=CONNECT_SECONDS,
        autocommit=True,
    )


def can_query(state: State, port: str) -> bool:
    """Whether `leads_app`, or the superuser before that exists, gets an answer from the server or the pooler."""
    user, dbname = (APP, DATABASE) if "postgres" in state.complete else (SUPERUSER, "postgres")
    try:
        with connect(state, port, user, dbname) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    except (psycopg.Error, OSError):
        return False


def binaries() -> Path | None:
    """The folder of the newest installed PostgreSQL, or PG_BIN."""
    if os.environ.get("PG_BIN"):
        return Path(os.environ["PG_BIN"])
    found = [path for path in VERSIONS.glob("*/bin") if re.fullmatch(r"\d+", path.parent.name)]
    return max(found, key=lambda path: int(path.parent.name), default=None)


class Postgres(Service):
    name = "postgres"
    needs = tuple(Program(name, "postgresql") for name in ("postgres", "initdb", "pg_ctl", "pgbench"))
    stop_signal = signal.SIGINT  # a fast shutdown: ends sessions, writes a checkpoint
    stop_seconds = 30

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @classmethod
    def program(cls, name: str) -> str | None:
        """All programs come from one folder: those of different major versions do not mix."""
        folder = binaries()
        return processes.find_program(name if folder is None else str(folder / name))

    def make(self) -> None:
        password = self.write("password", self.state.password(SUPERUSER) + "\n")
        self.run(
            "initdb",
            f"--pgdata={self.data}",
            f"--username={SUPERUSER}",
            f"--pwfile={password}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        )
        password.unlink()
        settings = self.data / "postgresql.conf"
        own = f"\nport = {self.port}\nlisten_addresses = '{LOOPBACK}'\nunix_socket_directories = ''\n"
        files.write(settings, settings.read_text(encoding="utf-8") + own, owner=self.account)

    def launch(self) -> None:
        self.run("pg_ctl", *self._control("start"))

    def _control(self, action: str) -> list[str]:
        mode = ["-m", "fast"] if action == "restart" else []
        return [action, "-w", *mode, "-D", str(self.data), "-l", str(self.log)]

    def answers(self) -> bool:
        return can_query(self.state, "postgres")

    def fill(self) -> None:
        """Roles, database and rows; 1 000 000 events take about 10 s."""
        with connect(self.state, "postgres", SUPERUSER, "postgres") as connection:
            for role in (APP, MIGRATE, TUNING):
                create = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
                password = sql.Literal(self.state.password(role))
                connection.execute(create.format(sql.Identifier(role), password))
            connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(APP), sql.Identifier(MIGRATE)))
            create = sql.SQL("CREATE DATABASE {} OWNER {}")
            connection.execute(create.format(sql.Identifier(DATABASE), sql.Identifier(APP)))
        schema = (files.SOURCES / "schema.sql").read_bytes()
        with connect(self.state, "postgres", APP, DATABASE) as connection:
            for size in ("events", "leads"):
                connection.execute("SELECT set_config(%s, %s, false)", (f"sandbox.{size}", str(self.state.sizes[size])))
            connection.execute(schema)
            connection.execute("VACUUM (ANALYZE)")
        with connect(self.state, "postgres", SUPERUSER, DATABASE) as connection:
            if connection.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'hypopg'").fetchone():
                connection.execute("CREATE EXTENSION hypopg")

    def host_variables(self) -> dict[str, object]:
        # A user switched to may not be able to enter the caller's working directory.
        switch = ["env", "-C", "/", "runuser", "-u", self.account.name, "--"] if self.account.switch else []
        connection = {
            "host": LOOPBACK,
            "port": self.port,
            "user": TUNING,
            "dbname": DATABASE,
            "passfile": str(self.state.passfile),
            "sslmode": "disable",
        }
        return {
            "postgres_connection": connection,
            "postgres_superuser_connection": {**connection, "user": SUPERUSER},
            "postgres_restart_command": [*switch, str(self.program("pg_ctl")), *self._control("restart")],
        }
