# SPDX-License-Identifier: GPL-3.0-or-later
"""postgres_settings against a real server; the tests of known defects of stock modules bear their names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_settings import reconcile

from tests.integration.conftest import Services


def run(services: Services, settings: dict[str, Any], check: bool = False, **options: Any) -> dict[str, Any]:
    given = {
        "connection": services.postgres,
        "settings": settings,
        "controls": {},
        "only": None,
        "verify": None,
        "remember": False,
    }
    return reconcile({**given, **options}, check)


def plan(services: Services, settings: dict[str, Any]) -> dict[str, Any]:
    return run(services, settings, check=True)


def traces(services: Services) -> tuple[Any, ...]:
    """Everything that a write or a reload would leave behind."""
    stat = services.auto_conf.stat()
    loaded = services.sql("select pg_conf_load_time()")
    signals = services.postgres_log.read_text(encoding="utf-8").count("received SIGHUP")
    return stat.st_mtime_ns, stat.st_ino, services.auto_conf.read_bytes(), loaded, signals


IN_SYNC = {"autovacuum_naptime": "1min", "checkpoint_timeout": "5min", "work_mem": "4MB", "max_wal_size": "2GB"}
SPELLINGS = [
    ("autovacuum_naptime", 60),
    ("autovacuum_naptime", "60s"),
    ("autovacuum_naptime", "60000ms"),
    ("autovacuum_naptime", " 1 min "),
    ("autovacuum_vacuum_cost_delay", "0.002s"),
    ("checkpoint_timeout", "300000ms"),
    ("deadlock_timeout", "1s"),
    ("hot_standby", "TRUE"),
    ("autovacuum", True),
    ("autovacuum", "t"),
    ("autovacuum", 1),
    ("log_connections", "no"),
    ("max_wal_size", "1024MB"),
    ("max_wal_size", "1048576kB"),
    ("random_page_cost", "4.00"),
    ("seq_page_cost", "1e0"),
    ("autovacuum_vacuum_scale_factor", "0.20"),
    ("shared_buffers", "131072kB"),
    ("shared_buffers", 16384),
    ("synchronous_commit", True),
    ("synchronous_commit", "ON"),
    ("wal_level", "REPLICA"),
    ("log_destination", ["stderr"]),
    ("log_destination", {"ensure": ["STDERR".lower()]}),
    ("shared_preload_libraries", []),
    ("shared_preload_libraries", ""),
    ("log_timezone", None),
]


@pytest.mark.parametrize(("name", "value"), SPELLINGS)
def test_an_equal_value_in_another_spelling_writes_nothing_at_all(untuned: Services, name: str, value: Any) -> None:
    before = traces(untuned)
    assert plan(untuned, {name: value})["changed"] is False
    assert run(untuned, {name: value})["changed"] is False
    assert traces(untuned) == before


def test_a_fraction_of_a_second_is_a_value(untuned: Services) -> None:
    assert run(untuned, {"deadlock_timeout": "0.25s"})["diff"]["after"] == {"deadlock_timeout": "250ms"}
    assert untuned.sql("show deadlock_timeout") == [("250ms",)]


def test_a_value_that_awaits_a_restart_is_changed_once(untuned: Services) -> None:
    wanted = {"max_connections": 120}
    first = run(untuned, wanted)
    assert first["changed"]
    assert first["restart_required"]
    before = traces(untuned)
    again = run(untuned, wanted)
    assert (again["changed"], again["pending_restart"]) == (False, ["max_connections"])
    assert traces(untuned) == before
    untuned.restart_postgres()
    assert run(untuned, wanted)["pending_restart"] == []
    assert untuned.sql("show max_connections") == [("120",)]


def test_set_back_to_the_running_value_takes_the_other_one_out_of_the_file(untuned: Services) -> None:
    run(untuned, {"max_connections": 120})
    result = run(untuned, {"max_connections": 100})
    assert result["diff"] == {"before": {"max_connections": "120"}, "after": {"max_connections": "100"}}
    assert result["pending_restart"] == []
    untuned.restart_postgres()
    assert untuned.sql("show max_connections") == [("100",)]


def test_plan_and_run_agree_and_show_a_diff_for_every_setting(untuned: Services) -> None:
    wanted = {"autovacuum_naptime": "30000ms", "max_connections": 150, "work_mem": "8192kB", "random_page_cost": "1.10"}
    planned, applied = plan(untuned, wanted), run(untuned, wanted)
    assert planned == applied
    assert set(planned["diff"]["after"]) == set(wanted)
    assert planned["needs"] == {
        "autovacuum_naptime": "reload",
        "max_connections": "restart",
        "work_mem": "reload",
        "random_page_cost": "reload",
    }


def test_a_plan_on_a_fresh_host_knows_the_parameters_of_a_library_that_is_not_loaded(untuned: Services) -> None:
    wanted = {
        "shared_preload_libraries": {"ensure": ["pg_stat_statements"]},
        "pg_stat_statements.max": 7000,
        "pg_stat_statements.track": "ALL",
    }
    planned, applied = plan(untuned, wanted), run(untuned, wanted)
    assert planned == applied
    assert applied["pending_restart"] == sorted(wanted)
    assert plan(untuned, wanted)["changed"] is False
    untuned.restart_postgres()
    assert plan(untuned, wanted)["pending_restart"] == []
    assert untuned.sql("show pg_stat_statements.max") == [("7000",)]


def test_the_preload_list_is_merged_and_keeps_what_others_put_there(untuned: Services) -> None:
    untuned.sql("alter system set shared_preload_libraries = 'auto_explain'")
    result = run(untuned, {"shared_preload_libraries": {"ensure": ["pg_stat_statements"]}})
    assert result["diff"]["after"] == {"shared_preload_libraries": "auto_explain, pg_stat_statements"}
    run(untuned, {"shared_preload_libraries": {"absent": ["auto_explain", "pg_stat_statements"]}})
    assert b'""' not in untuned.auto_conf.read_bytes()
    untuned.restart_postgres()
    assert untuned.sql("show shared_preload_libraries") == [("",)]


def test_a_value_written_and_never_loaded_is_loaded_by_the_next_run(untuned: Services) -> None:
    untuned.sql("alter system set autovacuum_naptime = '20s'")
    written = untuned.auto_conf.stat().st_mtime_ns
    result = run(untuned, {"autovacuum_naptime": "20s"})
    assert result["diff"] == {"before": {"autovacuum_naptime": "1min"}, "after": {"autovacuum_naptime": "20s"}}
    assert untuned.auto_conf.stat().st_mtime_ns == written
    assert untuned.sql("show autovacuum_naptime") == [("20s",)]


def test_one_run_reloads_once(untuned: Services) -> None:
    before = traces(untuned)[-1]
    run(untuned, {"autovacuum_naptime": "20s", "work_mem": "8MB", "random_page_cost": 1.1})
    assert traces(untuned)[-1] == before + 1


def test_a_plan_does_not_wait_behind_a_lock(untuned: Services) -> None:
    with psycopg.connect(**untuned.superuser_to("leadgen")) as holder:
        holder.execute("lock table pg_catalog.pg_db_role_setting in share row exclusive mode")
        assert plan(untuned, {"autovacuum_naptime": "20s"})["changed"]


def test_null_takes_out_what_alter_system_wrote(untuned: Services) -> None:
    run(untuned, {"work_mem": "8MB"})
    result = run(untuned, {"work_mem": None})
    assert result["diff"] == {"before": {"work_mem": "8MB"}, "after": {"work_mem": "4MB"}}
    assert b"work_mem" not in untuned.auto_conf.read_bytes()


def test_verify_fails_on_a_difference_and_changes_nothing(untuned: Services) -> None:
    before = traces(untuned)
    with pytest.raises(TuningError, match=r"postgres_settings\.work_mem .*verification found 4MB where 8MB is wanted"):
        run(untuned, {"work_mem": "8MB"}, verify="configured")
    assert traces(untuned) == before


ERRORS = [
    ({"autovacuum_nap_time": "30s"}, r"postgres_settings\.autovacuum_nap_time on .*no such parameter.*spelling"),
    ({"autovacuum_naptime": "0s"}, r"postgres_settings\.autovacuum_naptime on .*outside its range, 1s to"),
    ({"autovacuum_naptime": "often"}, r"postgres_settings\.autovacuum_naptime on .*'often' is not an integer"),
    ({"autovacuum_naptime": "30mb"}, r"'mb' is not a unit it takes"),
    ({"max_connections": "100s"}, r"postgres_settings\.max_connections on .*takes no unit"),
    ({"max_connections": True}, r"postgres_settings\.max_connections on .*true is not an integer"),
    ({"max_connections": [1, 2]}, r"takes a single value"),
    ({"autovacuum": "perhaps"}, r"'perhaps' is not a boolean"),
    ({"wal_level": "full"}, r"'full' is not one of minimal, replica, logical"),
    ({"server_version": "16"}, r"postgres_settings\.server_version on .*cannot be set"),
    ({"pg_stat_statements.max": 5000}, r"no library named pg_stat_statements is loaded.*shared_preload_libraries"),
    ({"shared_preload_libraries": {"append": ["auto_explain"]}}, r"'ensure' and 'absent'"),
    ({"transaction_read_only": "on"}, r"postgres_settings\.transaction_read_only on .*cannot be changed; nothing was"),
    ({"WORK_MEM": "8MB"}, r"the settings name work_mem and WORK_MEM, which are one parameter"),
    ({"log_timezone": "Nowhere/Land"}, r"postgres_settings\.log_timezone on .*the server refused it.*nothing was changed"),
]


@pytest.mark.parametrize(("wrong", "message"), ERRORS)
def test_a_wrong_setting_is_one_clear_error_and_nothing_is_written(
    untuned: Services, wrong: dict[str, Any], message: str
) -> None:
    entries = untuned.auto_conf.read_bytes()
    loaded = untuned.sql("select pg_conf_load_time()")
    with pytest.raises(TuningError, match=message) as caught:
        run(untuned, {"work_mem": "9MB", **wrong, "random_page_cost": 1.5})
    assert "\n" not in str(caught.value)
    assert untuned.auto_conf.read_bytes() == entries
    assert untuned.sql("select pg_conf_load_time()") == loaded


def test_a_library_that_is_not_installed_is_found_by_a_superuser(untuned: Services) -> None:
    wanted = {"shared_preload_libraries": {"ensure": ["no_such_library"]}}
    with pytest.raises(TuningError, match="no_such_library is not installed"):
        run(untuned, wanted, check=True, connection=untuned.superuser)


def test_a_role_without_the_privilege_is_told_which_grant_it_needs(untuned: Services, tmp_path: Path) -> None:
    untuned.sql("create role onlooker login password 'onlooker'")
    try:
        mine = {**untuned.postgres, "user": "onlooker", "password": "onlooker", "passfile": None}
        with pytest.raises(TuningError, match="may not read pg_file_settings; grant it"):
            run(untuned, {"work_mem": "8MB"}, connection=mine)
        untuned.sql("grant select on pg_file_settings to onlooker", "postgres")
        untuned.sql("grant select on pg_file_settings to onlooker")
        untuned.sql("grant execute on function pg_show_all_file_settings() to onlooker")
        with pytest.raises(TuningError, match=r"may not reload the server; grant it EXECUTE on pg_reload_conf"):
            run(untuned, {"work_mem": "8MB"}, connection=mine)
        untuned.sql("grant execute on function pg_reload_conf() to onlooker")
        with pytest.raises(TuningError, match="GRANT ALTER SYSTEM ON PARAMETER work_mem"):
            run(untuned, {"work_mem": "8MB"}, check=True, connection=mine)
        untuned.sql("grant alter system on parameter work_mem to onlooker")
        assert run(untuned, {"work_mem": "8MB"}, connection=mine)["changed"]
    finally:
        untuned.sql("drop owned by onlooker", "postgres")
        untuned.sql("drop owned by onlooker")
        untuned.sql("drop role onlooker")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"port": 1}, r"postgres_connection: cannot connect to PostgreSQL at 127\.0\.0\.1:1,.*check that the server runs"),
        ({"password": "wrong-secret", "passfile": None}, r"postgres_connection: .*password authentication failed"),
        ({"dbname": "nowhere"}, r'database nowhere, .*"nowhere" does not exist'),
    ],
)
def test_a_server_that_cannot_be_reached_is_one_clear_error(
    services: Services, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(TuningError, match=message) as caught:
        run(services, {"work_mem": "8MB"}, connection={**services.postgres, **change})
    assert "wrong-secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_broken_configuration_file_is_named_before_anything_is_written(untuned: Services) -> None:
    main = untuned.auto_conf.with_name("postgresql.conf")
    whole = main.read_bytes()
    try:
        main.write_bytes(whole + b"\nno_such_thing = 1\n")
        entries = untuned.auto_conf.read_bytes()
        with pytest.raises(TuningError, match=r"cannot load its configuration: .*postgresql\.conf line \d+: .*mend that"):
            run(untuned, {"work_mem": "8MB"})
        assert untuned.auto_conf.read_bytes() == entries
    finally:
        main.write_bytes(whole)


def test_a_parameter_taken_out_of_the_files_that_waits_for_a_restart_stops_nobody(untuned: Services) -> None:
    run(untuned, {"max_connections": 120})
    untuned.restart_postgres()
    untuned.sql("alter system reset max_connections")
    untuned.sql("select pg_reload_conf()")
    assert run(untuned, {"work_mem": "8MB"})["changed"]
    assert plan(untuned, {"max_connections": 100})["pending_restart"] == ["max_connections"]


def test_archiving_is_switched_on_with_its_command(untuned: Services) -> None:
    wanted = {"archive_mode": True, "archive_command": "/bin/true"}
    assert run(untuned, wanted)["pending_restart"] == ["archive_mode"]
    assert plan(untuned, wanted)["changed"] is False
    untuned.restart_postgres()
    assert (plan(untuned, wanted)["changed"], plan(untuned, wanted)["pending_restart"]) == (False, [])
