# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run wrote and the inventory no longer names is taken back, and nobody else's value is."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_restart import _rewrite

from tests.integration.conftest import Services
from tests.integration.test_postgres_settings import run

OWN = "leadgen_tuning.owned"
# Of each type, and lists of both sorts, empty too.
WRITTEN = {
    "autovacuum_naptime": "30000ms",
    "autovacuum": "off",
    "random_page_cost": 1.1,
    "synchronous_commit": "LOCAL",
    "log_line_prefix": "%m 'a' \\ ",
    "log_destination": ["stderr", "csvlog"],
    "search_path": ["$user", "public", "Odd name", "user"],
    "DateStyle": "ISO, DMY",
    "max_connections": 120,
    "shared_preload_libraries": ["auto_explain"],
}


def remembering(services: Services, settings: dict[str, Any], check: bool = False, **options: Any) -> dict[str, Any]:
    return run(services, settings, check, remember=True, **options)


def entries(services: Services) -> dict[str, str]:
    rows = services.sql("select name, setting from pg_file_settings where sourcefile like '%postgresql.auto.conf'")
    return {name: text for name, text in rows if name != OWN}


def test_what_was_written_and_is_dropped_is_reset(untuned: Services) -> None:
    remembering(untuned, WRITTEN)
    assert set(entries(untuned)) == set(WRITTEN)
    assert not remembering(untuned, WRITTEN, check=True)["changed"]
    planned = remembering(untuned, {}, check=True)
    assert set(planned["diff"]["after"]) == set(WRITTEN)
    assert planned["diff"]["after"]["autovacuum_naptime"] == "1min"
    with pytest.raises(TuningError, match="verification found"):
        remembering(untuned, {}, verify="configured")
    assert remembering(untuned, {}) == planned
    assert entries(untuned) == {}
    assert OWN not in untuned.auto_conf.read_text(encoding="utf-8")
    assert not remembering(untuned, {}, check=True)["changed"]


def test_another_ones_setting_is_never_touched(untuned: Services) -> None:
    untuned.sql("alter system set work_mem = '8MB'")
    untuned.sql("alter system set autovacuum_naptime = '45s'")
    remembering(untuned, {"work_mem": "8192kB", "maintenance_work_mem": "128MB", "random_page_cost": 2})
    untuned.sql("alter system set random_page_cost = 3")
    assert remembering(untuned, {})["diff"]["after"] == {"maintenance_work_mem": "64MB"}
    assert entries(untuned) == {"work_mem": "8MB", "autovacuum_naptime": "45s", "random_page_cost": "3"}


def test_only_what_the_selected_controls_own_is_reset(untuned: Services) -> None:
    controls = {"a.vacuum": ["autovacuum_*"], "a.other": ["*"]}
    remembering(untuned, {"work_mem": "8MB", "autovacuum_naptime": "30s"}, controls=controls)
    dropped = remembering(untuned, {}, controls=controls, only=["a.vacuum"])
    assert (set(dropped["diff"]["after"]), dropped["owners"]) == (
        {"autovacuum_naptime"},
        {"autovacuum_naptime": "a.vacuum"},
    )
    assert set(remembering(untuned, {}, controls=controls)["diff"]["after"]) == {"work_mem"}


def test_what_is_put_back_is_remembered_as_before(untuned: Services) -> None:
    remembering(untuned, {"work_mem": "8MB", "autovacuum_naptime": "30s"})
    before = untuned.auto_conf.read_text(encoding="utf-8")
    done = remembering(untuned, {"work_mem": "16MB", "random_page_cost": 2})
    run(untuned, done["previous"])
    assert sorted(untuned.auto_conf.read_text(encoding="utf-8").splitlines()) == sorted(before.splitlines())
    done = remembering(untuned, {"work_mem": "16MB", "random_page_cost": 2})
    _rewrite(untuned.auto_conf, done["previous"])
    assert sorted(untuned.auto_conf.read_text(encoding="utf-8").splitlines()) == sorted(before.splitlines())


def test_a_run_that_the_server_refuses_leaves_the_memory_as_it_was(untuned: Services) -> None:
    remembering(untuned, {"work_mem": "8MB"})
    before = untuned.auto_conf.read_bytes()
    with pytest.raises(TuningError, match="the server refused it"):
        remembering(untuned, {"work_mem": "16MB", "log_timezone": "Nowhere/At all"})
    assert sorted(untuned.auto_conf.read_bytes().splitlines()) == sorted(before.splitlines())


@pytest.mark.parametrize(
    ("sign", "message"),
    [
        ("rds.extensions", r"Amazon RDS owns .*DB parameter group"),
        ("cloudsql.logical_decoding", "Cloud SQL owns .*database-flags"),
        ("azure.extensions", "Azure Database for PostgreSQL owns .*server parameters"),
    ],
)
def test_a_managed_server_is_compared_and_not_written(untuned: Services, sign: str, message: str) -> None:
    with untuned.auto_conf.open("a", encoding="utf-8") as file:
        file.write(f"{sign} = 'x'\n")
    untuned.sql("select pg_reload_conf()")
    untuned.wait_for(f"select current_setting('{sign}', true) = 'x'")
    assert not remembering(untuned, {"work_mem": "4096kB"})["changed"]
    for check in (True, False):
        with pytest.raises(TuningError, match=rf"work_mem on .*4MB is set where 8MB is wanted, and {message}"):
            remembering(untuned, {"work_mem": "8MB"}, check=check)
    assert "work_mem" not in untuned.auto_conf.read_text(encoding="utf-8")


def test_patroni_is_named_as_the_owner(untuned: Services) -> None:
    data = untuned.auto_conf.parent
    main = data / "postgresql.conf"
    content = main.read_bytes()
    (data / "postgresql.base.conf").write_bytes(content)
    try:
        main.write_text("include 'postgresql.base.conf'\n", encoding="utf-8")
        with pytest.raises(TuningError, match=r"Patroni owns .*patronictl edit-config"):
            remembering(untuned, {"work_mem": "8MB"}, check=True)
    finally:
        main.write_bytes(content)
        (data / "postgresql.base.conf").unlink()
