# SPDX-License-Identifier: GPL-3.0-or-later
"""PgBouncer lets in whom the lookup function gives a password for, and no one else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from ansible_collections.leadgen.tuning.plugins.module_utils import _pgbouncer_auth
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError

from tests.integration.conftest import Services
from tests.integration.pooler import RELEASES, Pool, pooler

AUTH = {"role": "lookup", "password": "of the lookup", "schema": "pooling", "database": "leadgen"}
SETTINGS = "auth_user = lookup\nauth_query = select username, password from pooling.get_auth($1)\n"


def run(services: Services, check_mode: bool = False, **options: Any) -> dict[str, Any]:
    return _pgbouncer_auth.reconcile({"connection": services.superuser, **AUTH, **options}, check_mode)


@pytest.fixture
def server(services: Services) -> Iterator[Services]:
    """The server, with roles of each kind."""
    services.sql("create role person login password 'of the person'")
    services.sql("create role expired login password 'of the expired' valid until '2001-01-01'")
    services.sql("create role boss superuser login password 'of the boss'")
    services.sql("create role group_only password 'of the group'")
    yield services
    services.sql("drop schema if exists pooling cascade")
    for role in ("person", "expired", "boss", "group_only", "lookup"):
        services.sql(f"drop role if exists {role}")


@pytest.fixture(params=RELEASES)
def pool(server: Services, request: pytest.FixtureRequest) -> Iterator[Pool]:
    run(server)
    with pooler(server, request.param, {"lookup": "of the lookup"}, settings=SETTINGS) as running:
        yield running


def log_in(pool: Pool, user: str, password: str) -> str:
    where = {**pool.connection, "user": user, "password": password, "dbname": "leadgen"}
    with psycopg.connect(**where, prepare_threshold=None, autocommit=True) as connection:
        row = connection.execute("select current_user::text").fetchone()
    assert row
    return str(row[0])


def test_a_user_logs_in_by_scram_through_the_function(pool: Pool) -> None:
    assert log_in(pool, "person", "of the person") == "person"
    with pytest.raises(psycopg.OperationalError):
        log_in(pool, "person", "of another")


@pytest.mark.parametrize(
    ("user", "password"),
    [("expired", "of the expired"), ("boss", "of the boss"), ("group_only", "of the group"), ("nobody", "x")],
)
def test_who_has_no_password_to_be_given_is_refused(pool: Pool, user: str, password: str) -> None:
    with pytest.raises(psycopg.OperationalError):
        log_in(pool, user, password)


def test_what_the_plan_lists_is_made_and_then_nothing_is_left(server: Services) -> None:
    planned = run(server, check_mode=True)
    assert server.sql("select 1 from pg_namespace where nspname = 'pooling'") == []
    assert run(server) == planned
    assert len(planned["diff"]["after"]) == 6
    assert run(server, check_mode=True)["changed"] is False


@pytest.mark.parametrize(
    ("drift", "label"),
    [
        ("grant execute on function pooling.get_auth(text) to public", "execution of function pooling.get_auth by everyone"),
        ("revoke execute on function pooling.get_auth(text) from lookup", "execution of function pooling.get_auth"),
        ("alter function pooling.get_auth(text) reset search_path", "function pooling.get_auth"),
        ("alter function pooling.get_auth(text) security invoker", "function pooling.get_auth"),
        ("alter function pooling.get_auth(text) owner to person", "function pooling.get_auth"),
        ("revoke usage on schema pooling from lookup", "usage of schema pooling"),
    ],
)
def test_drift_of_the_function_is_mended(server: Services, drift: str, label: str) -> None:
    run(server)
    server.sql("grant create on schema pooling to person")
    server.sql(drift)
    assert label in run(server)["diff"]["after"]
    assert run(server, check_mode=True)["changed"] is False


def test_no_one_else_may_call_it(server: Services) -> None:
    run(server)
    server.sql("grant usage on schema pooling to person")
    where = {**server.postgres, "user": "person", "password": "of the person", "passfile": None}
    with (
        psycopg.connect(**where, autocommit=True) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied for function get_auth"),
    ):
        connection.execute("select * from pooling.get_auth('boss')")


def test_without_a_superuser_it_is_an_error(server: Services) -> None:
    with pytest.raises(TuningError, match="the role 'tuning' is no superuser"):
        run(server, connection=server.postgres)
    assert server.sql("select 1 from pg_namespace where nspname = 'pooling'") == []


def test_the_password_stays_out_of_the_log(server: Services) -> None:
    server.sql("alter system set log_statement = 'all'")
    server.sql("select pg_reload_conf()")
    try:
        server.wait_for("select current_setting('log_statement') = 'all'")
        run(server)
        log = server.postgres_log.read_text(encoding="utf-8")
    finally:
        server.sql("alter system reset log_statement")
        server.sql("select pg_reload_conf()")
    assert "of the lookup" not in log
