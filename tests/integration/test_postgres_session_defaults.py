# SPDX-License-Identifier: GPL-3.0-or-later
"""Session defaults against a real server, proved by logging in as the role."""

from __future__ import annotations

import random
from typing import Any

import psycopg
import pytest
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_session_defaults import reconcile

from tests.integration.conftest import Services

NOTHING: dict[str, Any] = {
    "roles": {},
    "databases": {},
    "roles_in_databases": {},
    "exempt_roles": [],
    "controls": {},
    "only": None,
    "remember": False,
    "verify": False,
}


def run(services: Services, check: bool = False, **options: Any) -> dict[str, Any]:
    return reconcile({"connection": services.postgres, **NOTHING, **options}, check)


def as_application(services: Services) -> psycopg.Connection[tuple[Any, ...]]:
    options = {name: value for name, value in services.postgres.items() if value is not None}
    return psycopg.connect(**{**options, "user": "leads_app"}, autocommit=True)


def test_the_applications_role_is_stopped_and_the_migrations_role_is_not(roles: Services) -> None:
    run(roles, roles={"leads_app": {"statement_timeout": "0.2s"}})
    with as_application(roles) as connection, pytest.raises(psycopg.errors.QueryCanceled, match="statement timeout"):
        connection.execute("select pg_sleep(5)")
    assert roles.sql("select rolconfig from pg_roles where rolname = 'leads_migrate'") == [(None,)]


@pytest.mark.parametrize("spelling", ["5s", "5000ms", 5000, "5000", " 5 s "])
def test_an_equal_value_in_another_spelling_is_no_change(roles: Services, spelling: Any) -> None:
    roles.sql("alter role leads_app set statement_timeout = '5s'")
    before = roles.sql("select xmin, * from pg_db_role_setting")
    assert run(roles, roles={"leads_app": {"statement_timeout": spelling}})["changed"] is False
    assert roles.sql("select xmin, * from pg_db_role_setting") == before


def test_a_default_that_is_the_servers_own_is_set_all_the_same(roles: Services) -> None:
    # Absent and equal to the server's value today are not the same: the server's may change.
    result = run(roles, roles={"leads_app": {"statement_timeout": 0}})
    assert result["diff"] == {
        "before": {"leads_app: statement_timeout": "unset"},
        "after": {"leads_app: statement_timeout": "0"},
    }


SETTINGS: dict[str, list[list[Any]]] = {
    "statement_timeout": [["5s", 5000, "5000ms"], ["1min", "60s", "60000ms"], [0, "0"]],
    "lock_timeout": [["2s", 2000], ["250ms", "0.25s"]],
    "work_mem": [["16MB", "16384kB"], ["4MB", 4096]],
    "random_page_cost": [["1.10", 1.1], [2, "2.0"]],
    "enable_seqscan": [["on", True, "YES"], ["off", False, "0"]],
    "search_path": [["public", ["public"]], [["leads", "public"], "leads, public"], [["MySchema"], '"MySchema"']],
    "default_transaction_isolation": [["read committed", "READ COMMITTED"], ["serializable", "Serializable"]],
}


@pytest.mark.parametrize("seed", range(50))
def test_the_plan_is_what_is_applied_in_every_scope(roles: Services, seed: int) -> None:
    generator = random.Random(seed)  # noqa: S311 - no secret, a repeatable choice

    def some() -> dict[str, Any]:
        values: dict[str, Any] = {
            name: generator.choice(generator.choice(choices))
            for name, choices in SETTINGS.items()
            if generator.random() < 0.5
        }
        if generator.random() < 0.2:
            values["temp_buffers"] = None
        return values

    def scopes() -> dict[str, Any]:
        return {
            "roles": {"leads_app": some(), "leads_migrate": some()},
            "databases": {"leadgen": some()},
            "roles_in_databases": {"leadgen": {"leads_app": some()}},
        }

    run(roles, **scopes())
    wanted = scopes()
    planned = run(roles, check=True, **wanted)
    before = roles.sql("select * from pg_db_role_setting order by 1, 2")
    assert run(roles, **wanted) == planned
    after = roles.sql("select * from pg_db_role_setting order by 1, 2")
    assert (before == after) is not planned["changed"]
    assert run(roles, check=True, **wanted)["diff"] == {"before": {}, "after": {}}
    assert run(roles, **planned["previous"])["changed"] is planned["changed"]
    assert _parsed(roles.sql("select * from pg_db_role_setting order by 1, 2")) == _parsed(before)


def _parsed(rows: list[tuple[Any, ...]]) -> dict[Any, set[str]]:
    return {(database, role): set(entries) for database, role, entries in rows}


ERRORS = [
    ({"roles": {"nobody_here": {"work_mem": "8MB"}}}, r"postgres_role_settings\.nobody_here on .*no role of that name"),
    ({"databases": {"nowhere": {"work_mem": "8MB"}}}, r"postgres_database_settings\.nowhere on .*no database of that name"),
    ({"roles": {"leads_app": {"statement_timeot": "5s"}}}, r"leads_app\.statement_timeot on .*no such parameter"),
    ({"roles": {"leads_app": {"statement_timeout": "soon"}}}, r"leads_app\.statement_timeout on .*not an integer"),
    ({"roles": {"leads_app": {"max_connections": 5}}}, r"of the whole server; move it to postgres_settings"),
    ({"roles": {"leads_app": "5s"}}, r"postgres_role_settings\.leads_app: it takes a dictionary"),
    (
        {"roles": {"leads_migrate": {"statement_timeout": "5s"}}, "exempt_roles": ["leads_migrate"]},
        r"leads_migrate is in postgres_exempt_roles",
    ),
    ({"roles": {"leads_app": {"default_tablespace": "nowhere"}}, "verify": True}, r"verification found unset where nowhere"),
]


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize(("wrong", "message"), ERRORS)
def test_a_wrong_default_is_one_clear_error_and_nothing_is_written(
    roles: Services, wrong: dict[str, Any], message: str, check: bool
) -> None:
    options = {**wrong, "roles": {"leads_app": {"lock_timeout": "9s"}, **wrong.get("roles", {})}}
    if wrong.get("verify"):
        options = wrong
    with pytest.raises(TuningError, match=message):
        run(roles, check=check, **options)
    assert roles.sql("select count(*) from pg_db_role_setting") == [(0,)]


def test_a_role_that_may_not_is_told_so_in_the_plan(roles: Services) -> None:
    passwords = (roles.directory / "pgpass").read_text(encoding="utf-8")
    password = next(line.split(":")[4] for line in passwords.splitlines() if ":leads_app:" in line)
    mine = {**roles.postgres, "user": "leads_app", "password": password}
    with pytest.raises(TuningError, match="may not alter leads_migrate; grant it CREATEROLE"):
        run(roles, check=True, connection=mine, roles={"leads_migrate": {"work_mem": "8MB"}})
    assert run(roles, connection=mine, roles={"leads_app": {"work_mem": "8MB"}})["changed"]


def test_a_timeout_for_the_whole_server_is_refused(untuned: Services) -> None:
    from tests.integration.test_postgres_settings import run as run_settings  # noqa: PLC0415 - for this test alone

    with pytest.raises(TuningError, match=r"postgres_settings\.statement_timeout on .*migrations and backups"):
        run_settings(untuned, {"statement_timeout": "5s"}, check=True)
    assert run_settings(untuned, {"statement_timeout": 0}, check=True)["changed"] is False
