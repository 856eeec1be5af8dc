# SPDX-License-Identifier: GPL-3.0-or-later
"""What Redis needs of its host: told of a real server on this one, and written on a file system of the test's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.leadgen.tuning.plugins.module_utils import _redis_settings
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._redis import connect
from ansible_collections.leadgen.tuning.plugins.module_utils._redis_host import SETTINGS, Host
from ansible_collections.leadgen.tuning.plugins.module_utils._redis_server import read_server

from tests.integration.redis_server import RedisServer, redis_server
from tests.integration.test_redis_persistence import run

BAD = {"vm.overcommit_memory": "0\n", "transparent_hugepage": "[always] madvise never\n"}
GOOD = {"vm.overcommit_memory": "1", "transparent_hugepage": "always [madvise] never"}


def file_system(folder: Path, values: dict[str, str]) -> Path:
    for setting in SETTINGS:
        place = folder / setting.place
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(values[setting.name], encoding="utf-8")
    return folder


def host_of(server: RedisServer, root: Path) -> Host:
    with connect(server.connection) as client:
        return Host(read_server(client, server.connection, ["save"]), root)


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Have the module take a folder for the host's file system."""

    def take(values: dict[str, str]) -> Path:
        root = file_system(tmp_path, values)
        monkeypatch.setattr(_redis_settings, "Host", lambda server: Host(server, root))
        return root

    return take


def test_what_is_planned_of_the_host_is_done_and_then_nothing_is_left(on: Any) -> None:
    root = on(BAD)
    with redis_server() as server:
        planned = run(server, {"hz": 20}, check=True, manage_host=True)
        assert planned["diff"] == {
            "before": {"hz": "10", "vm.overcommit_memory": "0", "transparent_hugepage": "always"},
            "after": {"hz": "20", "vm.overcommit_memory": "1", "transparent_hugepage": "madvise"},
        }
        assert not (root / "etc").exists()
        assert run(server, {"hz": 20}, manage_host=True) == planned
        assert [(root / setting.place).read_text(encoding="utf-8") for setting in SETTINGS] == ["1", "madvise"]
        assert run(server, {"hz": 20}, check=True, manage_host=True)["changed"] is False


def test_a_value_that_the_next_start_would_lose_is_drift(on: Any) -> None:
    root = on(GOOD)
    with redis_server() as server:
        found = run(server, {}, manage_host=True)
        assert found["diff"]["before"] == {
            "vm.overcommit_memory": "1, until the next start",
            "transparent_hugepage": "madvise, until the next start",
        }
        assert (root / "etc/sysctl.d/60-retune-redis.conf").read_text(encoding="utf-8") == "vm.overcommit_memory = 1\n"
        assert run(server, {}, check=True, manage_host=True)["changed"] is False


@pytest.mark.parametrize(
    ("conf", "values", "named"),
    [
        ("save 3600 1\n", BAD, ["vm.overcommit_memory"]),  # the server turns huge pages off for itself
        ("save 3600 1\ndisable-thp no\n", BAD, ["vm.overcommit_memory", "transparent_hugepage"]),
        ("save 3600 1\n", GOOD, []),
        ('save ""\n', BAD, []),  # it never forks
    ],
)
def test_what_hurts_is_a_warning_where_the_host_is_not_managed(
    on: Any, conf: str, values: dict[str, str], named: list[str]
) -> None:
    on(values)
    with redis_server(conf=conf) as server:
        warnings = run(server, {"hz": 20}, check=True)["warnings"]
        assert [text.partition(" ")[0] for text in warnings] == named


def test_the_limit_of_open_files_is_that_of_the_process() -> None:
    with redis_server() as server:
        host = host_of(server, Path("/"))
        limits = Path(f"/proc/{host.server.pid}/limits").read_text(encoding="utf-8").splitlines()
        most = int(next(line.split()[4] for line in limits if line.startswith("Max open files")))
        assert host.why_too_many_clients(most - 32) is None
        assert str(most) in (host.why_too_many_clients(most - 31) or "")


def test_a_folder_that_is_closed_is_said(on: Any) -> None:
    root = on(BAD)
    (root / "etc").write_text("", encoding="utf-8")
    with (
        redis_server() as server,
        pytest.raises(TuningError, match=r"redis_manage_host on .* cannot be written: .*run as root"),
    ):
        run(server, {}, manage_host=True)
