# SPDX-License-Identifier: GPL-3.0-or-later
"""A restart of PgBouncer: drained, proved, and taken back where it fails."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from ansible_collections.leadgen.tuning.plugins.module_utils import _pgbouncer_restart
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError

from tests.integration.conftest import Retune, Services
from tests.integration.test_pgbouncer_config import application, config, run, serves


def restart(services: Services, check_mode: bool = False, **options: Any) -> dict[str, Any]:
    hosts = yaml.safe_load((services.inventory / "hosts.yml").read_text(encoding="utf-8"))["all"]["children"]
    command = hosts["pgbouncer"]["hosts"]["sandbox-pgbouncer"]["pgbouncer_restart_command"]
    given = {"settings": ["any"], "command": command, "drain_timeout": 5, "timeout": 10, **options}
    return _pgbouncer_restart.restart({"connection": services.pgbouncer, **given}, check_mode)


def pid(services: Services) -> str:
    return services.pgbouncer_ini.with_name("pgbouncer.pid").read_text(encoding="utf-8")


@pytest.fixture
def pool(untuned: Services) -> Any:
    """PgBouncer in transaction mode; after the test it runs with stock settings again."""
    text = untuned.pgbouncer_ini.read_text(encoding="utf-8")
    run(untuned, settings={"pool_mode": "transaction"})
    yield untuned
    untuned.pgbouncer_ini.write_text(text, encoding="utf-8")
    restart(untuned)


def test_what_waits_is_in_force_after_a_restart_and_waits_no_more(pool: Services) -> None:
    written = run(pool, settings={"listen_backlog": 256})
    before = pid(pool)
    planned = restart(pool, check_mode=True, settings=written["pending_restart"])
    assert pid(pool) == before
    assert restart(pool, settings=written["pending_restart"]) == planned
    assert pid(pool) != before
    assert config(pool, "listen_backlog") == "256"
    again = run(pool, settings={"listen_backlog": 256})
    assert (again["changed"], again["pending_restart"]) == (False, [])
    assert restart(pool, settings=[])["changed"] is False


def test_the_command_plans_the_restart_that_it_does(pool: Services, retune: Retune) -> None:
    options = (
        "--json",
        "--limit",
        "sandbox-pgbouncer",
        "--allow-restart",
        "-e",
        '{"pgbouncer_settings": {"listen_backlog": 300}}',
    )
    options = (*options, "-e", '{"pgbouncer_limits": {}}')
    planned = json.loads(retune("plan", *options).stdout)
    before = pid(pool)
    done = retune("apply", "--yes", *options)
    assert done.returncode == 0, done.stderr
    found = [
        [[each["before"], each["after"]] for each in record["decisions"]] for record in (planned, json.loads(done.stdout))
    ]
    assert found[0] == found[1]
    assert (pid(pool) != before, config(pool, "listen_backlog")) == (True, "300")
    assert retune("plan", *options).returncode == 0


def test_a_transaction_that_does_not_end_keeps_it_running(pool: Services) -> None:
    before = pid(pool)
    with application(pool) as connection:
        connection.execute("begin")
        with pytest.raises(
            TuningError, match="1 transactions did not end in 1 s, so PgBouncer was not restarted and serves again"
        ):
            restart(pool, drain_timeout=1)
        assert connection.execute("select 1").fetchone() == (1,)
        connection.execute("commit")
    assert (pid(pool), serves(pool)) == (before, True)


def test_a_command_that_fails_leaves_it_serving(pool: Services) -> None:
    before = pid(pool)
    with pytest.raises(TuningError, match=r"/bin/false ended with 1.*the old process serves again"):
        restart(pool, command=["/bin/false"])
    assert (pid(pool), serves(pool)) == (before, True)


def test_one_that_does_not_come_back_is_started_with_its_former_file(pool: Services) -> None:
    taken = pool.postgres["port"]
    run(pool, settings={"listen_port": taken})
    with pytest.raises(TuningError, match="its former file was put back, and PgBouncer runs again"):
        restart(pool, timeout=3)
    assert serves(pool)
    assert f"listen_port = {taken}" not in pool.pgbouncer_ini.read_text(encoding="utf-8")


def test_a_permitted_restart_without_a_command_is_an_error(pool: Services) -> None:
    with pytest.raises(TuningError, match=r"pgbouncer_restart_command on .*: any waits for a restart"):
        restart(pool, command=[])
