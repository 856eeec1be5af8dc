# SPDX-License-Identifier: GPL-3.0-or-later
"""The run, or the server, is killed before each statement that writes: the server starts, and the next run does the rest."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psutil
import psycopg
import pytest
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError

from tests.integration.conftest import Services
from tests.integration.test_postgres_session_defaults import run as run_defaults
from tests.integration.test_postgres_settings import run as run_settings
from tests.integration.test_postgres_tables import run as run_databases
from tests.integration.test_postgres_tables import shop, stored  # noqa: F401 - a fixture

SETTINGS: dict[str, Any] = {"work_mem": "8MB", "autovacuum_naptime": "20s", "max_connections": 110}
DATABASES: dict[str, Any] = {
    "databases": ["shop"],
    "table_settings": {"shop": {"public.large": {"fillfactor": 80}, "public.wide": {"fillfactor": 70}}},
    "indexes": {"shop": {"sought": {"table": "public.large", "columns": ["n"]}}},
}
DEFAULTS: dict[str, Any] = {
    "roles": {"leads_app": {"lock_timeout": "2s", "statement_timeout": "5s"}},
    "databases": {"leadgen": {"work_mem": "16MB"}},
}
# The beginnings of the statements that write, in the order in which a first run sends them.
PLACES = [
    "set leadgen_tuning.owned",
    "alter system set leadgen_tuning.owned",
    "alter system set work_mem",
    "alter system set autovacuum_naptime",
    "alter system set max_connections",
    "select pg_reload_conf()",
    "alter role current_user in database shop set leadgen_tuning.tables",
    "create index concurrently sought",
    "alter table public.large",
    "alter table public.wide",
    "alter role current_user in database shop set leadgen_tuning.tables",
    "set local lock_timeout",
    "alter role leads_app set lock_timeout",
    "alter role leads_app set statement_timeout",
    "alter database leadgen set work_mem",
    "alter role tuning set leadgen_tuning.session",
]
KILLED, TOLD = -signal.SIGKILL, 3


def job(services: Services, check: bool = False) -> list[dict[str, Any]]:
    return [
        run_settings(services, SETTINGS, check, remember=True),
        run_databases(services, check, remember=True, **DATABASES),
        run_defaults(services, check, remember=True, **DEFAULTS),
    ]


def words(query: Any, connection: psycopg.Connection[Any]) -> str:
    text = query if isinstance(query, str) else query.as_string(connection)
    return " ".join(text.replace('"', "").split())


def is_write(text: str) -> bool:
    return text.startswith(("alter ", "create ", "drop ", "set ", "select pg_reload_conf"))


def victim(services: Services, before: Callable[[int], None], seen: list[str]) -> None:
    """Do the job in this process, and call ``before`` with the number of each statement that writes."""
    original = psycopg.Connection.execute

    def execute(self: Any, query: Any, *arguments: Any, **options: Any) -> Any:
        text = words(query, self)
        if is_write(text):
            before(len(seen))
            seen.append(text)
        return original(self, query, *arguments, **options)

    psycopg.Connection.execute = execute  # type: ignore[method-assign]
    try:
        job(services)
    finally:
        psycopg.Connection.execute = original  # type: ignore[method-assign]


def end_server(services: Services) -> None:
    """Kill the postmaster, whose children see it and end; wait for them, since they hold its shared memory."""
    pid = int((services.auto_conf.parent / "postmaster.pid").read_text(encoding="utf-8").split()[0])
    postmaster = psutil.Process(pid)
    children = postmaster.children(recursive=True)
    postmaster.kill()
    psutil.wait_procs([postmaster, *children], timeout=20)


def start_server(services: Services) -> None:
    """As an operator does: by the command that the inventory has."""
    subprocess.run(services.restart_command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True, timeout=60)


def in_a_process(work: Callable[[], object]) -> int | None:
    """The exit code of a process that does the work: TOLD when it ended with an error of ours."""

    def told() -> None:
        try:
            work()
        except TuningError:
            os._exit(TOLD)

    process = multiprocessing.get_context("fork").Process(target=told)
    process.start()
    process.join(60)
    assert not process.is_alive()
    return process.exitcode


@pytest.fixture
def clean(shop: Services, roles: Services) -> Iterator[Services]:
    yield shop
    shop.sql("alter system reset all")
    shop.sql("select pg_reload_conf()")


def test_the_places_are_those_of_a_run(clean: Services) -> None:
    seen: list[str] = []
    victim(clean, lambda _place: None, seen)
    assert len(seen) == len(PLACES)
    for text, place in zip(seen, PLACES, strict=True):
        assert text.startswith(place)


def check_that_the_next_run_finishes(services: Services) -> None:
    planned = job(services, check=True)
    assert [result["diff"] for result in job(services)] == [result["diff"] for result in planned]
    assert [result["diff"]["after"] for result in job(services, check=True)] == [{}, {}, {}]
    assert (
        dict(services.sql("select name, setting from pg_file_settings where sourcefile ~ 'auto.conf$'")).items()
        >= {
            "work_mem": "8MB",
            "autovacuum_naptime": "20s",
            "max_connections": "110",
        }.items()
    )
    assert stored(services) == {"large": ["fillfactor=80"], "wide": ["fillfactor=70"]}
    assert services.sql("select indisvalid from pg_index where indexrelid = to_regclass('sought')", "shop") == [(True,)]
    # Nothing was forgotten on the way: what is no longer named is taken out, all of it.
    run_settings(services, {}, remember=True)
    run_databases(services, databases=[], remember=True)
    run_defaults(services, remember=True)
    assert services.sql("select name from pg_file_settings where sourcefile ~ 'auto.conf$'") == []
    assert stored(services) == {}
    assert services.sql("select * from pg_db_role_setting") == []


@pytest.mark.parametrize("place", range(len(PLACES)), ids=[f"{n}: {text}" for n, text in enumerate(PLACES)])
def test_the_run_is_killed(clean: Services, place: int) -> None:
    def before(number: int) -> None:
        if number == place:
            os.kill(os.getpid(), signal.SIGKILL)

    assert in_a_process(lambda: victim(clean, before, [])) == KILLED
    clean.restart_postgres()
    check_that_the_next_run_finishes(clean)


@pytest.mark.parametrize("place", range(len(PLACES)), ids=[f"{n}: {text}" for n, text in enumerate(PLACES)])
def test_the_server_is_killed(clean: Services, place: int) -> None:
    def before(number: int) -> None:
        if number == place:
            end_server(clean)

    assert in_a_process(lambda: victim(clean, before, [])) == TOLD
    start_server(clean)
    check_that_the_next_run_finishes(clean)


def test_the_server_is_killed_while_an_index_is_built(clean: Services) -> None:
    """The build waits for an old transaction; what it leaves is invalid, and is dropped and built again."""
    old = psycopg.connect(**clean.superuser_to("shop"))
    old.execute("delete from large where id = 1")
    with ThreadPoolExecutor(1) as builder:
        build = builder.submit(in_a_process, lambda: run_databases(clean, **DATABASES))
        clean.wait_for("select count(*) = 1 from pg_stat_progress_create_index", "shop")
        end_server(clean)
        assert build.result() == TOLD
    old.close()
    start_server(clean)
    assert clean.sql("select indisvalid from pg_index where indexrelid = 'sought'::regclass", "shop") == [(False,)]
    planned = job(clean, check=True)[1]
    assert planned["diff"]["before"]["shop.public.sought (index)"] == "invalid"
    check_that_the_next_run_finishes(clean)
