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
from tests.integration.test_postgres_queries import desk as plain_desk
from tests.integration.test_postgres_queries import loaded, statement
from tests.integration.test_postgres_queries import report as plain_report

__all__ = ["loaded", "plain_desk"]

SECRET = "a secret of a customer"
READ = "select count(*) from orders where note <> $1"


@pytest.fixture
def desk(plain_desk: Services) -> Iterator[Services]:
    """The database, and a tuning role that may act for the application's, and keep what it runs out of the statistics."""
    plain_desk.sql("grant set on parameter pg_stat_statements.track to tuning", "desk")
    options = plain_desk.sql("select current_setting('server_version_num')::int >= 160000") == [(True,)]
    if options:  # before, each member may take on the role
        plain_desk.sql("grant leads_app to tuning with inherit true, set true")
    yield plain_desk
    if options:
        plain_desk.sql("revoke set option for leads_app from tuning")
    plain_desk.sql("revoke set on parameter pg_stat_statements.track from tuning", "desk")


def report(services: Services, **options: Any) -> dict[str, Any]:
    return plain_report(services, **{"explain_analyze": True, **options})


@contextmanager
def session(services: Services, *texts: str, user: str = "leads_app") -> Iterator[psycopg.Connection[Any]]:
    """A session of the application that ran each text, values and all, and still shows the last."""
    where = {**services.postgres, "user": user, "dbname": "desk"}
    with psycopg.connect(**where, autocommit=True) as connection:
        for text in texts:
            connection.execute(text.encode())
        yield connection


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
    assert SECRET not in str(desk.sql("select query from pg_stat_statements", "desk"))
    assert statement(report(desk), READ)["calls"] == 1, "what is run for the report does not count as the application's"


def test_nothing_is_run_when_that_is_not_wanted(desk: Services) -> None:
    with session(desk, "select count(*) from orders where note <> 'x'"):
        assert statement(report(desk, explain_analyze=False), READ)["not_analyzed"] == "postgres_explain_analyze is off"
    assert statement(report(desk), READ)["not_analyzed"] == "no session of its role was seen running it"


def test_a_statement_whose_values_are_bound_has_its_generic_plan(desk: Services) -> None:
    with session(desk) as connection:
        connection.execute("select count(*) from orders where note <> %s::text", ("x",))
        found = statement(report(desk), "select count(*) from orders where note <> $1::text")
    assert found["not_analyzed"] == "its values are sent apart from its text"
    assert (found["plan_kind"], found["plan"]["Node Type"]) == ("generic", "Aggregate")


@pytest.mark.parametrize(
    ("text", "normalised", "reason"),
    [
        ("select nextval('tickets') from small", "select nextval($1) from small", "function nextval is not known"),
        ("select pg_advisory_lock(7)", "select pg_advisory_lock($1)", "function pg_advisory_lock is not known"),
        ("select txid_current()", "select txid_current()", "function txid_current is not known"),
        (
            "select table_to_xml('seen'::regclass, true, true, '')",
            "select table_to_xml($1::regclass, $2, $3, $4)",
            "function table_to_xml is not known",
        ),
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


@pytest.mark.parametrize(
    ("made", "text", "reason"),
    [
        (
            "create function f(small) returns int volatile language sql as 'select 1'",
            "select s.f from small as s",
            "functions",
        ),
        ("create aggregate g(int) (sfunc = int4_sum, stype = bigint)", "select g(id) from small", "functions"),
        ("create domain positive as int check (value > 0)", "select positive('5')", "domains with conditions"),
    ],
)
def test_nothing_is_run_in_a_database_with_code_of_its_own(desk: Services, made: str, text: str, reason: str) -> None:
    desk.sql(made, "desk")
    with session(desk, text, "select count(*) from small"):
        found = report(desk, top=50)
    assert f"the database has {reason}" in statement(found, "select count(*) from small")["not_analyzed"]


def test_the_text_of_another_role_is_not_run(desk: Services) -> None:
    """The statement is of the role that it took most time of, which has no session any more."""
    desk.sql("grant select on orders to leads_migrate", "desk")
    with session(desk, *[READ.replace("$1", "'x'")] * 20):
        pass
    with session(desk, READ.replace("$1", "'theirs'"), user="leads_migrate"):
        found = statement(report(desk), READ)
    assert found["not_analyzed"] == "no session of its role was seen running it"


def test_without_the_right_to_keep_it_uncounted_nothing_is_run(desk: Services) -> None:
    desk.sql("revoke set on parameter pg_stat_statements.track from tuning", "desk")
    with session(desk, READ.replace("$1", "'x'")):
        found = statement(report(desk), READ)
    assert "GRANT SET ON PARAMETER pg_stat_statements.track" in found["not_analyzed"]


def test_a_role_that_we_are_no_member_of_is_not_acted_for(desk: Services) -> None:
    with psycopg.connect(**desk.superuser_to("desk"), autocommit=True) as connection:
        connection.execute(b"select count(*) from small where id <> 3")
        found = statement(report(desk, top=50), "select count(*) from small where id <> $1")
    assert found["not_analyzed"] == "the tuning role may not SET ROLE to the role that runs it"


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
        assert report(desk)["databases"][0]["statements"][0]["not_analyzed"] == "no session of its role was seen running it"
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
