# SPDX-License-Identifier: GPL-3.0-or-later
"""Values that somebody else owns: in a file, on a role or database, or of a server that lets nobody use ALTER SYSTEM."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_session_defaults import reconcile as session_defaults
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_settings import reconcile

from tests.integration.conftest import Services


def run(services: Services, settings: dict[str, Any], check: bool = False, **options: Any) -> dict[str, Any]:
    given = {"connection": services.postgres, "settings": settings, "controls": {}, "only": None, "verify": None}
    return reconcile({**given, "remember": False, **options}, check)


def where(services: Services) -> str:
    return f"{services.postgres['host']}:{services.postgres['port']}"


@pytest.fixture
def included(untuned: Services) -> Iterator[Path]:
    """A file that the server reads beside its own, as packages and tools leave one."""
    main = untuned.auto_conf.with_name("postgresql.conf")
    whole = main.read_bytes()
    folder = main.with_name("conf.d")
    folder.mkdir(mode=0o755)
    main.write_bytes(whole + b"\ninclude_dir = 'conf.d'\n")
    try:
        yield folder / "pgtune.conf"
    finally:
        main.write_bytes(whole)
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()


def load(services: Services, path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o644)
    services.sql("select pg_reload_conf()")


def test_the_owner_of_a_value_is_named_when_it_is_about_to_be_overridden(untuned: Services, included: Path) -> None:
    load(
        untuned, included, "# by pgtune\n\nWork_Mem = 65536kB\nrandom_page_cost = 4\nprimary_conninfo = 'password=secret'\n"
    )
    untuned.wait_for("select current_setting('work_mem') = '64MB'")
    said = f"work_mem on {where(untuned)}: conf.d/pgtune.conf line 3 sets 64MB; ALTER SYSTEM goes before it"
    assert run(untuned, {"work_mem": "64MB", "random_page_cost": "4.0"})["warnings"] == []
    planned = run(untuned, {"work_mem": "8MB"}, check=True)
    assert planned["warnings"] == [said]
    assert run(untuned, {"work_mem": "8MB"}) == planned
    assert run(untuned, {"work_mem": "8MB"})["warnings"] == []
    assert run(untuned, {"work_mem": "16MB"})["warnings"] == []  # ALTER SYSTEM went before it already
    # The built-in default is somebody's wish in a file that initdb does not write.
    [cost] = run(untuned, {"random_page_cost": 1.1}, check=True)["warnings"]
    assert "conf.d/pgtune.conf line 4 sets 4; ALTER SYSTEM" in cost
    [conninfo] = run(untuned, {"primary_conninfo": "host=db"}, check=True)["warnings"]
    assert "conf.d/pgtune.conf line 5 sets (hidden)" in conninfo


def test_the_lines_of_initdb_belong_to_nobody(untuned: Services) -> None:
    main = untuned.auto_conf.with_name("postgresql.conf")
    lines = main.read_text(encoding="utf-8")
    assert "\nmax_connections = 100" in lines
    assert "\nshared_buffers = 128MB" in lines
    wanted = {"max_connections": 120, "shared_buffers": "144MB", "max_wal_size": "2GB"}
    assert run(untuned, wanted, check=True)["warnings"] == []
    try:
        main.write_text(lines + "\nmax_connections = 90\n", encoding="utf-8")
        number = len(lines.splitlines()) + 2
        [warning] = run(untuned, wanted, check=True)["warnings"]
        assert warning.endswith(f": postgresql.conf line {number} sets 90; ALTER SYSTEM goes before it")
    finally:
        main.write_text(lines, encoding="utf-8")


def test_a_default_of_a_role_or_a_database_that_hides_the_value_is_named(untuned: Services, roles: Services) -> None:
    roles.sql("alter role leads_app set work_mem = '64MB'")
    roles.sql("alter database leadgen set work_mem = '8192kB'")
    roles.sql("alter role leads_app in database leadgen set work_mem = '1GB'")
    roles.sql("alter database leadgen set random_page_cost = '2'")
    end = "by a default of their own"
    result = run(roles, {"Work_Mem": "8MB"})
    assert sorted(result["warnings"]) == [
        f"work_mem on {where(roles)}: sessions of the role leads_app have 64MB {end}",
        f"work_mem on {where(roles)}: sessions of the role leads_app in the database leadgen have 1GB {end}",
    ]
    assert sorted(run(roles, {"work_mem": "64MB"}, check=True)["warnings"]) == [
        f"work_mem on {where(roles)}: sessions of the database leadgen have 8MB {end}",
        f"work_mem on {where(roles)}: sessions of the role leads_app in the database leadgen have 1GB {end}",
    ]
    assert run(roles, {"work_mem": None, "autovacuum_naptime": "20s"}, check=True)["warnings"] == []


def test_a_default_that_the_inventory_had_written_is_no_surprise(untuned: Services, roles: Services) -> None:
    given = {"connection": roles.postgres, "databases": {}, "roles_in_databases": {}, "exempt_roles": [], "controls": {}}
    wanted = {**given, "roles": {"leads_app": {"work_mem": "64MB"}}, "only": None, "remember": True, "verify": False}
    session_defaults(wanted, False)
    assert run(roles, {"work_mem": "8MB"}, check=True)["warnings"] == []
    roles.sql("alter role leads_app set work_mem = '32MB'")
    [warning] = run(roles, {"work_mem": "8MB"}, check=True)["warnings"]
    assert "the role leads_app have 32MB" in warning


def test_a_server_that_lets_nobody_use_alter_system_is_named_with_the_line(untuned: Services, included: Path) -> None:
    if untuned.sql("select current_setting('allow_alter_system', true) is null") == [(True,)]:
        pytest.skip("allow_alter_system came with PostgreSQL 17")
    load(untuned, included, "allow_alter_system = off\n")
    untuned.wait_for("select current_setting('allow_alter_system') = 'off'")
    entries = untuned.auto_conf.read_bytes()
    try:
        for check in (True, False):
            with pytest.raises(TuningError) as caught:
                run(untuned, {"work_mem": "8MB"}, check=check)
            assert str(caught.value) == (
                f"postgres_settings.work_mem on {where(untuned)}: conf.d/pgtune.conf line 1 sets allow_alter_system to off; "
                "change the value where the server's owner keeps its parameters, or set that to on and reload"
            )
        assert run(untuned, {"work_mem": "4MB"})["changed"] is False
        assert untuned.auto_conf.read_bytes() == entries
    finally:
        load(untuned, included, "")
        untuned.wait_for("select current_setting('allow_alter_system') = 'on'")
