# SPDX-License-Identifier: GPL-3.0-or-later
"""Extensions against a real server. pg_stat_statements is not trusted, so it takes a superuser to create it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError

from tests.integration.conftest import Services
from tests.integration.test_postgres_tables import run

WANTED: dict[str, Any] = {"databases": ["leadgen"], "extensions": ["pg_stat_statements"]}


@pytest.fixture
def bare(services: Services) -> Iterator[Services]:
    """The servers without the extension, which the test's end puts back."""
    services.sql("drop extension pg_stat_statements")
    yield services
    services.sql("drop extension if exists pg_stat_statements; create extension pg_stat_statements")


def as_superuser(services: Services, check: bool = False, **options: Any) -> dict[str, Any]:
    return run(services, check, connection=services.superuser, **{**WANTED, **options})


def newest(services: Services) -> str:
    [(version,)] = services.sql("select default_version from pg_available_extensions where name = 'pg_stat_statements'")
    return str(version)


def installed(services: Services) -> list[tuple[Any, ...]]:
    return services.sql("select extversion from pg_extension where extname = 'pg_stat_statements'")


def test_a_missing_one_is_created_as_planned(bare: Services) -> None:
    planned = as_superuser(bare, check=True)
    assert planned["diff"] == {
        "before": {"leadgen.pg_stat_statements": "absent"},
        "after": {"leadgen.pg_stat_statements": newest(bare)},
    }
    assert installed(bare) == []
    assert as_superuser(bare) == planned
    assert installed(bare) == [(newest(bare),)]
    assert not as_superuser(bare, check=True)["changed"]


def test_one_behind_the_files_is_updated(bare: Services) -> None:
    bare.sql("create extension pg_stat_statements version '1.8'")
    planned = as_superuser(bare, check=True)
    assert planned["diff"] == {
        "before": {"leadgen.pg_stat_statements": "1.8"},
        "after": {"leadgen.pg_stat_statements": newest(bare)},
    }
    assert installed(bare) == [("1.8",)]
    with pytest.raises(TuningError, match=r"pg_stat_statements on .*verification found 1\.8 where .* is wanted"):
        as_superuser(bare, verify=True)
    assert as_superuser(bare) == planned
    assert installed(bare) == [(newest(bare),)]
    assert not as_superuser(bare, check=True)["changed"]


def test_one_newer_than_the_files_is_left(bare: Services) -> None:
    bare.sql("create extension pg_stat_statements")
    bare.sql("update pg_extension set extversion = '99.0' where extname = 'pg_stat_statements'")
    assert not as_superuser(bare)["changed"]
    assert installed(bare) == [("99.0",)]


def test_a_plan_does_not_wait_behind_a_lock(bare: Services) -> None:
    with psycopg.connect(**bare.superuser_to("leadgen")) as holder:
        holder.execute("lock table pg_catalog.pg_extension in share row exclusive mode")
        assert as_superuser(bare, check=True)["diff"]["before"] == {"leadgen.pg_stat_statements": "absent"}


@pytest.mark.parametrize("check", [True, False])
def test_a_role_that_may_not_is_told_so_in_the_plan(bare: Services, check: bool) -> None:
    with pytest.raises(TuningError, match=r"may not create pg_stat_statements in leadgen; have a superuser create it once"):
        run(bare, check, **WANTED)
    bare.sql("create extension pg_stat_statements version '1.8'")
    with pytest.raises(TuningError, match="may not update pg_stat_statements in leadgen"):
        run(bare, check, **WANTED)
    assert installed(bare) == [("1.8",)]


def test_one_that_is_trusted_needs_no_superuser(bare: Services) -> None:
    assert run(bare, databases=["leadgen"], extensions=["pg_trgm"])["changed"]
    assert not run(bare, check=True, databases=["leadgen"], extensions=["pg_trgm"])["changed"]
    bare.sql("drop extension pg_trgm")


def test_files_that_are_not_there_are_named(services: Services) -> None:
    with pytest.raises(TuningError, match=r"the files of no_such_extension are not on the server; install its package"):
        as_superuser(services, check=True, extensions=["no_such_extension"])
