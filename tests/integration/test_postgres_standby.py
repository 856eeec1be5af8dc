# SPDX-License-Identifier: GPL-3.0-or-later
"""A streaming replica: its parameters are its own and are written; all else is its primary's, and only reported."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_databases import reconcile as databases
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_memory import SYSTEM
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_session_defaults import reconcile as session_defaults
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_settings import reconcile

from retune.sandbox import files, processes
from retune.sandbox.postgres import Postgres
from tests.integration.conftest import Services


@dataclass(frozen=True)
class Standby:
    connection: dict[str, Any]
    data: Path

    @property
    def entries(self) -> str:
        return (self.data / "postgresql.auto.conf").read_text(encoding="utf-8")

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(**self.connection, autocommit=True) as connection:
            return connection.execute(statement).fetchall()  # type: ignore[call-overload, no-any-return]


@pytest.fixture
def standby(untuned: Services) -> Iterator[Standby]:
    """A replica of the session's server, on a port of its own, that has caught up."""
    account = processes.service_account()
    primary = {name: value for name, value in untuned.superuser.items() if value is not None and name != "dbname"}
    with tempfile.TemporaryDirectory(prefix="retune-standby-") as name:
        folder, port = Path(name) / "postgres", processes.free_ports(1)[0]
        folder.parent.chmod(0o711)
        files.make_folder(folder, account)
        passfile, data = folder / "pgpass", folder / "data"
        files.write(passfile, Path(primary.pop("passfile")).read_text(encoding="utf-8"), owner=account)

        def command(program: str, *arguments: str) -> None:
            done = processes.run(account, [Postgres.program(program) or program, *arguments], folder)
            assert done.returncode == 0, done.stderr

        primary.pop("connect_timeout")
        source = " ".join(f"{key}={value}" for key, value in {**primary, "passfile": passfile}.items())
        command("pg_basebackup", "-D", str(data), "-d", source, "-R", "-X", "stream", "-c", "fast", "--no-sync")
        main = data / "postgresql.conf"
        files.write(main, f"{main.read_text(encoding='utf-8')}\nport = {port}\n", owner=account)
        secret = next(line for line in passfile.read_text(encoding="utf-8").splitlines() if ":tuning:" in line)
        given = {**primary, "port": port, "user": "tuning", "password": secret.rsplit(":", 1)[1], "dbname": "leadgen"}
        try:
            command("pg_ctl", "start", "-w", "-D", str(data), "-l", str(folder / "log"))
            yield Standby(given, data)
        finally:
            command("pg_ctl", "stop", "-w", "-m", "immediate", "-D", str(data))


def run(standby: Standby, settings: dict[str, Any], check: bool = False) -> dict[str, Any]:
    options = {"settings": settings, "controls": {}, "only": None, "verify": None, "remember": True}
    return reconcile({**options, "connection": standby.connection}, check)


def test_a_standby_has_parameters_and_a_memory_of_its_own(untuned: Services, standby: Standby) -> None:
    theirs = untuned.auto_conf.read_bytes()
    planned = run(standby, {"work_mem": "8MB"}, check=True)
    assert planned["diff"] == {"before": {"work_mem": "4MB"}, "after": {"work_mem": "8MB"}}
    assert run(standby, {"work_mem": "8MB"}) == planned
    assert standby.sql("show work_mem") == [("8MB",)]
    assert SYSTEM in standby.entries
    assert run(standby, {"work_mem": "8192kB"})["changed"] is False
    assert run(standby, {})["diff"] == {"before": {"work_mem": "8MB"}, "after": {"work_mem": "4MB"}}
    assert standby.sql("show work_mem") == [("4MB",)]
    assert SYSTEM not in standby.entries
    assert "primary_conninfo" in standby.entries  # what pg_basebackup wrote there stays
    assert standby.sql("select pg_is_in_recovery()") == [(True,)]
    assert untuned.auto_conf.read_bytes() == theirs


def test_what_is_the_primarys_is_reported_and_not_written(untuned: Services, standby: Standby) -> None:
    common = {"connection": standby.connection, "controls": {}, "only": None, "remember": True, "verify": False}
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
