# SPDX-License-Identifier: GPL-3.0-or-later
"""Storage parameters of tables, by name and by rule, against a real server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from ansible_collections.leadgen.tuning.plugins.module_utils import _postgres_steps
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_databases import reconcile

from tests.integration.conftest import Services

NOTHING: dict[str, Any] = {
    "databases": ["shop"],
    "extensions": [],
    "table_settings": {},
    "table_rules": [],
    "indexes": {},
    "controls": {},
    "only": None,
    "remember": False,
    "table_memory": {},
    "deferred": [],
    "verify": False,
}
NO_LIMITS = {"databases": None, "rows": None, "dead_rows": None, "writes_per_second": None}
SCALE = "autovacuum_vacuum_scale_factor"
MEMORY = "select setconfig from pg_db_role_setting where setconfig::text like '%leadgen_tuning.tables%'"


def run(services: Services, check: bool = False, **options: Any) -> dict[str, Any]:
    return reconcile({"connection": services.postgres, **NOTHING, **options}, check)


def rule(name: str, settings: dict[str, Any], **limits: Any) -> dict[str, Any]:
    return {**NO_LIMITS, "name": name, "settings": settings, **limits}


def named(**tables: dict[str, Any]) -> dict[str, Any]:
    return {"shop": {f"public.{table}": settings for table, settings in tables.items()}}


def stored(services: Services) -> dict[str, list[str]]:
    """The storage parameters of every table that has some, as the catalog holds them."""
    return dict(
        services.sql(
            "select c.relname, array(select unnest(coalesce(c.reloptions, '{}')) union all"
            " select 'toast.' || unnest(coalesce(t.reloptions, '{}')) order by 1) from pg_class as c"
            " left join pg_class as t on t.oid = c.reltoastrelid"
            " where c.relnamespace = 'public'::regnamespace and (c.reloptions is not null or t.reloptions is not null)",
            "shop",
        )
    )


@pytest.fixture
def shop(services: Services) -> Iterator[Services]:
    """A database of the test's own, with tables of three sizes that the application's role owns."""
    services.sql("create database shop owner leads_app", "postgres")
    for statement in (
        "set role leads_app;"
        " create table small (id int); create table wide (id int primary key, body text);"
        " create table large (id int primary key, n int); create table odd (id int) partition by range (id);"
        ' create table "Odd Name" (id int)',
        "insert into large select n, n from generate_series(1, 20000) as n",
        "insert into wide select n, 'x' from generate_series(1, 500) as n",
        "vacuum analyze",
    ):
        services.sql(statement, "shop")
    yield services
    services.sql("drop database shop with (force)", "postgres")
    services.sql("alter role tuning reset all")


def test_by_name_in_every_spelling_and_exactly_as_planned(shop: Services) -> None:
    wanted = {"table_settings": named(large={SCALE: "0.050", "Autovacuum_Enabled": "yes"}, wide={"toast." + SCALE: 0.1})}
    planned = run(shop, check=True, **wanted)
    assert stored(shop) == {}
    assert planned["diff"] == {
        "before": {
            f"shop.public.large: {SCALE}": "unset",
            "shop.public.large: autovacuum_enabled": "unset",
            f"shop.public.wide: toast.{SCALE}": "unset",
        },
        "after": {
            f"shop.public.large: {SCALE}": "0.05",
            "shop.public.large: autovacuum_enabled": "on",
            f"shop.public.wide: toast.{SCALE}": "0.1",
        },
    }
    with pytest.raises(TuningError, match=r"settings\.shop\.public\.large .*found unset where 0\.05 is wanted"):
        run(shop, verify=True, **wanted)
    assert run(shop, **wanted) == planned
    assert stored(shop) == {"large": ["autovacuum_enabled=on", f"{SCALE}=0.05"], "wide": [f"toast.{SCALE}=0.1"]}
    for spelling in (0.05, "5e-2", ".05"):
        again = {"table_settings": named(large={SCALE: spelling, "autovacuum_enabled": True})}
        assert not run(shop, check=True, **again)["changed"]
    run(shop, verify=True, **wanted)


def test_a_name_that_needs_quotes(shop: Services) -> None:
    wanted = {"table_settings": {"shop": {'public."Odd Name"': {SCALE: 0.1}}}}
    assert set(run(shop, **wanted)["diff"]["after"]) == {f'shop.public."Odd Name": {SCALE}'}
    assert stored(shop) == {"Odd Name": [f"{SCALE}=0.1"]}


def test_null_takes_one_out_and_goes_before_a_rule(shop: Services) -> None:
    rules = [rule("large", {SCALE: 0.02, "fillfactor": 90}, rows=10_000)]
    run(shop, table_rules=rules)
    assert stored(shop) == {"large": [f"{SCALE}=0.02", "fillfactor=90"]}
    result = run(shop, table_rules=rules, table_settings=named(large={SCALE: None, "fillfactor": 80}))
    assert result["diff"]["before"] == {f"shop.public.large: {SCALE}": "0.02", "shop.public.large: fillfactor": "90"}
    assert stored(shop) == {"large": ["fillfactor=80"]}


def test_a_rule_gives_its_reason_and_the_first_that_is_reached_counts(shop: Services) -> None:
    rules = [
        rule("huge", {SCALE: 0.01}, rows=1_000_000),
        rule("large", {SCALE: 0.02}, rows=10_000),
        rule("any", {"toast." + SCALE: 0.1, SCALE: 0.15}, rows=100),
    ]
    planned = run(shop, check=True, table_rules=rules)
    assert planned["diff"]["after"] == {
        f"shop.public.large: {SCALE}": "0.02 (rule large: 20,000 rows of 10,000)",
        f"shop.public.wide: {SCALE}": "0.15 (rule any: 500 rows of 100)",
        f"shop.public.wide: toast.{SCALE}": "0.1 (rule any: 500 rows of 100)",
    }
    assert run(shop, table_rules=rules) == planned
    assert not run(shop, check=True, table_rules=rules)["changed"]


def test_by_dead_rows_and_by_writes(shop: Services) -> None:
    shop.sql("alter table large set (autovacuum_enabled = off); update large set n = n + 1", "shop")
    shop.wait_for("select pg_stat_get_dead_tuples('large'::regclass) > 15000", "shop")
    dead = run(shop, check=True, table_rules=[rule("churn", {"fillfactor": 80}, dead_rows=15_000)])
    assert dead["diff"]["after"] == {"shop.public.large: fillfactor": "80 (rule churn: 20,000 dead rows of 15,000)"}
    busy = run(shop, check=True, table_rules=[rule("busy", {"fillfactor": 80}, writes_per_second=1e-9, rows=10_000)])
    assert set(busy["diff"]["after"]) == {"shop.public.large: fillfactor"}
    assert run(shop, check=True, table_rules=[rule("busy", {SCALE: 0.1}, writes_per_second=1e9)])["diff"]["after"] == {}


def test_a_table_near_the_threshold_does_not_change_sides(shop: Services) -> None:
    rules = [rule("large", {SCALE: 0.02}, rows=20_000)]
    run(shop, table_rules=rules, remember=True)
    shop.sql("delete from large where id > 15000", "shop")
    shop.sql("vacuum analyze large", "shop")
    assert not run(shop, check=True, table_rules=rules, remember=True)["changed"]
    shop.sql("delete from large where id > 5000", "shop")
    shop.sql("vacuum full analyze large", "shop")
    shop.wait_for("select pg_stat_get_live_tuples('large'::regclass) < 6000", "shop")
    assert run(shop, table_rules=rules, remember=True)["diff"]["after"] == {f"shop.public.large: {SCALE}": "unset"}
    assert stored(shop) == {}
    assert shop.sql(MEMORY) == []


def test_what_was_written_and_is_dropped_is_taken_out_and_nobody_elses(shop: Services) -> None:
    shop.sql("alter table wide set (fillfactor = 70)", "shop")
    wanted = named(large={SCALE: 0.02, "fillfactor": 90}, wide={"fillfactor": 70, "toast." + SCALE: 0.1})
    run(shop, table_settings=wanted, remember=True)
    shop.sql("alter table large set (fillfactor = 95)", "shop")
    planned = run(shop, check=True, remember=True)
    assert planned["diff"] == {
        "before": {f"shop.public.large: {SCALE}": "0.02", f"shop.public.wide: toast.{SCALE}": "0.1"},
        "after": {f"shop.public.large: {SCALE}": "unset", f"shop.public.wide: toast.{SCALE}": "unset"},
    }
    assert run(shop, remember=True) == planned
    assert stored(shop) == {"large": ["fillfactor=95"], "wide": ["fillfactor=70"]}
    assert shop.sql(MEMORY) == []
    assert not run(shop, check=True, remember=True)["changed"]


def test_a_database_that_the_inventory_no_longer_names_is_looked_at_too(shop: Services) -> None:
    run(shop, table_settings=named(large={SCALE: 0.02}), remember=True)
    for databases in (["leadgen"], []):
        dropped = run(shop, check=True, databases=databases, remember=True)
        assert dropped["diff"]["after"] == {f"shop.public.large: {SCALE}": "unset"}


def test_what_is_put_back_is_remembered_as_before(shop: Services) -> None:
    run(shop, table_settings=named(large={SCALE: 0.02}), remember=True)
    before, memory = stored(shop), shop.sql(MEMORY)
    done = run(shop, table_settings=named(large={SCALE: 0.1}, wide={"fillfactor": 70}), remember=True)
    run(shop, databases=[], **done["previous"])
    assert (stored(shop), shop.sql(MEMORY)) == (before, memory)
    assert not run(shop, check=True, table_settings=named(large={SCALE: 0.02}), remember=True)["changed"]


def test_only_the_selected_controls_are_looked_at(shop: Services) -> None:
    options = {"table_settings": named(large={SCALE: 0.02}), "controls": {"a.tables": ["*: *"], "a.rest": ["*"]}}
    assert not run(shop, check=True, only=["a.rest"], **options)["changed"]
    assert run(shop, check=True, only=["a.tables"], **options)["owners"] == {f"shop.public.large: {SCALE}": "a.tables"}


def test_neither_a_plan_nor_a_run_waits_behind_a_lock(shop: Services) -> None:
    wanted = {"table_settings": named(large={SCALE: 0.02}, wide={"fillfactor": 70}), "remember": True}
    with psycopg.connect(**shop.superuser_to("shop")) as holder:
        holder.execute("lock table large in share update exclusive mode")
        assert len(run(shop, check=True, **wanted)["diff"]["after"]) == 2
        result = run(shop, **wanted)
        assert result["deferred"] == [f"shop.public.large: {SCALE}"]
        assert set(result["diff"]["after"]) == {"shop.public.wide: fillfactor"}
        [warning] = result["warnings"]
        assert "is left for the next run: its lock is held by postgres (" in warning
        assert f"pid {holder.info.backend_pid})" in warning
        run(shop, verify=True, **{**wanted, "deferred": result["deferred"]})
    assert stored(shop) == {"wide": ["fillfactor=70"]}
    assert set(run(shop, **wanted)["diff"]["after"]) == {f"shop.public.large: {SCALE}"}
    assert not run(shop, check=True, **wanted)["changed"]
    assert set(run(shop, remember=True)["diff"]["after"].values()) == {"unset"}


def test_a_refusal_in_one_database_takes_back_what_was_done_in_another(
    shop: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = {"shop": {"public.large": {SCALE: 0.02}, "public.wide": {"fillfactor": 70}}}
    run(shop, table_settings={"shop": {"public.small": {"fillfactor": 60}}}, remember=True)
    before, memory = stored(shop), shop.sql(MEMORY)
    original = _postgres_steps.run_step

    def gone_in_the_meantime(connection: Any, step: Any, where: str) -> str | None:
        if connection.info.dbname == "leadgen":
            raise TuningError("events is gone")
        return original(connection, step, where)

    monkeypatch.setattr(
        "ansible_collections.leadgen.tuning.plugins.module_utils._postgres_databases.run_step", gone_in_the_meantime
    )
    both = {**wanted, "leadgen": {"public.events": {"fillfactor": 90}}}
    with pytest.raises(TuningError, match="events is gone"):
        run(shop, databases=["shop", "leadgen"], table_settings=both, remember=True)
    assert (stored(shop), shop.sql(MEMORY)) == (before, memory)


def test_tables_that_are_free_are_brought_about_beside_those_that_are_not(shop: Services) -> None:
    with psycopg.connect(**shop.superuser_to("shop")) as holder:
        holder.execute("lock table large, small in access exclusive mode")
        result = run(shop, table_settings=named(large={SCALE: 0.02}, small={SCALE: 0.1}, wide={SCALE: 0.3}))
    assert len(result["deferred"]) == 2
    assert stored(shop) == {"wide": [f"{SCALE}=0.3"]}


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"public.nowhere": {SCALE: 0.1}}, r"shop\.public\.nowhere on .*there is no table of that name"),
    ({"public.odd": {SCALE: 0.1}}, r"shop\.public\.odd on .*partitioned.*name its partitions"),
    ({"pg_catalog.pg_tables": {SCALE: 0.1}}, r"pg_tables on .*it is a view"),
    ({"public.large": [SCALE]}, r"shop\.public\.large on .*it takes a dictionary"),
    ({"public.large": {SCALE: 101}}, rf"public\.large\.{SCALE} on .*101 is outside its range, 0 to 100"),
    ({"public.large": {SCALE: "much"}}, rf"public\.large\.{SCALE} on .*'much' is not a number"),
    ({"public.large": {"autovacuum_vacuum_scale": 0.1}}, r"autovacuum_vacuum_scale on .*no storage parameter"),
    ({"public.large": {"toast.fillfactor": 70}}, r"toast\.fillfactor on .*no storage parameter"),
    ({"public.small": {"toast." + SCALE: 0.1}}, r"public\.small\.toast.* has no TOAST table"),
    ({"public.large": {SCALE: 0.1}, "large": {SCALE: 0.2}}, r"public\.large is there under another spelling"),
    ({"a.b.c.d": {SCALE: 0.1}}, r"a\.b\.c\.d"),
    ([1], r"postgres_table_settings\.shop .*dictionary"),  # type: ignore[list-item]
]


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize(("wrong", "message"), WRONG)
def test_a_wrong_value_is_one_clear_error_and_nothing_is_written(
    shop: Services, wrong: Any, message: str, check: bool
) -> None:
    wanted = wrong if isinstance(wrong, list) else {"public.wide": {"fillfactor": 70}, **wrong}
    with pytest.raises(TuningError, match=message) as caught:
        run(shop, check, table_settings={"shop": wanted}, remember=True)
    assert "\n" not in str(caught.value)
    assert (stored(shop), shop.sql(MEMORY)) == ({}, [])


def test_two_rules_of_one_name_are_an_error(shop: Services) -> None:
    with pytest.raises(TuningError, match=r"postgres_table_rules: two rules are named large; rename"):
        run(shop, check=True, table_rules=[rule("large", {SCALE: 0.1}, rows=1), rule("large", {SCALE: 0.2}, rows=2)])


def test_a_table_of_another_owner_is_named_in_the_plan(shop: Services) -> None:
    shop.sql("create table theirs (id int)", "shop")
    for check in (True, False):
        with pytest.raises(TuningError, match=r"may not set fillfactor of public\.theirs; grant it the role that owns"):
            run(shop, check, table_settings=named(theirs={"fillfactor": 70}, large={"fillfactor": 70}))
    assert stored(shop) == {}
