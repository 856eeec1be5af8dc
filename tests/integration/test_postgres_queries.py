# SPDX-License-Identifier: GPL-3.0-or-later
"""The report on slow queries against a real server, in databases of the test's own."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jsonschema
import psycopg
import pytest
from ansible_collections.leadgen.tuning.plugins.module_utils import _postgres_databases, _postgres_queries
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError

from tests.integration.conftest import PROJECT, Retune, Services
from tests.integration.test_postgres_tables import NOTHING

NEWEST = "select id, note from orders where customer = $1 order by placed desc limit $2"


@pytest.fixture(scope="module")
def loaded(services: Services) -> Iterator[Services]:
    """The server with pg_stat_statements loaded."""
    services.sql("alter system set shared_preload_libraries = 'pg_stat_statements'")
    services.restart_postgres()
    yield services
    services.sql("alter system reset all")
    services.restart_postgres()


@pytest.fixture
def desk(loaded: Services) -> Iterator[Services]:
    """A database with a table of 50,000 rows that is read by a column without an index."""
    loaded.sql("create database desk owner leads_app", "postgres")
    for statement in (
        "set role leads_app; create table orders (id int primary key, customer int, placed timestamptz, note text);"
        " create table small (id int, customer int)",
        "insert into orders select n, n % 1000, now() - n * interval '1 minute', repeat('x', 100)"
        " from generate_series(1, 50000) as n",
        "insert into small select n, n from generate_series(1, 100) as n",
        "vacuum analyze",
        "create extension pg_stat_statements",
        "select pg_stat_statements_reset()",
    ):
        loaded.sql(statement, "desk")
    yield loaded
    loaded.sql("drop database desk with (force)", "postgres")


@pytest.fixture
def hypopg(desk: Services) -> Services:
    if not desk.sql("select 1 from pg_available_extensions where name = 'hypopg'", "desk"):
        pytest.skip("HypoPG is not installed")
    desk.sql("create extension hypopg", "desk")
    return desk


def work(services: Services, calls: int = 20) -> None:
    """What an application does, as its role."""
    with psycopg.connect(**services.superuser_to("desk"), autocommit=True) as connection:
        connection.execute("set role leads_app")
        for number in range(calls):
            connection.execute(
                "select id, note from orders where customer = %s order by placed desc limit %s", (number, 20), prepare=False
            )


def report(services: Services, **options: Any) -> dict[str, Any]:
    given = {
        "connection": services.postgres,
        "databases": ["desk"],
        "top": 5,
        "large_table_rows": 10000,
        "explain_analyze": True,
        **options,
    }
    result = _postgres_queries.report(given, False)
    assert result["changed"] is False
    found: dict[str, Any] = result["report"]
    return found


def statement(found: dict[str, Any], text: str) -> dict[str, Any]:
    entries = [entry for entry in found["databases"][0]["statements"] if entry["statement"].lower() == text]
    assert entries, [entry["statement"] for entry in found["databases"][0]["statements"]]
    return dict(entries[0])


@pytest.mark.parametrize("by", ["hypopg", "arithmetic"])
def test_a_missing_index_is_found_created_and_then_no_longer_suggested(
    desk: Services, by: str, request: pytest.FixtureRequest
) -> None:
    if by == "hypopg":
        request.getfixturevalue("hypopg")
    work(desk)
    found = report(desk)
    slow = statement(found, NEWEST)
    assert (slow["calls"], slow["rows"], slow["plan_kind"]) == (20, 400, "generic")
    assert slow["share"] > 0.3
    assert [(scan["table"], scan["rows"]) for scan in slow["sequential_scans"]] == [("public.orders", 50000)]
    assert "customer = $1" in slow["sequential_scans"][0]["filter"]
    (suggested,) = slow["suggestions"]
    assert (suggested["table"], suggested["columns"]) == ("public.orders", ["customer", "placed"])
    assert suggested["confirmed_by"] == by
    assert suggested["cost_before"] > 2 * suggested["cost_after"]
    indexes = found["databases"][0]["postgres_indexes"]
    assert list(indexes) == ["orders_customer_placed_idx"]
    assert desk.sql("select count(*) from pg_indexes where schemaname = 'public'", "desk") == [(1,)], "nothing was created"

    _postgres_databases.reconcile(
        {**NOTHING, "connection": desk.postgres, "databases": [], "indexes": {"desk": indexes}}, False
    )
    ((size,),) = desk.sql("select pg_relation_size('orders_customer_placed_idx')", "desk")
    assert 0.5 < suggested["bytes"] / size < 2
    desk.sql("select pg_stat_statements_reset()", "desk")
    work(desk)
    again = report(desk)
    fast = statement(again, NEWEST)
    assert (fast["sequential_scans"], fast["suggestions"]) == ([], [])
    assert again["databases"][0]["postgres_indexes"] == {}
    assert fast["mean_ms"] < slow["mean_ms"] / 2


def test_what_no_index_helps_gets_none(hypopg: Services) -> None:
    hypopg.sql("update orders set note = 'other' where id % 2 = 0; analyze orders", "desk")
    hypopg.sql("select pg_stat_statements_reset()", "desk")
    for text in (
        "select count(*) from orders where note = 'other'",  # half of the rows
        "select count(*) from orders where customer % 7 = 3",
        "select count(*) from small where customer = 3",
    ):
        hypopg.sql(text, "desk")
    found = report(hypopg, top=50)
    assert len(statement(found, "select count(*) from orders where note = $1")["sequential_scans"]) == 1
    assert statement(found, "select count(*) from small where customer = $1")["sequential_scans"] == []
    assert found["databases"][0]["postgres_indexes"] == {}


def test_statements_that_write_are_explained_and_not_run(desk: Services) -> None:
    desk.sql("delete from orders where customer = 7", "desk")
    desk.sql("insert into small select id, customer from orders where customer = 8", "desk")
    count = "select (select count(*) from orders), (select count(*) from small)"
    before = desk.sql(count, "desk")
    found = report(desk, top=50)
    deleted = statement(found, "delete from orders where customer = $1")
    assert deleted["plan"]["Node Type"] == "ModifyTable"
    assert deleted["suggestions"][0]["columns"] == ["customer"]
    assert statement(found, "insert into small select id, customer from orders where customer = $1")["suggestions"]
    assert desk.sql(count, "desk") == before


def test_a_statement_that_may_not_be_explained_says_why_and_the_report_goes_on(desk: Services) -> None:
    desk.sql("create table hidden (id int); revoke all on hidden from public", "desk")
    desk.sql("select pg_stat_statements_reset()", "desk")
    desk.sql("select count(*) from hidden", "desk")
    desk.sql("create table gone (id int)", "desk")
    desk.sql("select id from gone", "desk")
    desk.sql("drop table gone", "desk")
    work(desk, calls=2)
    found = report(desk, top=50)
    assert statement(found, "select count(*) from hidden")["not_explained"] == "permission denied for table hidden"
    assert "does not exist" in statement(found, "select id from gone")["not_explained"]
    assert statement(found, NEWEST)["not_explained"] == ""


def test_a_lookup_for_each_row_is_told_from_other_statements(desk: Services) -> None:
    with psycopg.connect(**desk.superuser_to("desk"), autocommit=True) as connection:
        for number in range(1200):
            connection.execute("select note from orders where id = %s", (number,), prepare=False)
    work(desk, calls=2)
    found = report(desk)
    assert statement(found, "select note from orders where id = $1")["n_plus_one"] is True
    assert statement(found, NEWEST)["n_plus_one"] is False


def test_a_database_that_cannot_be_read_is_named(desk: Services) -> None:
    work(desk, calls=1)
    found = report(desk, databases=["desk", "nowhere"])
    assert [entry["database"] for entry in found["unread"]] == ["nowhere"]
    with pytest.raises(TuningError, match="nowhere"):
        report(desk, databases=["nowhere"])
    desk.sql("drop extension pg_stat_statements", "desk")
    with pytest.raises(TuningError, match=r"database desk on .* has no pg_stat_statements; name it in postgres_extensions"):
        report(desk)


@contextmanager
def load(services: Services) -> Iterator[None]:
    """An application at work in another thread, from its first answer on."""
    begun, ended = threading.Event(), threading.Event()

    def work_on() -> None:
        with psycopg.connect(**services.superuser_to("leadgen"), autocommit=True) as connection:
            connection.execute("set role leads_app")
            number = 0
            while not ended.is_set():
                number = number % 500 + 1
                connection.execute("select kind from events where lead_id = %s", (number,), prepare=False)
                begun.set()

    thread = threading.Thread(target=work_on)
    thread.start()
    try:
        assert begun.wait(10)
        yield
    finally:
        ended.set()
        thread.join()


def test_the_command_names_an_index_and_the_log_has_the_fall_of_the_mean(loaded: Services, retune: Retune) -> None:
    loaded.sql("create extension if not exists pg_stat_statements")
    loaded.sql("select pg_stat_statements_reset()")
    large = ("-e", '{"postgres_large_table_rows": 1000}')
    with load(loaded):
        asked = retune("queries", "--json", "--top", "3", *large)
        assert asked.returncode == 0, asked.stderr
        record = json.loads(asked.stdout)
        jsonschema.validate(record, json.loads((PROJECT / "docs" / "run-record.schema.json").read_text(encoding="utf-8")))
        (database,) = record["reports"]["sandbox-postgres"]["databases"]
        assert len(database["statements"]) <= 3
        assert database["postgres_indexes"] == {"events_lead_id_idx": {"table": "public.events", "columns": ["lead_id"]}}
        shown = retune("queries", *large)
        assert (shown.returncode, "events_lead_id_idx:" in shown.stdout) == (0, True), shown.stderr
        queryid = database["statements"][0]["queryid"]
        wanted = json.dumps({"postgres_indexes": {"leadgen": database["postgres_indexes"]}})
        try:
            applied = retune("apply", "--yes", "--json", "--tags", "postgres.slow_queries", "-e", wanted)
            assert applied.returncode == 0, applied.stderr
        finally:
            loaded.sql("drop index if exists events_lead_id_idx")
    phases = json.loads(applied.stdout)["measurements"]["sandbox-postgres"]
    name = f"statement_mean_ms/{queryid}"
    assert phases["after"][name] < phases["before"][name] / 2
    assert f"(query {queryid})" in retune("log").stdout
