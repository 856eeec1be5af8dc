# SPDX-License-Identifier: GPL-3.0-or-later
"""Persistence is switched so that the data are always on the disk in one way or the other, on every release."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from ansible_collections.leadgen.tuning.plugins.module_utils import _redis_self_hosted, _redis_settings
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError

from tests.integration.redis_server import RELEASES, RedisServer, redis_server

KEYS = 400
# A snapshot or the base of an append-only file takes 0.4 s then, so that it can be met half done.
SLOW = "enable-debug-command local\nrdb-key-save-delay 1000\nsave 3600 1\n"
DURABLE: dict[str, Any] = {"appendonly": True, "appendfsync": "everysec", "save": ""}
SNAPSHOTS: dict[str, Any] = {"appendonly": False, "save": "3600 1"}
# A command that the run sends, which one of its name, and whether the server dies before it or once it has answered.
PLACES = [
    ("CONFIG SET", 1, "before"),
    ("CONFIG SET", 1, "after"),
    ("INFO", 1, "after"),
    ("INFO", 2, "after"),
    ("INFO", 4, "after"),
    ("INFO", 6, "after"),
    ("CONFIG SET", 2, "before"),
    ("CONFIG SET", 2, "after"),
    ("CONFIG REWRITE", 1, "before"),
    ("CONFIG REWRITE", 1, "after"),
]


@pytest.fixture(params=RELEASES)
def server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    with redis_server(request.param, SLOW) as made:
        yield made


def run(server: RedisServer, settings: dict[str, Any], check: bool = False, **options: Any) -> dict[str, Any]:
    """Run the module's work on the server as the module would with these options."""
    given = {
        "connection": server.connection,
        "settings": settings,
        "replica_settings": {},
        "controls": {},
        "only": None,
        "profile": "",
        "profiles": {},
        "persist": True,
        "include_file": "",
        "memory": "",
        "manage_host": False,
        "verify": False,
    }
    return _redis_settings.reconcile({**given, **options}, check)


def fill(server: RedisServer, first: int = 0, count: int = KEYS) -> None:
    """Write keys, each of them acknowledged."""
    with server.client() as client:
        for number in range(first, first + count):
            assert client.set(f"key:{number}", number)


def keys(server: RedisServer) -> int:
    with server.client() as client:
        return int(client.dbsize())


def crash_and_start(server: RedisServer) -> None:
    server.kill()
    server.start()


@pytest.mark.parametrize(("command", "number", "when"), PLACES)
def test_a_kill_while_the_append_only_file_is_switched_on_loses_no_key(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch, command: str, number: int, when: str
) -> None:
    fill(server)
    with server.client() as client:
        client.save()
    with monkeypatch.context() as patched:
        patched.setattr(redis.Redis, "execute_command", _killing(server, command, number, when))
        # What is left to do after the last place does not need the server.
        last = (command, when) == ("CONFIG REWRITE", "after")
        with contextlib.nullcontext() if last else pytest.raises(TuningError, match="cannot talk to Redis"):
            run(server, DURABLE)
    assert server.process
    assert server.process.poll() is not None, "the place was never reached"
    server.start()
    assert keys(server) == KEYS
    # The next run does what is left, and from then on every second is kept.
    run(server, DURABLE)
    assert run(server, DURABLE, check=True)["changed"] is False
    fill(server, KEYS, 10)
    with server.client() as client:
        # While the disk is slow to sync, Redis keeps what it has acknowledged in a buffer, for two seconds at most.
        deadline = time.monotonic() + 10
        while client.info("persistence")["aof_buffer_length"]:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    crash_and_start(server)
    assert keys(server) == KEYS + 10


def _killing(server: RedisServer, command: str, number: int, when: str) -> Callable[..., Any]:
    """redis-py's execute_command, which ends the server at the place."""
    original, seen = redis.Redis.execute_command, 0

    def execute(self: redis.Redis, *arguments: Any, **options: Any) -> Any:
        nonlocal seen
        here = " ".join(map(str, arguments)).upper().startswith(command)
        seen += here
        if here and seen == number and when == "before":
            server.kill()
        answer = original(self, *arguments, **options)
        if here and seen == number and when == "after":
            server.kill()
        return answer

    return execute


def test_the_file_says_so_only_once_the_append_only_file_is_whole(server: RedisServer) -> None:
    fill(server)
    done = run(server, DURABLE)
    assert done["diff"]["after"] == {"appendonly": "yes", "save": ""}
    with server.client() as client:
        about = client.info("persistence")
    assert (about["aof_enabled"], about["aof_rewrite_in_progress"], about["aof_last_bgrewrite_status"]) == (1, 0, "ok")
    assert "appendonly yes" in server.conf.read_text(encoding="utf-8")
    crash_and_start(server)
    assert keys(server) == KEYS


def test_a_snapshot_is_there_before_the_append_only_file_is_not(server: RedisServer) -> None:
    run(server, DURABLE)
    fill(server)
    run(server, SNAPSHOTS)
    crash_and_start(server)
    assert keys(server) == KEYS


def test_what_no_restart_would_bring_back_is_named(server: RedisServer) -> None:
    fill(server, count=10)
    with server.client() as client:
        client.expire("key:1", 1000)
    said = r"without save nothing of .* outlives a restart: 10 keys in \d+ MiB, of which 9 have no TTL"
    for check in (True, False):
        (warning,) = run(server, {"save": "", "appendonly": False}, check)["warnings"]
        assert re.search(said, warning)


def test_an_append_only_file_that_cannot_be_written_is_put_back(server: RedisServer) -> None:
    fill(server)
    # A file where its folder has to be.
    (server.folder / "appendonlydir").write_text("", encoding="utf-8")
    before = server.conf.read_text(encoding="utf-8")
    with pytest.raises(TuningError, match=r"redis_settings\.appendonly on .*nothing was changed"):
        run(server, DURABLE)
    with server.client() as client:
        found = client.config_get("appendonly"), client.config_get("save")
    assert found == ({"appendonly": "no"}, {"save": "3600 1"})
    assert server.conf.read_text(encoding="utf-8") == before


def test_a_rewrite_that_does_not_end_in_time_is_put_back(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_redis_self_hosted, "SECONDS", 0.0)
    fill(server, count=2000)
    with pytest.raises(TuningError, match=r"in 0 s; nothing was changed, see its log"):
        run(server, DURABLE)
    with server.client() as client:
        assert client.config_get("appendonly") == {"appendonly": "no"}
