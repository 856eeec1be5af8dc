# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan is the truth: it lists exactly what apply changes, and a plan after an apply is empty.

Each round drifts a random part of the settings by other hands than the modules', writes what is wanted in a random legal
spelling, plans, applies, plans again, and holds the plan against what the servers themselves say has changed.
"""

from __future__ import annotations

import json
import random
from typing import Any

import psycopg
import pytest
import yaml
from psycopg import sql

from tests.integration.conftest import Retune, Services
from tests.integration.test_pgbouncer_rounds import SETTINGS as PGBOUNCER
from tests.integration.test_pgbouncer_rounds import drift as drift_pgbouncer
from tests.integration.test_postgres_settings import run as run_postgres
from tests.integration.test_redis_settings import run as run_redis

ROUNDS = 60

# Parameter: values, each in several spellings of the same meaning. Those that need a restart come last.
POSTGRES: dict[str, list[list[Any]]] = {
    "autovacuum": [["on", True, "true", "YES", 1], ["off", False, "f", "0"]],
    "autovacuum_naptime": [["60s", "1min", 60, "60000ms"], ["30000ms", "30s", 30, "0.5min"]],
    "autovacuum_vacuum_cost_delay": [["2ms", 2, "0.002s", "2000us"], ["1.5ms", 1.5, "1500us"], ["0", 0]],
    "autovacuum_vacuum_scale_factor": [[0.2, "0.20", "2e-1"], [0.05, "0.050", ".05"]],
    "checkpoint_timeout": [["5min", 300, "300s"], ["15min", "900s", "0.25h"]],
    "log_autovacuum_min_duration": [["10min", "600s"], ["1s", 1000, "1000ms"], [-1, "-1"]],
    "max_wal_size": [["1GB", "1024MB", 1024], ["2048MB", "2GB", "2097152kB"]],
    "random_page_cost": [[4, "4.0"], ["1.10", 1.1, "1.1"]],
    "synchronous_commit": [["on", "true", True], ["off", "no", False], ["local", "LOCAL"]],
    "track_io_timing": [["off", False, "no"], ["on", "true", True]],
    "work_mem": [["4MB", "4096kB", 4096], ["16MB", "16384kB"]],
    "log_destination": [["stderr", ["stderr"]], ["stderr,csvlog", ["stderr", "csvlog"]]],
    "max_connections": [[100, "100"], [140, "140"]],
    "shared_buffers": [["128MB", "131072kB", 16384], ["144MB", "147456kB", 18432]],
    "shared_preload_libraries": [["", []], [{"ensure": ["auto_explain"]}, "auto_explain", ["auto_explain"]]],
}
REDIS: dict[str, list[list[Any]]] = {
    "maxmemory": [["64mb", 67108864, "65536kb"], ["256m", "256000000"], ["1gb", "1024MB"]],
    "maxmemory-policy": [["ALLKEYS-LRU", "allkeys-lru"], ["noeviction", "NoEviction"]],
    "maxmemory-samples": [[5, "5"], ["10", 10]],
    "save": [["", ""], ["3600 1 300 100", [[3600, 1], [300, 100]], "300 100 3600 1"]],
    "appendfsync": [["everysec", "EVERYSEC"], ["always", "Always"]],
    "notify-keyspace-events": [["", ""], ["KEA", "AKE", "g$lshzxetdKE"], ["Kx", "xK"]],
    "client-output-buffer-limit": [
        [{"replica": "256mb 64mb 60"}, "slave 268435456 67108864 60"],
        [{"replica": "512mb 128mb 120"}, "replica 536870912 134217728 120"],
    ],
    "timeout": [[0, "0"], [300, "300"]],
}


def choose(generator: random.Random, table: dict[str, list[list[Any]]], share: float) -> dict[str, Any]:
    names = [name for name in table if generator.random() < share]
    return {name: generator.choice(generator.choice(table[name])) for name in names}


def plain(value: Any) -> str:
    """A value as a person would type it into the server's own prompt."""
    if isinstance(value, dict):
        value = next(iter(value.values()))
    if isinstance(value, list):
        return ",".join(plain(part) for part in value)
    return {True: "on", False: "off"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def drift_postgres(services: Services, generator: random.Random) -> None:
    options = {name: value for name, value in services.postgres.items() if value is not None}
    with psycopg.connect(**options, autocommit=True) as connection:
        for name, value in choose(generator, POSTGRES, 0.5).items():
            if value in ("", []):
                connection.execute(sql.SQL("alter system reset {}").format(sql.Identifier(name)))
                continue
            text = sql.Literal(plain(value))
            connection.execute(sql.SQL("alter system set {} = {}").format(sql.Identifier(name), text))
        if generator.random() < 0.7:
            connection.execute("select pg_reload_conf()")
    if generator.random() < 0.2:
        services.restart_postgres()


def drift_redis(services: Services, generator: random.Random) -> None:
    with services.redis_client() as client:
        for name, value in choose(generator, REDIS, 0.5).items():
            if name == "client-output-buffer-limit":
                text = value if isinstance(value, str) else f"replica {value['replica']}"
            elif name == "save" and isinstance(value, list):
                text = " ".join(f"{seconds} {changes}" for seconds, changes in value)
            else:
                text = str(value)
            client.config_set(name, text)
        if generator.random() < 0.5:
            client.config_rewrite()


def configured(services: Services) -> dict[str, Any]:
    """By name what the server itself says: its files' last word, and the value that it runs with."""
    files = dict(services.sql("select name, setting from pg_file_settings where name is not null order by seqno"))
    running = services.sql("select name, setting from pg_settings where source <> 'client'")
    return {name: (files.get(name), value) for name, value in running}


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_plan_apply_plan(untuned_once: Services, seed: int) -> None:
    services, generator = untuned_once, random.Random(seed)  # noqa: S311 - no secret, a repeatable choice
    drift_postgres(services, generator)
    drift_redis(services, generator)
    wanted = choose(generator, POSTGRES, 0.7)
    wanted_redis = choose(generator, REDIS, 0.7)

    services.sql("select 1")  # a new session has loaded what the last reload brought
    before, redis_before = configured(services), _redis_values(services)
    planned, planned_redis = run_postgres(services, wanted, check=True), run_redis(services, wanted_redis, check=True)
    assert configured(services) == before
    assert _redis_values(services) == redis_before

    assert run_postgres(services, wanted) == planned
    assert run_redis(services, wanted_redis) == planned_redis
    after, redis_after = configured(services), _redis_values(services)

    # A reload also brings in what others have written, which is theirs: of what is wanted, just what was planned changed.
    assert {name for name in wanted if after[name] != before[name]} == set(planned["diff"]["after"])
    assert {name for name in redis_after if redis_after[name] != redis_before[name]} == {
        name for name in planned_redis["diff"]["after"] if planned_redis["needs"].get(name) != "rewrite"
    }
    for result in (planned, planned_redis):
        for name, value in result["diff"]["after"].items():
            assert result["diff"]["before"][name] != value

    again, again_redis = run_postgres(services, wanted, check=True), run_redis(services, wanted_redis, check=True)
    assert (again["diff"]["after"], again_redis["diff"]["after"]) == ({}, {})
    if again["pending_restart"]:
        services.restart_postgres()
        settled = run_postgres(services, wanted, check=True)
        assert (settled["changed"], settled["pending_restart"]) == (False, [])


def _redis_values(services: Services) -> dict[str, str]:
    with services.redis_client() as client:
        return {name: client.config_get(name)[name] for name in REDIS}


@pytest.fixture(scope="module")
def untuned_once(services: Services) -> Any:
    """The rounds drift further and further from stock on purpose; the servers are put back once, at the end."""
    with services.redis_client() as client:
        stock = {name: client.config_get(name)[name] for name in REDIS}
    yield services
    services.sql("alter system reset all")
    services.sql("select pg_reload_conf()")
    services.restart_postgres()
    with services.redis_client() as client:
        for name, value in stock.items():
            client.config_set(name, value)
        client.config_rewrite()


@pytest.mark.parametrize("seed", range(4))
def test_the_command_plans_what_it_applies(untuned: Services, retune: Retune, seed: int, tmp_path: Any) -> None:
    generator = random.Random(1000 + seed)  # noqa: S311 - as above
    drift_postgres(untuned, generator)
    drift_redis(untuned, generator)
    drift_pgbouncer(untuned, generator)
    values = tmp_path / "wanted.yml"
    values.write_text(
        yaml.safe_dump(
            {
                "postgres_settings": choose(generator, POSTGRES, 0.7),
                "redis_settings": choose(generator, REDIS, 0.7),
                "pgbouncer_settings": choose(generator, PGBOUNCER, 0.7),
            }
        ),
        encoding="utf-8",
    )
    options = ("--json", "--allow-restart", "-e", f"@{values}")
    planned = json.loads(retune("plan", *options).stdout)
    applied = json.loads(retune("apply", "--yes", *options).stdout)
    assert _changes(planned) == _changes(applied)
    again = retune("plan", *options)
    assert (again.returncode, _changes(json.loads(again.stdout))) == (0, [])


def _changes(record: dict[str, Any]) -> list[Any]:
    keys = ("controls", "host", "before", "after", "needs")
    return [[decision[key] for key in keys] for decision in record["decisions"] if decision["changed"]]
