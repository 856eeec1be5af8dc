# SPDX-License-Identifier: GPL-3.0-or-later
"""Records are read back as rows, what waits, effects and failures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from retune.errors import RetuneError
from retune.record import Record, Row, read_log


def decision(**fields: Any) -> dict[str, Any]:
    """A decision as the callback writes it."""
    return {
        "controls": ["postgres.memory"],
        "host": "db1",
        "task": "Set parameters",
        "changed": True,
        "before": {},
        "after": {},
        "needs": {},
        "pending_restart": [],
        "warnings": [],
        **fields,
    }


def record(*decisions: dict[str, Any], **fields: Any) -> Record:
    """A record of these decisions."""
    return Record({"schema": 1, "decisions": list(decisions), "failures": [], "measurements": {}, **fields})


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"before": {"work_mem": "4MB"}, "after": {"work_mem": "64MB"}, "needs": {"work_mem": "reload"}},
            [Row("postgres.memory", "db1", "work_mem", "4MB", "64MB", "reload")],
        ),
        # what was not there, what is empty, and what is no text
        ({"after": {"a": ""}}, [Row("postgres.memory", "db1", "a", '""', '""', "")]),
        ({"before": {"a": None}, "after": {"a": 5}}, [Row("postgres.memory", "db1", "a", '""', "5", "")]),
        ({"before": {"a": True}, "after": {"a": ["x"]}}, [Row("postgres.memory", "db1", "a", "true", '["x"]', "")]),
        # several controls are told by their area
        (
            {"controls": ["redis.memory", "redis.save"], "after": {"save": "60 1"}},
            [Row("redis (2 controls)", "db1", "save", '""', "60 1", "")],
        ),
        (
            {"before": {"b": "1", "a": "2"}, "after": {"b": "3", "a": "4"}},
            [Row("postgres.memory", "db1", "b", "1", "3", ""), Row("postgres.memory", "db1", "a", "2", "4", "")],
        ),
        ({"changed": False, "after": {"a": "1"}}, []),
        # a task of another collection tells no values
        ({}, [Row("postgres.memory", "db1", "Set parameters", "", "done", "")]),
    ],
)
def test_rows(fields: dict[str, Any], expected: list[Row]) -> None:
    assert record(decision(**fields)).rows() == expected


RESTARTED = {"before": {"restart": "awaited by a"}, "after": {"restart": "done"}}


@pytest.mark.parametrize(
    ("decisions", "expected"),
    [
        ([], {}),
        ([decision()], {}),
        ([decision(pending_restart=["b", "a"])], {"db1": ["a", "b"]}),
        ([decision(changed=False, pending_restart=["a"])], {"db1": ["a"]}),
        ([decision(pending_restart=["a"]), decision(pending_restart=["b", "a"])], {"db1": ["a", "b"]}),
        ([decision(pending_restart=["a"]), decision(host="db2", pending_restart=["b"])], {"db1": ["a"], "db2": ["b"]}),
        # a restart ends it, on its host
        ([decision(pending_restart=["a"]), decision(**RESTARTED)], {}),
        (
            [decision(pending_restart=["a"]), decision(host="db2", pending_restart=["a"]), decision(**RESTARTED)],
            {"db2": ["a"]},
        ),
        # and what comes after waits again
        ([decision(pending_restart=["a"]), decision(**RESTARTED), decision(pending_restart=["c"])], {"db1": ["c"]}),
    ],
)
def test_waiting(decisions: list[dict[str, Any]], expected: dict[str, list[str]]) -> None:
    assert record(*decisions).waiting() == expected


@pytest.mark.parametrize(
    ("phases", "expected"),
    [
        ({}, []),
        ({"before": {"window_seconds": 10.0, "hits": 1}}, [("db1", "hits", 1, None)]),
        (
            {"before": {"hits": 1}, "after": {"window_seconds": 9.0, "hits": 2, "misses": None}},
            [("db1", "hits", 1, 2), ("db1", "misses", None, None)],
        ),
        ({"after": {"hits": 2}}, [("db1", "hits", None, 2)]),
    ],
)
def test_effects(phases: dict[str, Any], expected: list[tuple[str, str, Any, Any]]) -> None:
    assert list(record(measurements={"db1": phases}).effects()) == expected


def test_failures() -> None:
    failure = {"controls": [], "host": "db1", "task": "t", "message": "m"}
    assert record(failures=[failure]).failures == [failure]


@pytest.mark.parametrize("schema", [0, 2, "1", None])
def test_unknown_schema(schema: Any) -> None:
    with pytest.raises(RetuneError, match=f"schema {schema}, and this version reads 1"):
        record(schema=schema)
    with pytest.raises(RetuneError, match="schema None"):
        Record({})


@pytest.mark.parametrize("line", ["{", "torn", '{"schema": 1', "[]", "3", "null", '"text"'])
def test_a_bad_line_is_named_and_passed_over(line: str, tmp_path: Path) -> None:
    path = tmp_path / "staging.jsonl"
    path.write_text(json.dumps(record().data) + "\n\n" + line + "\n", encoding="utf-8")
    records, problems = read_log(path)
    assert len(records) == 1
    assert len(problems) == 1
    assert f"{path} line 3" in problems[0]


def test_read_log(tmp_path: Path) -> None:
    path = tmp_path / "staging.jsonl"
    assert read_log(path) == ([], [])
    path.write_text("".join(json.dumps({**record().data, "run": run}) + "\n" for run in "abc"), encoding="utf-8")
    assert [entry.data["run"] for entry in read_log(path)[0]] == ["a", "b", "c"]
