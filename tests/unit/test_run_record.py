# SPDX-License-Identifier: GPL-3.0-or-later
"""A run's record takes in results, and the performance log keeps it in whole lines, whoever dies while writing."""

from __future__ import annotations

import json
import multiprocessing
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.leadgen.tuning.plugins.plugin_utils._record import (
    PerformanceLog,
    Record,
    identity,
    is_alive,
    log_directory,
)

from retune.record import read_log

CONTROL = "postgres.memory"
CHANGE = {
    "changed": True,
    "diff": {"before": {"work_mem": "4MB"}, "after": {"work_mem": "64MB"}},
    "needs": {"work_mem": "reload"},
}


def record(mode: str = "apply", environment: str = "staging") -> Record:
    """A run that has just begun."""
    return Record(environment, mode, "ann", "abc123")


@pytest.fixture
def dead_pid() -> int:
    """The id of a process that is gone."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_is_alive(dead_pid: int) -> None:
    assert is_alive(os.getpid(), identity(os.getpid()))
    assert is_alive(1, identity(1))  # it belongs to another user, or to us
    assert not is_alive(os.getpid(), identity(1))
    assert not is_alive(dead_pid, identity(dead_pid))


def test_a_change_is_a_decision() -> None:
    run = record()
    assert run.add_result(["postgres.wal", CONTROL], "db1", "Set parameters", CHANGE) is True
    (decision,) = run.decisions
    assert decision.controls == [CONTROL, "postgres.wal"]
    assert (decision.host, decision.task, decision.changed) == ("db1", "Set parameters", True)
    assert (decision.before, decision.after) == ({"work_mem": "4MB"}, {"work_mem": "64MB"})
    assert decision.needs == {"work_mem": "reload"}
    assert run.checked == {CONTROL: ["db1"], "postgres.wal": ["db1"]}


@pytest.mark.parametrize(
    ("result", "decisions"),
    [
        ({"changed": False}, 0),
        ({"changed": False, "diff": {"before": {}, "after": {}}}, 0),
        ({"changed": False, "diff": None, "pending_restart": []}, 0),
        ({"changed": False, "pending_restart": ["max_connections"]}, 1),
        ({"changed": False, "warnings": ["the file cannot be read"]}, 1),
        ({"changed": True}, 1),
        # modules that are not ours: the texts of files
        ({"changed": True, "diff": [{"before": "a", "after": "b"}]}, 1),
        ({"changed": True, "diff": {"before": "a", "after": "b"}}, 1),
        ({"changed": False, "diff": {"prepared": "b"}}, 0),
    ],
)
def test_what_is_told_is_a_decision(result: dict[str, Any], decisions: int) -> None:
    run = record()
    assert run.add_result([CONTROL], "db1", "task", result) is result["changed"]
    assert len(run.decisions) == decisions
    assert run.checked == {CONTROL: ["db1"]}


def test_a_task_of_no_control_is_no_decision() -> None:
    run = record()
    assert run.add_result([], "db1", "task", CHANGE) is False
    assert (run.decisions, run.checked) == ([], {})


def test_a_host_is_checked_once() -> None:
    run = record()
    for host in ("db2", "db1", "db2"):
        run.add_result([CONTROL], host, "task", {})
    assert run.checked == {CONTROL: ["db2", "db1"]}


def test_measurements_are_by_host_and_phase() -> None:
    run = record()
    run.add_result([], "db1", "measure", {"measurements": {"hit_ratio": 0.5}})
    run.add_result([], "db1", "measure", {"measurements": {"hit_ratio": 0.9}, "phase": "after"})
    run.add_result([], "db2", "measure", {"measurements": {}, "phase": "before"})
    assert run.measurements == {
        "db1": {"before": {"hit_ratio": 0.5}, "after": {"hit_ratio": 0.9}},
        "db2": {"before": {}},
    }


@pytest.mark.parametrize(
    ("mode", "changed", "failed", "outcome", "kept"),
    [
        ("apply", False, False, "in_sync", False),
        ("apply", True, False, "changed", True),
        ("apply", False, True, "failed", True),
        ("apply", True, True, "failed", True),
        ("check", False, False, "in_sync", False),
        ("check", True, False, "drift", False),
        ("check", False, True, "failed", False),
        ("check", True, True, "failed", False),
    ],
)
def test_outcome(mode: str, changed: bool, failed: bool, outcome: str, kept: bool) -> None:
    run = record(mode)
    assert (run.outcome, run.finished) == ("running", None)
    run.add_result([CONTROL], "db1", "task", CHANGE if changed else {"pending_restart": ["max_connections"]})
    if failed:
        run.add_failure(["b", "a"], "db1", "task", "no")
        assert run.failures[0].controls == ["a", "b"]
    run.finish()
    assert run.outcome == outcome
    assert run.finished is not None
    assert run.finished >= run.started
    assert run.worth_keeping() is kept


def test_json_is_one_line() -> None:
    run = record()
    run.add_failure([CONTROL], "db1", "task", "one\ntwo\r\nthree ä")
    text = run.to_json()
    assert "\n" not in text
    assert "\r" not in text
    data = json.loads(text)
    assert data["failures"][0]["message"] == "one\ntwo\r\nthree ä"
    assert (data["schema"], data["environment"], data["run"]) == (1, "staging", run.run)


def test_runs_have_different_names() -> None:
    assert len({record().run for _ in range(100)}) == 100


def test_log_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RETUNE_LOG_DIRECTORY", raising=False)
    assert log_directory(tmp_path) == tmp_path / "performance-log"
    monkeypatch.setenv("RETUNE_LOG_DIRECTORY", "/srv/log")
    assert log_directory(tmp_path) == Path("/srv/log")


def test_append_makes_the_folder_and_adds_lines(tmp_path: Path) -> None:
    log = PerformanceLog(tmp_path / "a" / "b", "staging")
    log.append("1", "2")
    log.append("3")
    assert log.path.read_text() == "1\n2\n3\n"
    assert stat.S_IMODE(log.path.stat().st_mode) & 0o137 == 0


def test_append_keeps_its_line_whole_after_a_torn_one(tmp_path: Path) -> None:
    log = PerformanceLog(tmp_path, "staging")
    log.path.write_bytes(b'{"a":1}\n{"torn')
    log.append('{"b":2}')
    assert log.path.read_bytes() == b'{"a":1}\n{"torn\n{"b":2}\n'


def _write_lines(directory: Path, writer: int, count: int) -> None:
    log = PerformanceLog(directory, "staging")
    for number in range(count):
        log.append(json.dumps({"writer": writer, "number": number, "filling": "x" * (5000 + 100 * writer)}))


def test_concurrent_writers_leave_whole_lines(tmp_path: Path) -> None:
    writers, count = 4, 50
    (tmp_path / "staging.jsonl").write_bytes(b'{"torn')
    start = multiprocessing.get_context("fork").Process
    processes = [start(target=_write_lines, args=(tmp_path, writer, count)) for writer in range(writers)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * writers
    torn, *lines = (tmp_path / "staging.jsonl").read_text().splitlines()
    assert torn == '{"torn'
    found = [json.loads(line) for line in lines]
    assert len(found) == writers * count
    for writer in range(writers):
        assert [line["number"] for line in found if line["writer"] == writer] == list(range(count))


@pytest.mark.parametrize("message", ["a\u2028b", "a\u2029b", "a\x85b"])
def test_an_odd_line_break_in_a_message_does_not_break_the_line(tmp_path: Path, message: str) -> None:
    # str.splitlines() breaks at these, and JSON does not escape them.
    log = PerformanceLog(tmp_path, "staging")
    run = record()
    run.add_failure([CONTROL], "db1", "task", message)
    log.append(run.to_json())
    ((kept,), _problems) = read_log(log.path)
    assert kept.failures[0]["message"] == message


def test_bytes_that_are_no_text_are_kept(tmp_path: Path) -> None:
    # _redis_settings reads redis.conf with surrogateescape, so that a value of the file can hold such a character.
    log = PerformanceLog(tmp_path, "staging")
    run = record()
    run.add_failure([CONTROL], "db1", "task", "caf\udce9")
    log.append(run.to_json())
    assert len(read_log(log.path)[0]) == 1


def test_partial_is_kept_and_dropped(tmp_path: Path) -> None:
    log = PerformanceLog(tmp_path / "log", "staging")
    run = record()
    log.keep_partial(run)
    run.add_result([CONTROL], "db1", "task", CHANGE)
    log.keep_partial(run)
    path = log.partial(run)
    assert [entry.name for entry in path.parent.iterdir()] == [f"staging.{run.run}.partial"]
    left = json.loads(path.read_text())
    assert left["pid"] == os.getpid()
    assert left["record"]["decisions"][0]["after"] == {"work_mem": "64MB"}
    log.drop_partial(run)
    log.drop_partial(run)  # once more does no harm
    assert list(path.parent.iterdir()) == []


def _die_in_the_middle(directory: Path, run: Record) -> None:
    PerformanceLog(directory, run.environment).keep_partial(run)
    os._exit(9)


def test_a_dead_runs_partial_is_adopted(tmp_path: Path) -> None:
    run = record()
    run.add_result([CONTROL], "db1", "task", CHANGE)
    process = multiprocessing.get_context("fork").Process(target=_die_in_the_middle, args=(tmp_path, run))
    process.start()
    process.join(60)
    assert process.exitcode == 9
    log = PerformanceLog(tmp_path, "staging")
    log.adopt_interrupted()
    log.adopt_interrupted()
    (line,) = log.path.read_text().splitlines()
    kept = json.loads(line)
    assert (kept["run"], kept["outcome"]) == (run.run, "interrupted")
    assert kept["decisions"][0]["after"] == {"work_mem": "64MB"}
    assert [path.name for path in tmp_path.iterdir()] == ["staging.jsonl"]


def test_a_live_runs_partial_is_left_alone(tmp_path: Path) -> None:
    log = PerformanceLog(tmp_path, "staging")
    run = record()
    log.keep_partial(run)
    log.adopt_interrupted()
    assert not log.path.exists()
    assert log.partial(run).exists()


@pytest.mark.parametrize("text", ["", "{", "{}", '{"pid": 1'])
def test_a_damaged_partial_is_passed_over(tmp_path: Path, text: str, dead_pid: int) -> None:
    log = PerformanceLog(tmp_path, "staging")
    (tmp_path / "staging.1.partial").write_text(text)
    (tmp_path / "staging.2.partial").write_text(json.dumps({"pid": dead_pid, "process": "", "record": {"run": "2"}}))
    log.adopt_interrupted()
    assert json.loads(log.path.read_text()) == {"run": "2", "outcome": "interrupted"}


@pytest.mark.parametrize("other", ["production", "staging2", "staging.eu"])
def test_the_partial_of_another_environment_is_left_alone(tmp_path: Path, other: str, dead_pid: int) -> None:
    run = record(environment=other)
    path = PerformanceLog(tmp_path, other).partial(run)
    path.write_text(json.dumps({"pid": dead_pid, "process": "", "record": {"environment": other}}))
    log = PerformanceLog(tmp_path, "staging")
    log.adopt_interrupted()
    assert path.exists()
    assert not log.path.exists()
