# SPDX-License-Identifier: GPL-3.0-or-later
"""What an application on Prisma does to a database, as the database tells it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import psycopg
import pytest

from tests.integration.conftest import Services
from tests.integration.pooler import RELEASES, Pool, pooler
from tests.integration.prisma import TABLES, VERSIONS, ExerciseError, exercise, packages

DATABASE = "prisma_exercise"
ROLE = "prisma_app"
PASSWORD = "sl/sh & pl+s?"
REQUESTS = 30

# The first test on a machine installs the packages.
pytestmark = [pytest.mark.timeout(960), pytest.mark.parametrize("version", VERSIONS)]


@dataclass(frozen=True)
class Application:
    """A database of this module's own, and the role that its application is."""

    services: Services

    @property
    def direct(self) -> str:
        server = self.services.postgres
        return f"postgresql://{ROLE}:{quote(PASSWORD, safe='')}@{server['host']}:{server['port']}/{DATABASE}"

    def through(self, pool: Pool) -> str:
        """The address by way of a pooler."""
        server = self.services.postgres
        return self.direct.replace(f"@{server['host']}:{server['port']}/", f"@{server['host']}:{pool.connection['port']}/")

    def rows(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(**self.services.superuser_to(DATABASE)) as connection:
            return connection.execute(statement, parameters).fetchall()

    def sessions(self) -> int:
        """How many sessions the database has had, once the last of them has ended and is counted."""
        self.services.wait_for(
            "select count(*) = 0 from pg_stat_activity where datname = 'prisma_exercise' and backend_type = 'client backend'"
        )
        [(sessions,)] = self.services.sql("select sessions from pg_stat_database where datname = 'prisma_exercise'")
        return int(sessions)


@pytest.fixture(scope="module")
def application(services: Services) -> Iterator[Application]:
    packages()
    services.sql(f"create role {ROLE} login password '{PASSWORD}'")
    services.sql(f"create database {DATABASE} owner {ROLE}")
    try:
        application = Application(services)
        with psycopg.connect(application.direct, autocommit=True) as connection:
            connection.execute(TABLES)
        yield application
    finally:
        services.sql(f"drop database {DATABASE} with (force)")
        services.sql(f"drop role {ROLE}")


def assert_done(application: Application, counts: dict[str, Any], requests: int = REQUESTS) -> None:
    """The run's rows are those that its requests must leave, and none of a transaction that failed."""
    for name in ("created", "found", "updated", "committed", "rolled_back", "batches", "batches_refused"):
        assert counts[name] == requests, name
    assert counts["raw"] == 2 * requests
    run = counts["run"]
    leads = application.rows("select email, status, score from leads where run = %s order by score", run)
    assert leads == [(f"{number}.{run}@example.com", "quoted", number + 11_100) for number in range(requests)]
    events = application.rows(
        "select kind, count(*), count(distinct lead_id) from events join leads on leads.id = lead_id"
        " where run = %s group by kind order by kind",
        run,
    )
    assert events == [("batch", requests, requests), ("interactive", requests, requests)]


@pytest.fixture(params=RELEASES)
def pool(application: Application, request: pytest.FixtureRequest) -> Iterator[Pool]:
    with pooler(application.services, request.param, {ROLE: PASSWORD}, size=3) as running:
        yield running


def test_concurrent_requests_through_pgbouncer_in_transaction_mode(
    application: Application, pool: Pool, version: int
) -> None:
    """More connections than the server is given, and statements without names, as the adapter has them by default."""
    counts = exercise(
        version,
        application.through(pool),
        EXERCISE_REQUESTS=str(REQUESTS),
        DATABASE_POOL_MAX="10",
        DATABASE_NAMED_STATEMENTS="no",
    )

    assert_done(application, counts)
    (found,) = [row for row in pool.console("show pools") if row["database"] == DATABASE]
    assert 0 < sum(found[name] for name in ("sv_active", "sv_idle", "sv_used", "sv_tested", "sv_login")) <= 3


def test_named_statements_through_pgbouncer_from_1_21_on(application: Application, pool: Pool, version: int) -> None:
    named = {"EXERCISE_REQUESTS": str(REQUESTS), "DATABASE_POOL_MAX": "10"}
    if pool.release == "1.18":
        with pytest.raises(ExerciseError, match=r"prepared statement|42P05|26000"):
            exercise(version, application.through(pool), **named)
        return

    counts = exercise(version, application.through(pool), **named)

    assert_done(application, counts)
    assert counts["statements"]["named"] > 5
    parsed = next(row for row in pool.console("show stats") if row["database"] == DATABASE)
    assert parsed["total_server_parse_count"] < parsed["total_client_parse_count"], "PgBouncer prepared each once for all"


def test_concurrent_requests_with_named_statements(application: Application, version: int) -> None:
    counts = exercise(version, application.direct, EXERCISE_REQUESTS=str(REQUESTS), DATABASE_POOL_MAX="4")

    assert counts["prisma"].startswith(f"{version}.")
    assert_done(application, counts)
    assert counts["statements"]["named"] > 5
    assert counts["statements"]["held"] > 5
    assert counts["statements"]["reused"] > 5


def test_the_adapter_names_no_statement_unless_asked(application: Application, version: int) -> None:
    counts = exercise(version, application.direct, EXERCISE_REQUESTS="5", DATABASE_NAMED_STATEMENTS="no")

    assert_done(application, counts, 5)
    assert counts["statements"] == {"named": 0, "held": 0, "reused": 0}


def test_options_for_prismas_own_engine_change_nothing(application: Application, version: int) -> None:
    """``pgbouncer=true`` still leaves named statements, and ``connection_limit`` does not limit the adapter's pool."""
    before = application.sessions()

    counts = exercise(
        version,
        f"{application.direct}?pgbouncer=true&connection_limit=1",
        EXERCISE_REQUESTS=str(REQUESTS),
        DATABASE_POOL_MAX="4",
    )

    assert application.sessions() - before == 4
    assert_done(application, counts)
    assert counts["statements"]["reused"] > 5


def test_the_pool_opens_no_more_connections_than_it_may(application: Application, version: int) -> None:
    before = application.sessions()

    counts = exercise(version, application.direct, EXERCISE_REQUESTS=str(REQUESTS), DATABASE_POOL_MAX="2")

    assert application.sessions() - before == 2
    assert_done(application, counts)


def test_a_refused_password_is_an_error_that_does_not_show_it(application: Application, version: int) -> None:
    wrong = quote("wr/ng secret", safe="")

    with pytest.raises(ExerciseError) as error:
        exercise(version, application.direct.replace(quote(PASSWORD, safe=""), wrong), EXERCISE_REQUESTS="1")

    assert ROLE in str(error.value)
    assert not any(secret in str(error.value) for secret in ("wr/ng secret", wrong, application.direct))


def test_a_request_that_fails_fails_the_run(application: Application, version: int) -> None:
    with psycopg.connect(**application.services.superuser_to(DATABASE), autocommit=True) as connection:
        connection.execute("alter table events rename to elsewhere")
        try:
            with pytest.raises(ExerciseError, match="events"):
                exercise(version, application.direct, EXERCISE_REQUESTS="3")
        finally:
            connection.execute("alter table elsewhere rename to events")
