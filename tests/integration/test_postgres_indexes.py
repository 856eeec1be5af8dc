# SPDX-License-Identifier: GPL-3.0-or-later
"""Indexes named in the inventory, against a real server."""

from __future__ import annotations

import threading
from typing import Any

import psycopg
import pytest
from ansible_collections.leadgen.tuning.plugins.module_utils import _postgres_indexes
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError

from tests.integration.conftest import Services
from tests.integration.test_postgres_tables import run, shop  # noqa: F401 - a fixture


def named(**indexes: Any) -> dict[str, Any]:
    return {"indexes": {"shop": indexes}}


def index(*columns: str, table: str = "public.large", **more: Any) -> dict[str, Any]:
    return {"table": table, "columns": list(columns), **more}


def definitions(services: Services) -> dict[str, str]:
    """The valid and ready indexes that no constraint made."""
    return dict(
        services.sql(
            "select relname, pg_get_indexdef(indexrelid) from pg_index join pg_class on pg_class.oid = indexrelid"
            " where relnamespace = 'public'::regnamespace and indisvalid and indisready and not indisprimary",
            "shop",
        )
    )


CASES: list[tuple[dict[str, Any], str, str]] = [
    (index("n"), "on public.large (n)", "USING btree (n)"),
    (index("N"), "on public.large (N)", "USING btree (n)"),
    (index("n desc nulls last", "id"), "on public.large (n desc nulls last, id)", "(n DESC NULLS LAST, id)"),
    (index("n % 10"), "on public.large (n % 10)", "USING btree (((n % 10)))"),
    (index("n", include=["id"]), "on public.large (n) include (id)", "(n) INCLUDE (id)"),
    (index("n", where="n > 100"), "on public.large (n) where n > 100", "(n) WHERE (n > 100)"),
    (index("id", "n", unique=True), "unique on public.large (id, n)", "CREATE UNIQUE INDEX"),
    (index("body text_pattern_ops", table="wide"), "on public.wide (body text_pattern_ops)", "(body text_pattern_ops)"),
    (index("n", method="hash"), "on public.large (n)", "USING hash (n)"),
]


@pytest.mark.parametrize(("wanted", "shown", "definition"), CASES)
def test_one_is_created_as_planned_and_once(
    shop: Services,
    wanted: dict[str, Any],
    shown: str,
    definition: str,
) -> None:
    planned = run(shop, check=True, **named(sought=wanted))
    assert definitions(shop) == {}
    assert planned["diff"] == {
        "before": {"shop.public.sought (index)": "absent"},
        "after": {"shop.public.sought (index)": shown},
    }
    assert run(shop, **named(sought=wanted)) == planned
    assert definition in definitions(shop)["sought"]
    assert not run(shop, check=True, **named(sought=wanted))["changed"]
    run(shop, verify=True, **named(sought=wanted))


def test_one_that_is_no_longer_named_stays(shop: Services) -> None:
    run(shop, **named(sought=index("n")), remember=True)
    assert not run(shop, remember=True)["changed"]
    assert set(definitions(shop)) == {"sought"}


def test_an_invalid_leftover_is_dropped_and_tried_again(shop: Services) -> None:
    """A unique index over rows that are not unique fails, and leaves an invalid one: the server's own way."""
    shop.sql("insert into large values (-1, 7)", "shop")
    wanted = named(sought=index("n", unique=True))
    with pytest.raises(psycopg.errors.UniqueViolation):
        shop.sql("create unique index concurrently sought on large (n)", "shop")
    assert shop.sql("select indisvalid from pg_index where indexrelid = 'sought'::regclass", "shop") == [(False,)]
    planned = run(shop, check=True, **wanted)
    assert planned["diff"]["before"] == {"shop.public.sought (index)": "invalid"}
    with pytest.raises(TuningError, match=r"postgres_indexes\.shop\.sought on .*could not create unique index"):
        run(shop, **wanted)
    assert shop.sql("select to_regclass('sought')", "shop") == [(None,)], "what failed is not left behind"
    shop.sql("delete from large where id = -1", "shop")
    run(shop, **wanted)
    assert set(definitions(shop)) == {"sought"}


def test_a_transaction_in_the_way_is_named_and_the_next_run_finishes(
    shop: Services,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_postgres_indexes, "_LOCK_TIMEOUT", "300ms")
    wanted = named(sought=index("n"))
    with psycopg.connect(**shop.superuser_to("shop")) as holder:
        holder.execute("delete from large where id = 1")
        result = run(shop, **wanted)
        assert (result["changed"], result["deferred"]) == (False, ["shop.public.sought (index)"])
        assert f"pid {holder.info.backend_pid})" in result["warnings"][0]
        holder.rollback()
    assert run(shop, **wanted)["changed"]
    assert set(definitions(shop)) == {"sought"}


def test_writers_are_not_stopped_while_one_is_built(shop: Services) -> None:
    """A build that waits for an old transaction lets others write meanwhile."""
    with psycopg.connect(**shop.superuser_to("shop")) as old, psycopg.connect(**shop.superuser_to("shop")) as writer:
        old.execute("delete from large where id = 1")
        build = threading.Thread(target=run, args=(shop,), kwargs=named(sought=index("n")))
        build.start()
        try:
            shop.wait_for("select count(*) = 1 from pg_stat_progress_create_index", "shop")
            with pytest.raises(TuningError, match="is building it; run again when it is done"):
                run(shop, check=True, **named(sought=index("n")))
            writer.execute("set lock_timeout = '2s'")
            writer.execute("update large set n = n where id = 2")
            writer.commit()
        finally:
            old.rollback()
            build.join()
    assert set(definitions(shop)) == {"sought"}


WRONG: list[tuple[Any, str]] = [
    (index("n", table="public.nowhere"), r"there is no table public\.nowhere"),
    (index("id", table="public.odd"), r"not a plain table.*name its partitions"),
    (index("nn"), r"public\.large has no column nn; check its spelling"),
    (index("n", include=["body"]), r"public\.large has no column body"),
    (index("n", method="treebeard"), r"the server has no index method treebeard"),
    ({"table": "public.large"}, r"missing required arguments: columns; it takes table, columns, include"),
    ({**index("n"), "fillfactor": 90}, r"it takes table, columns, include, method, unique, where"),
    ("n", r"it takes a dictionary with table and columns"),
]


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize(("wrong", "message"), WRONG)
def test_a_wrong_one_is_one_clear_error_and_none_is_created(
    shop: Services,
    wrong: Any,
    message: str,
    check: bool,
) -> None:
    with pytest.raises(TuningError, match=rf"postgres_indexes\.shop\.sought on .*{message}") as caught:
        run(shop, check, **named(good=index("n"), sought=wrong))
    assert "\n" not in str(caught.value)
    assert definitions(shop) == {}


def test_a_name_that_another_index_has_is_an_error(shop: Services) -> None:
    shop.sql("create index sought on large (id)", "shop")
    with pytest.raises(TuningError, match=r"another stands under that name \(CREATE INDEX sought ON public\.large"):
        run(shop, check=True, **named(sought=index("n")))


def test_a_fragment_of_sql_cannot_bring_another_statement_along(shop: Services) -> None:
    for wanted in (index("n", where="n > 1; drop table large"), index("n); drop table large; --")):
        with pytest.raises(TuningError):
            run(shop, **named(sought=wanted))
    assert shop.sql("select count(*) from large", "shop") == [(20_000,)]


def test_a_table_of_another_owner_is_named_in_the_plan(shop: Services) -> None:
    shop.sql("create table theirs (id int)", "shop")
    with pytest.raises(TuningError, match=r"the role may not create an index on public\.theirs; grant it the role"):
        run(shop, check=True, **named(sought=index("id", table="public.theirs")))
