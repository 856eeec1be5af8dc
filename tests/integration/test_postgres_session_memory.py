# SPDX-License-Identifier: GPL-3.0-or-later
"""A session default that a run wrote and the inventory no longer names is taken out, and nobody else's is."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError

from tests.integration.conftest import Services
from tests.integration.test_postgres_session_defaults import run

WRITTEN: dict[str, Any] = {
    "roles": {"leads_app": {"statement_timeout": "5s", "search_path": ["$user", "Odd name"], "DateStyle": "ISO, DMY"}},
    "databases": {"leadgen": {"work_mem": "8MB"}},
    "roles_in_databases": {"leadgen": {"leads_app": {"random_page_cost": 1.1}}},
}
DEFAULTS = "select * from pg_db_role_setting order by setdatabase, setrole"


def remembering(services: Services, check: bool = False, **options: Any) -> dict[str, Any]:
    return run(services, check, remember=True, **options)


def test_what_was_written_and_is_dropped_is_taken_out(roles: Services) -> None:
    remembering(roles, **WRITTEN)
    assert not remembering(roles, check=True, **WRITTEN)["changed"]
    planned = remembering(roles, check=True)
    assert planned["diff"] == {
        "before": {
            "leads_app: statement_timeout": "5s",
            "leads_app: search_path": '"$user", "Odd name"',
            "leads_app: datestyle": "iso, dmy",
            "leadgen (database): work_mem": "8MB",
            "leads_app in leadgen: random_page_cost": "1.1",
        },
        "after": dict.fromkeys(planned["diff"]["before"], "unset"),
    }
    with pytest.raises(TuningError, match="verification found"):
        remembering(roles, verify=True)
    assert remembering(roles) == planned
    assert roles.sql(DEFAULTS) == []
    assert not remembering(roles, check=True)["changed"]


def test_another_ones_default_is_never_touched(roles: Services) -> None:
    roles.sql("alter role leads_app set work_mem = '8MB'")
    remembering(roles, roles={"leads_app": {"work_mem": "8192kB", "lock_timeout": "2s", "statement_timeout": "5s"}})
    roles.sql("alter role leads_app set lock_timeout = '3s'")
    assert remembering(roles)["diff"]["after"] == {"leads_app: statement_timeout": "unset"}
    assert roles.sql("select rolconfig from pg_roles where rolname = 'leads_app'") == [
        (["work_mem=8MB", "lock_timeout=3s"],)
    ]


def test_only_what_the_selected_controls_own_is_taken_out(roles: Services) -> None:
    controls = {"a.timeouts": ["*_timeout"], "a.other": ["*"]}
    remembering(roles, roles={"leads_app": {"work_mem": "8MB", "lock_timeout": "2s"}}, controls=controls)
    dropped = remembering(roles, controls=controls, only=["a.timeouts"])
    assert dropped["owners"] == {"leads_app: lock_timeout": "a.timeouts"}
    assert set(remembering(roles, controls=controls)["diff"]["after"]) == {"leads_app: work_mem"}


def test_what_is_put_back_is_remembered_as_before(roles: Services) -> None:
    remembering(roles, roles={"leads_app": {"work_mem": "8MB", "lock_timeout": "2s"}})
    before = roles.sql(DEFAULTS)
    done = remembering(roles, roles={"leads_app": {"work_mem": "16MB"}}, databases={"leadgen": {"work_mem": "8MB"}})
    run(roles, **done["previous"])
    assert [set(row[2]) for row in roles.sql(DEFAULTS)] == [set(row[2]) for row in before]


def test_roles_whose_names_differ_only_in_case_are_told_apart(roles: Services) -> None:
    roles.sql('create role "Leads_App"')
    roles.sql('grant "Leads_App" to tuning with admin option')
    try:
        remembering(roles, roles={"leads_app": {"work_mem": "8MB"}, "Leads_App": {"work_mem": "8MB"}})
        dropped = remembering(roles, roles={"leads_app": {"work_mem": "8MB"}})
        assert dropped["diff"]["before"] == {"Leads_App: work_mem": "8MB"}
    finally:
        roles.sql('drop role "Leads_App"')


def test_a_role_that_may_not_remember_is_told_so_in_the_plan(roles: Services) -> None:
    passwords = (roles.directory / "pgpass").read_text(encoding="utf-8")
    password = next(line.split(":")[4] for line in passwords.splitlines() if ":leads_app:" in line)
    mine = {**roles.postgres, "user": "leads_app", "password": password}
    for check in (True, False):
        with pytest.raises(TuningError, match=r"may not remember .*grants it SET on leadgen_tuning\.session"):
            remembering(roles, check, connection=mine, roles={"leads_app": {"work_mem": "8MB"}})
    roles.sql("grant set on parameter leadgen_tuning.session to leads_app")
    try:
        remembering(roles, connection=mine, roles={"leads_app": {"work_mem": "8MB"}})
        assert remembering(roles, connection=mine)["changed"]
        with psycopg.connect(**{k: v for k, v in mine.items() if v is not None}) as connection:
            assert connection.execute("show work_mem").fetchone() == ("4MB",)
    finally:
        roles.sql("revoke set on parameter leadgen_tuning.session from leads_app")
