# SPDX-License-Identifier: GPL-3.0-or-later
"""A streaming replica: its parameters are its own and are written; all else is its primary's, and only reported."""

from __future__ import annotations

from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_databases import reconcile as databases
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_memory import SYSTEM
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_session_defaults import reconcile as session_defaults
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_settings import reconcile

from tests.integration.conftest import Services
from tests.integration.standby import Standby, standby  # noqa: F401 - a fixture


def entries(standby: Standby) -> str:
    return standby.auto_conf.read_text(encoding="utf-8")


def run(standby: Standby, settings: dict[str, Any], check: bool = False) -> dict[str, Any]:
    options = {"settings": settings, "controls": {}, "only": None, "verify": None, "remember": True}
    return reconcile({**options, "connection": standby.postgres}, check)


def test_a_standby_has_parameters_and_a_memory_of_its_own(untuned: Services, standby: Standby) -> None:
    theirs = untuned.auto_conf.read_bytes()
    planned = run(standby, {"work_mem": "8MB"}, check=True)
    assert planned["diff"] == {"before": {"work_mem": "4MB"}, "after": {"work_mem": "8MB"}}
    assert run(standby, {"work_mem": "8MB"}) == planned
    assert standby.sql("show work_mem") == [("8MB",)]
    assert SYSTEM in entries(standby)
    assert run(standby, {"work_mem": "8192kB"})["changed"] is False
    assert run(standby, {})["diff"] == {"before": {"work_mem": "8MB"}, "after": {"work_mem": "4MB"}}
    assert standby.sql("show work_mem") == [("4MB",)]
    assert SYSTEM not in entries(standby)
    assert "primary_conninfo" in entries(standby)  # what pg_basebackup wrote there stays
    assert standby.sql("select pg_is_in_recovery()") == [(True,)]
    assert untuned.auto_conf.read_bytes() == theirs


def test_what_is_the_primarys_is_reported_and_not_written(untuned: Services, standby: Standby) -> None:
    common = {"connection": standby.postgres, "controls": {}, "only": None, "remember": True, "verify": False}
    defaults = {"roles": {"leads_app": {"lock_timeout": "2s"}}, "databases": {}, "roles_in_databases": {}}
    objects = {
        "databases": ["leadgen"],
        "extensions": ["pg_stat_statements"],
        "table_settings": {"leadgen": {"public.events": {"autovacuum_vacuum_scale_factor": 0.01}}},
        "table_rules": [],
        "indexes": {},
        "table_memory": {},
        "deferred": [],
    }
    for check in (True, False):
        told = session_defaults({**common, **defaults, "exempt_roles": []}, check)
        assert (told["changed"], told["diff"]) == (False, {"before": {}, "after": {}})
        assert (
            "is a standby, whose session defaults come from its primary; these differ: leads_app: lock"
            in told["warnings"][0]
        )
        told = databases({**common, **objects}, check)
        assert (told["changed"], told["diff"]) == (False, {"before": {}, "after": {}})
        assert "is a standby, whose databases are its primary's; these differ: leadgen.public.events" in told["warnings"][0]
    assert untuned.sql("select * from pg_db_role_setting") == []
    assert untuned.sql("select reloptions from pg_class where relname = 'events'") == [(None,)]
