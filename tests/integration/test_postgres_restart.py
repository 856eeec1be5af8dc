# SPDX-License-Identifier: GPL-3.0-or-later
"""A configuration that the server could not start with is found while it still runs."""

from __future__ import annotations

import os
import subprocess
from typing import Any

import pytest
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_dry_start import reason_not_to_start

from tests.integration.conftest import Services
from tests.integration.test_postgres_settings import run

STARTED = "select pg_postmaster_start_time()"
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"shared_preload_libraries": ["no_such_library"]}, r'could not access file "no_such_library"'),
    ({"superuser_reserved_connections": 100}, r'superuser_reserved_connections.* must be less than "?max_connections'),
    ({"wal_level": "minimal"}, r'max_wal_senders"? > 0\) requires "?wal_level'),
    (
        {"archive_mode": True, "wal_level": "minimal", "max_wal_senders": 0},
        r'WAL archival cannot be enabled when "?wal_level',
    ),
]


@pytest.mark.parametrize(("settings", "message"), WRONG)
def test_what_would_keep_it_down_is_told_and_it_is_not_restarted(
    untuned: Services, settings: dict[str, Any], message: str
) -> None:
    before = untuned.sql(STARTED)
    run(untuned, settings)
    with pytest.raises(TuningError, match=rf"could not start with what its files say now: .*{message}.*; it was not re"):
        untuned.restart_postgres(*settings)
    assert untuned.sql(STARTED) == before
    untuned.sql("alter system reset all")
    untuned.restart_postgres()
    assert untuned.sql(STARTED) != before


def test_what_is_right_passes_and_leaves_no_trace(untuned: Services) -> None:
    run(untuned, {"shared_preload_libraries": ["pg_stat_statements"], "max_connections": 120, "work_mem": "8MB"})
    data = untuned.auto_conf.parent
    before = sorted((path.name, path.stat().st_mtime_ns) for path in data.iterdir())
    assert reason_not_to_start(data) is None
    assert sorted((path.name, path.stat().st_mtime_ns) for path in data.iterdir()) == before


def test_a_certificate_beside_the_data_is_found(untuned: Services) -> None:
    data, owner = untuned.auto_conf.parent, untuned.auto_conf.stat()
    subprocess.run(
        "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -days 1 -keyout server.key -out server.crt".split(),
        cwd=data,
        check=True,
        capture_output=True,
    )
    try:
        for name in ("server.key", "server.crt"):
            os.chown(data / name, owner.st_uid, owner.st_gid)
            (data / name).chmod(0o600)
        untuned.sql("alter system set ssl = on")
        assert reason_not_to_start(data) is None
        (data / "server.key").unlink()
        assert 'could not access private key file "server.key"' in str(reason_not_to_start(data))
    finally:
        untuned.sql("alter system reset ssl")
        (data / "server.crt").unlink()


def test_where_it_cannot_be_tried_nothing_is_told(tmp_path: Any) -> None:
    assert reason_not_to_start(tmp_path) is None
    assert reason_not_to_start(tmp_path / "nowhere") is None
