# SPDX-License-Identifier: GPL-3.0-or-later
"""One apply per environment at a time, and a lock that says who holds it."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import queue
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.plugin_utils import _lock
from ansible_collections.leadgen.tuning.plugins.plugin_utils._lock import holder, release, take
from ansible_collections.leadgen.tuning.plugins.plugin_utils._record import identity, now

ENVIRONMENT = "staging"
SINCE = "2026-01-02T03:04:05+00:00"


@pytest.fixture
def live_pid() -> Iterator[int]:
    """The id of another process, which lives as long as the test."""
    with subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE) as process:
        yield process.pid
        process.communicate()


@pytest.fixture
def dead_pid() -> int:
    """The id of a process that is gone."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def hold(directory: Path, pid: int, host: str | None = None) -> Path:
    """Write the lock of another run."""
    path = directory / f"{ENVIRONMENT}.lock"
    held = {"who": "bob", "host": host or socket.gethostname(), "pid": pid, "process": identity(pid), "since": SINCE}
    path.write_text(json.dumps(held), encoding="utf-8")
    return path


def test_take_and_release(tmp_path: Path) -> None:
    directory = tmp_path / "not" / "yet"
    assert holder(directory, ENVIRONMENT) is None
    take(directory, ENVIRONMENT, "ann", os.getpid())
    held = holder(directory, ENVIRONMENT)
    assert held is not None
    assert (held["who"], held["host"], held["pid"]) == ("ann", socket.gethostname(), os.getpid())
    assert [path.name for path in directory.iterdir()] == ["staging.lock"]
    release(directory, ENVIRONMENT, os.getpid())
    assert list(directory.iterdir()) == []
    release(directory, ENVIRONMENT, os.getpid())  # once more does no harm


def test_the_holder_may_take_it_again(tmp_path: Path) -> None:
    for _ in range(2):
        take(tmp_path, ENVIRONMENT, "ann", os.getpid())
    assert [path.name for path in tmp_path.iterdir()] == ["staging.lock"]


def test_another_environment_is_free(tmp_path: Path, live_pid: int) -> None:
    take(tmp_path, ENVIRONMENT, "bob", live_pid)
    take(tmp_path, "production", "ann", os.getpid())
    held = holder(tmp_path, "production")
    assert held is not None
    assert held["who"] == "ann"


def test_a_live_run_keeps_others_out(tmp_path: Path, live_pid: int) -> None:
    path = hold(tmp_path, live_pid)
    before = path.read_text()
    with pytest.raises(TuningError) as refused:
        take(tmp_path, ENVIRONMENT, "ann", os.getpid())
    for part in ("staging", "bob", SINCE, socket.gethostname(), str(live_pid), str(path)):
        assert part in str(refused.value)
    assert path.read_text() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["staging.lock"]


@pytest.mark.parametrize("torn", ["", "{", '{"who": "bo'])
def test_a_torn_lock_is_taken_over(tmp_path: Path, torn: str) -> None:
    (tmp_path / f"{ENVIRONMENT}.lock").write_text(torn)
    take(tmp_path, ENVIRONMENT, "ann", os.getpid())
    held = holder(tmp_path, ENVIRONMENT)
    assert held is not None
    assert held["who"] == "ann"


def test_a_dead_runs_lock_is_taken_over(tmp_path: Path, dead_pid: int) -> None:
    hold(tmp_path, dead_pid)
    assert holder(tmp_path, ENVIRONMENT) is None
    take(tmp_path, ENVIRONMENT, "ann", os.getpid())
    held = holder(tmp_path, ENVIRONMENT)
    assert held is not None
    assert (held["who"], held["pid"]) == ("ann", os.getpid())


def test_only_the_holder_releases(tmp_path: Path, live_pid: int) -> None:
    path = hold(tmp_path, live_pid)
    release(tmp_path, ENVIRONMENT, os.getpid())
    assert path.exists()
    release(tmp_path, ENVIRONMENT, live_pid)
    assert not path.exists()


def test_a_run_on_another_machine_keeps_others_out(tmp_path: Path, dead_pid: int) -> None:
    # Whether that process lives cannot be known from here.
    hold(tmp_path, dead_pid, host="elsewhere.example.com")
    with pytest.raises(TuningError, match=r"bob on elsewhere\.example\.com"):
        take(tmp_path, ENVIRONMENT, "ann", os.getpid())


def test_the_same_process_id_on_another_machine_is_another_run(tmp_path: Path) -> None:
    # Containers that share the log's folder have the same few ids.
    path = hold(tmp_path, os.getpid(), host="elsewhere.example.com")
    with pytest.raises(TuningError, match=r"bob on elsewhere\.example\.com"):
        take(tmp_path, ENVIRONMENT, "ann", os.getpid())
    release(tmp_path, ENVIRONMENT, os.getpid())
    assert path.exists()


def _take(directory: Path, who: str, over: Any, outcomes: Any) -> None:
    try:
        take(directory, ENVIRONMENT, who, os.getpid())
        outcomes.put("taken")
    except TuningError as error:
        outcomes.put(str(error))
    over.wait(60)  # the lock of a process that is gone would be taken over with reason


@pytest.mark.parametrize("left_behind", [False, True])
def test_two_that_start_at_once_do_not_both_hold_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dead_pid: int, left_behind: bool
) -> None:
    """A rival takes the lock after it was seen to be free, and before we have made it ours."""
    if left_behind:
        hold(tmp_path, dead_pid)
    context = multiprocessing.get_context("fork")
    over, outcomes = context.Event(), context.Queue()
    rival = context.Process(target=_take, args=(tmp_path, "rival", over, outcomes))
    said: list[str] = []

    def now_with_a_rival() -> str:
        monkeypatch.setattr(f"{_lock.__name__}.now", now)
        rival.start()
        with contextlib.suppress(queue.Empty):  # one that has to wait for us is in order too
            said.append(outcomes.get(timeout=5))
        return now()

    monkeypatch.setattr(f"{_lock.__name__}.now", now_with_a_rival)
    try:
        take(tmp_path, ENVIRONMENT, "ann", os.getpid())
        ours = "taken"
    except TuningError as error:
        ours = str(error)
    theirs = said[0] if said else outcomes.get(timeout=30)
    held = holder(tmp_path, ENVIRONMENT)
    over.set()
    rival.join(30)
    assert [ours, theirs].count("taken") == 1
    assert held is not None
    assert held["who"] == ("ann" if ours == "taken" else "rival")


def test_the_lock_is_held_while_its_holder_lives(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    over, outcomes = context.Event(), context.Queue()
    processes = [context.Process(target=_take, args=(tmp_path, "ann", over, outcomes)) for _ in range(4)]
    results = []
    for process in processes:  # one after the other: each finds what those before it left
        process.start()
        results.append(outcomes.get(timeout=30))
    over.set()
    for process in processes:
        process.join(30)
    assert results[0] == "taken"
    assert all("another apply of staging is running: ann" in result for result in results[1:])
    assert holder(tmp_path, ENVIRONMENT) is None  # they are all gone now


def test_an_id_that_was_used_again_holds_nothing(tmp_path: Path) -> None:
    held = {"who": "bob", "host": socket.gethostname(), "pid": 1, "process": "an-earlier-boot/42", "since": SINCE}
    (tmp_path / f"{ENVIRONMENT}.lock").write_text(json.dumps(held), encoding="utf-8")
    assert holder(tmp_path, ENVIRONMENT) is None
    take(tmp_path, ENVIRONMENT, "ann", os.getpid())


@pytest.mark.parametrize("torn", ["{}", "[]", "3", '{"pid": 1}'])
def test_a_lock_without_its_fields_holds_nothing(tmp_path: Path, torn: str) -> None:
    (tmp_path / f"{ENVIRONMENT}.lock").write_text(torn, encoding="utf-8")
    release(tmp_path, ENVIRONMENT, os.getpid())
    assert holder(tmp_path, ENVIRONMENT) is None
