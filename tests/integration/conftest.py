# SPDX-License-Identifier: GPL-3.0-or-later
"""A sandbox of this test session's own, and its servers as they were before each test."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
import yaml
from ansible_collections.leadgen.tuning.plugins.module_utils import _postgres_grants, _postgres_restart
from psycopg.rows import dict_row

from retune.sandbox import Sandbox, grant
from tests.integration.kubernetes_server import cluster, namespace  # noqa: F401 - fixtures: here, one server serves all tests

PROJECT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Services:
    """The session's servers: connection options as the modules take them, and where their files are."""

    postgres: dict[str, Any]  # as the role that tunes, which is no superuser
    superuser: dict[str, Any]
    restart_command: list[str]
    redis: dict[str, Any]
    pgbouncer: dict[str, Any]  # the admin console
    directory: Path
    inventory: Path

    @property
    def auto_conf(self) -> Path:
        return self.directory / "postgres" / "data" / "postgresql.auto.conf"

    @property
    def postgres_log(self) -> Path:
        return self.directory / "postgres" / "log"

    @property
    def pgbouncer_ini(self) -> Path:
        return self.directory / "pgbouncer" / "pgbouncer.ini"

    def console(self, command: str) -> list[dict[str, Any]]:
        """The rows that PgBouncer's admin console answers with."""
        with psycopg.connect(**self.pgbouncer, autocommit=True, row_factory=dict_row) as connection:
            cursor = connection.execute(command.encode())
            return cursor.fetchall() if cursor.description else []

    @property
    def redis_conf(self) -> Path:
        with self.redis_client() as client:
            return Path(client.info("server")["config_file"])

    def restart_postgres(self, *parameters: str) -> None:
        _postgres_restart.restart(
            {
                "connection": self.postgres,
                "parameters": parameters or ["any"],
                "command": self.restart_command,
                "previous": {},
                "timeout": 60,
                "turn": None,
                "wanted": {},
            },
            False,
        )

    def superuser_to(self, dbname: str) -> dict[str, Any]:
        """What psycopg.connect() takes."""
        return {**{name: value for name, value in self.superuser.items() if value is not None}, "dbname": dbname}

    def sql(self, statement: str, dbname: str = "leadgen") -> list[tuple[Any, ...]]:
        with psycopg.connect(**self.superuser_to(dbname), autocommit=True) as connection:
            cursor = connection.execute(statement)  # type: ignore[call-overload]
            return cursor.fetchall() if cursor.description else []

    def wait_for(self, condition: str, dbname: str = "leadgen") -> None:
        """Wait until the query, in a session of its own each time, answers true."""
        deadline = time.monotonic() + 10
        while self.sql(condition, dbname) != [(True,)]:
            assert time.monotonic() < deadline, f"still not: {condition}"
            time.sleep(0.02)

    def redis_client(self) -> redis.Redis:
        return redis.Redis(host=self.redis["host"], port=self.redis["port"], decode_responses=True, socket_timeout=10)


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    base = tmp_path_factory.mktemp("tuning")
    inventory = base / "inventory"
    shutil.copytree(PROJECT / "inventories" / "sandbox" / "group_vars", inventory / "group_vars")
    everyone = inventory / "group_vars" / "all.yml"
    values = yaml.safe_load(everyone.read_text(encoding="utf-8"))
    values.update(tuning_measurement_window=0.2, tuning_environment="inventory")
    everyone.write_text(yaml.safe_dump(values), encoding="utf-8")
    sandbox = Sandbox(base / "sandbox", inventory)
    try:
        sandbox.up(
            events=5_000,
            leads=500,
            keys=200,
            services=("postgres", "pgbouncer", "redis"),
            grant=lambda: grant(PROJECT, inventory),
        )
        hosts = yaml.safe_load((inventory / "hosts.yml").read_text(encoding="utf-8"))["all"]["children"]
        postgres = hosts["postgres"]["hosts"]["sandbox-postgres"]
        services = Services(
            postgres={"connect_timeout": 10, **postgres["postgres_connection"]},
            superuser={"connect_timeout": 10, **postgres["postgres_superuser_connection"]},
            restart_command=postgres["postgres_restart_command"],
            redis={
                "socket_timeout": 10.0,
                "config_command": "CONFIG",
                **hosts["redis"]["hosts"]["sandbox-redis"]["redis_connection"],
            },
            pgbouncer={"connect_timeout": 10, **hosts["pgbouncer"]["hosts"]["sandbox-pgbouncer"]["pgbouncer_connection"]},
            directory=(base / "sandbox").resolve(),
            inventory=inventory,
        )
        _grant_every_setting(services)
        yield services
    finally:
        sandbox.down()


def _grant_every_setting(services: Services) -> None:
    """The inventory names some settings, for which the playbook has granted what is needed; the tests set many more."""
    names = [name for (name,) in services.sql("select name from pg_settings where context <> 'internal'")]
    names += [f"pg_stat_statements.{name}" for name in ("max", "save", "track", "track_planning", "track_utility")]
    settings = dict.fromkeys(names)
    options = {"connection": services.superuser, "role": services.postgres["user"], "password": None}
    scopes = {"role_settings": {"leads_app": settings, "leads_migrate": {}}, "database_settings": {"leadgen": settings}}
    _postgres_grants.reconcile(
        {**options, **scopes, "databases": ["leadgen"], "settings": settings, "role_in_database_settings": {}}, False
    )


@pytest.fixture
def untuned(services: Services) -> Iterator[Services]:
    """The servers with stock settings, before and after the test."""
    redis_before, pgbouncer_before = _redis_settings(services), services.pgbouncer_ini.read_text(encoding="utf-8")
    yield services
    services.pgbouncer_ini.write_text(pgbouncer_before, encoding="utf-8")
    services.console("reload")
    services.sql("create extension if not exists pg_stat_statements")
    services.sql("alter system reset all")
    services.sql("select pg_reload_conf()")
    services.restart_postgres()
    with services.redis_client() as client:
        for name, value in redis_before.items():
            client.config_set(name, value)
        client.config_rewrite()


@pytest.fixture
def roles(services: Services) -> Iterator[Services]:
    """The servers, whose roles and databases lose every session default after the test."""
    yield services
    for statement in (
        "alter role leads_app reset all",
        "alter role leads_migrate reset all",
        "alter database leadgen reset all",
        "alter role leads_app in database leadgen reset all",
        "alter role tuning reset all",
    ):
        services.sql(statement)


def _redis_settings(services: Services) -> dict[str, str]:
    names = (
        "maxmemory",
        "maxmemory-policy",
        "maxmemory-samples",
        "save",
        "appendonly",
        "appendfsync",
        "notify-keyspace-events",
        "client-output-buffer-limit",
        "timeout",
    )
    with services.redis_client() as client:
        return {name: client.config_get(name)[name] for name in names}


Retune = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def retune(services: Services, tmp_path: Path) -> Retune:
    """Run the command as a person would, against the session's servers, with a log of the test's own."""

    def run(verb: str, *arguments: str, inventory: Path | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "retune", verb, str(inventory or services.inventory), *arguments],
            cwd=PROJECT,
            env={**os.environ, "RETUNE_LOG_DIRECTORY": str(tmp_path / "log"), **environ},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run
