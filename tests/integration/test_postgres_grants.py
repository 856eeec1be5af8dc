# SPDX-License-Identifier: GPL-3.0-or-later
"""Grants against a real server: just what the inventory needs, once, and enough to tune with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_grants import reconcile

from tests.integration.conftest import Services
from tests.integration.test_postgres_session_defaults import run as run_defaults
from tests.integration.test_postgres_settings import run as run_settings
from tests.integration.test_postgres_tables import run as run_databases

WANTED: dict[str, Any] = {
    "role": "newcomer",
    "password": "newcomers-secret",
    "databases": ["leadgen"],
    "settings": {"work_mem": "8MB"},
    "role_settings": {"leads_app": {"lock_timeout": "2s", "log_min_duration_statement": "1s"}},
    "database_settings": {"leadgen": {"work_mem": "8MB"}},
    "role_in_database_settings": {},
}


def run(services: Services, check: bool = False, **options: Any) -> dict[str, Any]:
    return reconcile({"connection": services.superuser, **WANTED, **options}, check)


@pytest.fixture
def clean(services: Services) -> Iterator[Services]:
    yield services
    services.sql("alter system reset all")
    services.sql("select pg_reload_conf()")
    services.sql("alter role leads_app reset all; alter database leadgen reset all; alter table events reset (fillfactor)")
    if services.sql("select 1 from pg_roles where rolname = 'newcomer'"):
        services.sql("drop owned by newcomer; drop role newcomer")


def test_what_is_missing_is_listed_then_granted_once(clean: Services) -> None:
    planned = run(clean, check=True)
    assert clean.sql("select 1 from pg_roles where rolname = 'newcomer'") == []
    assert list(planned["diff"]["after"]) == [
        "role",
        "CREATEROLE",
        *(["ADMIN on leads_app"] if clean.sql("show server_version_num") >= [("160000",)] else []),
        "pg_monitor",
        "pg_read_all_settings",
        "EXECUTE on pg_reload_conf()",
        "EXECUTE on pg_show_all_file_settings()",
        "SELECT on pg_file_settings",
        "ALTER SYSTEM on work_mem",
        "ALTER SYSTEM on leadgen_tuning.owned",
        "SET on log_min_duration_statement",
        "SET on leadgen_tuning.session",
        "SET on leadgen_tuning.tables",
        "membership in leads_app",
    ]
    assert "newcomers-secret" not in str(planned)
    assert run(clean) == planned
    assert not run(clean, check=True)["changed"]
    assert list(run(clean, settings={"work_mem": 1, "random_page_cost": 1})["diff"]["after"]) == [
        "ALTER SYSTEM on random_page_cost"
    ]


def test_with_them_everything_named_can_be_tuned_and_nothing_else(clean: Services) -> None:
    run(clean)
    mine = {**clean.postgres, "user": "newcomer", "password": "newcomers-secret", "passfile": None}
    assert run_settings(clean, WANTED["settings"], connection=mine, remember=True)["changed"]
    scopes = {"roles": WANTED["role_settings"], "databases": WANTED["database_settings"]}
    assert run_defaults(clean, connection=mine, remember=True, **scopes)["changed"]
    tables = {"leadgen": {"public.events": {"fillfactor": 90}}}
    assert run_databases(clean, connection=mine, databases=["leadgen"], table_settings=tables, remember=True)["changed"]
    for setting in ("shared_buffers", "archive_command"):
        with pytest.raises(
            TuningError, match=f"may not set it; as a superuser run GRANT ALTER SYSTEM ON PARAMETER {setting}"
        ):
            run_settings(clean, {setting: "128kB"}, connection=mine, check=True)
    login = {**clean.superuser_to("leadgen"), "user": "newcomer", "password": "newcomers-secret"}
    with psycopg.connect(**login) as session, pytest.raises(psycopg.errors.InsufficientPrivilege):
        session.execute("select * from pg_authid")


def test_a_superusers_table_is_an_error_and_nothing_is_granted(clean: Services) -> None:
    clean.sql("create table mine (id int)")
    try:
        with pytest.raises(TuningError, match=r"public\.mine in leadgen belongs to postgres, a superuser.*OWNER TO"):
            run(clean)
        assert clean.sql("select 1 from pg_roles where rolname = 'newcomer'") == []
    finally:
        clean.sql("drop table mine")


def test_only_a_superuser_can_grant(clean: Services) -> None:
    with pytest.raises(TuningError, match=r"postgres_superuser_connection\.user on .*'tuning' is no superuser"):
        run(clean, check=True, connection=clean.postgres)


def test_a_grant_that_is_refused_grants_nothing(clean: Services) -> None:
    with pytest.raises(TuningError, match=r"cannot grant newcomer ALTER SYSTEM on no such thing: .*nothing was granted"):
        run(clean, settings={"no such thing": 1})
    assert clean.sql("select 1 from pg_roles where rolname = 'newcomer'") == []
