# SPDX-License-Identifier: GPL-3.0-or-later
"""A primary and its standby are restarted in the order that the parameter asks for, one proved in sync before the next."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.leadgen.tuning.plugins.module_utils import _postgres_restart
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError

from tests.integration.conftest import Retune, Services
from tests.integration.standby import Standby, standby  # noqa: F401 - a fixture

STARTED = "select pg_postmaster_start_time()"
Apply = Callable[..., Any]


@pytest.fixture
def apply(
    untuned: Services,
    standby: Standby,
    retune: Retune,
    tmp_path: Path,
) -> Iterator[Apply]:
    """Apply max_connections to both servers, the standby under the names given, each with its restart command."""

    def run(connections: int, verb: str = "apply", **standby_commands: list[str]) -> Any:
        hosts = yaml.safe_load((untuned.inventory / "hosts.yml").read_text(encoding="utf-8"))["all"]["children"]
        primary = hosts["postgres"]["hosts"]["sandbox-postgres"]
        connection = {key: value for key, value in standby.postgres.items() if value is not None}
        copies = {
            name: {"postgres_connection": connection, "postgres_restart_command": command}
            for name, command in (standby_commands or {"the-standby": standby.restart_command}).items()
        }
        group = {"hosts": {"the-primary": primary, **copies}}
        folder = tmp_path / "pair"
        shutil.copytree(untuned.inventory / "group_vars", folder / "group_vars", dirs_exist_ok=True)
        (folder / "hosts.yml").write_text(yaml.safe_dump({"all": {"children": {"postgres": group}}}), encoding="utf-8")
        given = {"postgres_settings": {"max_connections": connections}, "postgres_role_settings": {}}
        values = json.dumps({**given, "postgres_databases": []})
        options = ["--yes"] if verb == "apply" else []
        return retune(verb, *options, "--json", "--allow-restart", "-e", values, inventory=folder)

    yield run
    standby.sql("alter system reset max_connections")


def restarted_in_order(*servers: Services) -> bool:
    times = [server.sql(STARTED)[0][0] for server in servers]
    return times == sorted(times)


def test_a_rise_goes_to_the_standby_first_and_a_fall_to_the_primary(
    untuned: Services,
    standby: Standby,
    apply: Apply,
) -> None:
    for connections, order in ((130, (standby, untuned)), (110, (untuned, standby))):
        before = [server.sql(STARTED) for server in order]
        planned = json.loads(apply(connections, verb="plan").stdout)
        done = apply(connections)
        assert done.returncode == 0, done.stderr
        assert changes(planned) == changes(json.loads(done.stdout))
        assert all(server.sql(STARTED) != started for server, started in zip(order, before, strict=True))
        assert restarted_in_order(*order)
        for server in order:
            assert server.sql("show max_connections") == [(str(connections),)]
        standby.wait_until_streaming()
        assert apply(connections, verb="plan").returncode == 0


def changes(record: dict[str, Any]) -> list[Any]:
    found = ([decision["host"], decision["after"]] for decision in record["decisions"] if decision["changed"])
    return sorted(found, key=json.dumps)


def test_a_standby_that_fails_leaves_those_after_it_as_they_are(
    untuned: Services,
    standby: Standby,
    apply: Apply,
) -> None:
    before = [server.sql(STARTED) for server in (untuned, standby)]
    # Two names for the one standby: the second would restart it well, if the first had not failed.
    done = apply(130, failing=["/bin/false"], standing=standby.restart_command)
    assert done.returncode == 1
    assert "failing" in done.stderr
    assert "/bin/false ended with 1" in done.stderr
    assert [server.sql(STARTED) for server in (untuned, standby)] == before
    assert untuned.sql("select pg_is_in_recovery(), current_setting('max_connections')") == [(False, "100")]


def test_a_standby_that_does_not_follow_again_is_an_error(untuned: Services, standby: Standby) -> None:
    standby.sql("alter system set primary_conninfo = 'host=127.0.0.1 port=1'")
    options = {"connection": standby.postgres, "parameters": ["any"], "command": standby.restart_command}
    with pytest.raises(TuningError, match=r"the server is back, and after 2 s it does not follow its primary again"):
        _postgres_restart.restart({**options, "previous": {}, "timeout": 2, "turn": None, "wanted": {}}, False)
