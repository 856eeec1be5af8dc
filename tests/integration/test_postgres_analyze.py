# SPDX-License-Identifier: GPL-3.0-or-later
"""EXPLAIN ANALYZE of statements that are seen running, and the refusal of all that might change something."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from ansible_collections.leadgen.tuning.plugins.module_utils import _postgres_explain

from tests.integration.conftest import Services
from tests.integration.test_postgres_queries import desk, loaded, report, statement

__all__ = ["desk", "loaded"]

SECRET = "a secret of a customer"
READ = "select count(*) from orders where note <> $1"


@contextmanager
def session(services: Services, *texts: str) -> Iterator[None]:
    """A session of the application that ran each text, values and all, and still shows the last."""
    with psycopg.connect(**services.superuser_to("desk"), autocommit=True) as connection:
        connection.execute("set role leads_app")
        for text in texts:
            connection.execute(text.encode())
        yield


def test_a_read_is_run_once_and_its_values_stay_out_of_the_report(desk: Services) -> None:
    with session(desk, READ.replace("$1", f"'{SECRET}'")):
        found = report(desk)
    read = statement(found, READ)
    assert read["not_analyzed"] == ""
    assert read["analyzed"]["execution_ms"] > 0
    plan = read["analyzed"]["plan"]
    assert (plan["Node Type"], plan["Actual Rows"]) == ("Aggregate", 1)
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] > 500
    assert SECRET not in json.dumps(found)
    assert statement(report(desk), READ)["calls"] == 1, "what is run for the report does not count as the application's"


def test_nothing_is_run_when_that_is_not_wanted(desk: Services) -> None:
    with session(desk, "select count(*) from orders where note <> 'x'"):
        assert statement(report(desk, explain_analyze=False), READ)["not_analyzed"] == "postgres_explain_analyze is off"
    assert statement(report(desk), READ)["not_analyzed"] == "no session was seen running it"


def test_a_statement_whose_values_are_bound_has_its_generic_plan(desk: Services) -> None:
    with psycopg.connect(**desk.superuser_to("desk"), autocommit=True) as connection:
        connection.execute("set role leads_app")
        connection.execute("select count(*) from orders where note <> %s::text", ("x",))
        found = statement(report(desk), "select count(*) from orders where note <> $1::text")
    assert found["not_analyzed"] == "its values are sent apart from its text"
    assert (found["plan_kind"], found["plan"]["Node Type"]) == ("generic", "Aggregate")


@pytest.mark.parametrize(
    ("text", "normalised", "reason"),
    [
        ("select nextval('tickets') from small", "select nextval($1) from small", "function nextval is volatile"),
        ("select pg_advisory_lock(7)", "select pg_advisory_lock($1)", "function pg_advisory_lock is volatile"),
        (
            "select harmless(id) from small",
            "select harmless(id) from small",
            "function harmless is volatile or of a user's making",
        ),
        ("select id from small where id === 5", "select id from small where id === $1", "operator ==="),
        ("select 5::positive", "select $1::positive", "type positive"),
        ("select count(*) from seen", "select count(*) from seen", "public.seen is no plain table"),
        (
            "select count(*) from guarded",
            "select count(*) from guarded",
            "public.guarded is no plain table, or has row-level",
        ),
        ("select id from small where id = 5 for update", "select id from small where id = $1 for update", "LockingClause"),
        (
            "with gone as (delete from small where id = 5 returning id) select * from gone",
            "with gone as (delete from small where id = $1 returning id) select * from gone",
            "DeleteStmt",
        ),
        ("update small set id = id where id = 5", "update small set id = id where id = $1", "UpdateStmt"),
    ],
)
def test_what_might_change_something_is_not_run(desk: Services, text: str, normalised: str, reason: str) -> None:
    for prepare in (
        "create sequence tickets",
        "create function harmless(int) returns int immutable language plpgsql as $$begin return $1; end$$",
        "create function alike(int, int) returns bool immutable language sql as 'select $1 = $2'",
        "create operator === (leftarg = int, rightarg = int, function = alike)",
        "create domain positive as int check (harmless(value) > 0)",
        "create view seen as select nextval('tickets') from small",
        "create table guarded (id int); alter table guarded enable row level security",
        "grant all on all tables in schema public to leads_app; grant all on all sequences in schema public to leads_app",
    ):
        desk.sql(prepare, "desk")
    with session(desk, text):
        before = desk.sql("select (select last_value from tickets), (select count(*) from small)", "desk")
        found = statement(report(desk, top=50), normalised)
        assert desk.sql("select (select last_value from tickets), (select count(*) from small)", "desk") == before
    assert found["analyzed"] is None
    assert reason in found["not_analyzed"]


def test_a_role_that_we_are_no_member_of_is_not_acted_for(desk: Services) -> None:
    with psycopg.connect(**desk.superuser_to("desk"), autocommit=True) as connection:
        connection.execute(b"select count(*) from small where id <> 3")
        found = statement(report(desk, top=50), "select count(*) from small where id <> $1")
    assert found["not_analyzed"] == "the tuning role is no member of the role that runs it"


def test_what_takes_too_long_is_ended(desk: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_postgres_explain._SETTINGS, "statement_timeout", "50ms")
    slow = "select count(*) from orders a join orders b on a.customer = b.customer where a.id > 0"
    with session(desk, slow):
        found = statement(
            report(desk), "select count(*) from orders a join orders b on a.customer = b.customer where a.id > $1"
        )
    assert found["not_analyzed"] == "it was ended after 5 s"
    assert found["plan"] is not None


def test_a_text_that_may_be_cut_short_is_not_run(desk: Services) -> None:
    size = int(desk.sql("select setting from pg_settings where name = 'track_activity_query_size'")[0][0])
    whole = "select count(*) from orders where note <> 'x' and id > 0 and id < 100000 "
    with session(desk, whole.ljust(size - 1)):
        assert report(desk)["databases"][0]["statements"][0]["not_analyzed"] == "no session was seen running it"
    with session(desk, whole.ljust(size - 2)):
        assert report(desk)["databases"][0]["statements"][0]["not_analyzed"] == ""


def test_a_statement_without_types_is_planned_with_its_values(desk: Services) -> None:
    text = "update orders set id = 40 + 2 where id = 42 and note <> '{}'"
    normalised = "update orders set id = $1 + $2 where id = $3 and note <> $4"
    with session(desk, text.format(SECRET)):
        found = report(desk, top=50)
    planned: dict[str, Any] = statement(found, normalised)
    assert (planned["plan_kind"], planned["plan"]["Node Type"], planned["not_explained"]) == ("sampled", "ModifyTable", "")
    assert planned["analyzed"] is None
    assert SECRET not in json.dumps(found)
    assert statement(report(desk, top=50), normalised)["not_explained"] == "operator is not unique: unknown + unknown"
