# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines of progress, from the events of a run."""

from __future__ import annotations

from typing import Any

import pytest

from retune.show import progress

CHANGED = {
    "controls": ["redis.eviction", "redis.persistence"],
    "diff": {"before": {"maxmemory": "0"}, "after": {"maxmemory": "64mb"}},
    "owners": {"maxmemory": "redis.eviction"},
}
AT_REST = {"controls": ["redis.eviction"], "diff": {"before": {}, "after": {}}}


@pytest.mark.parametrize(
    ("kind", "result", "lines"),
    [
        ("runner_on_ok", CHANGED, ["cache1 changed redis.eviction", "cache1 in sync redis.persistence"]),
        (
            "runner_on_ok",
            {**CHANGED, "check_mode": True},
            ["cache1 differs redis.eviction", "cache1 in sync redis.persistence"],
        ),
        ("runner_on_ok", AT_REST, ["cache1 in sync redis.eviction"]),
        ("runner_on_ok", {**AT_REST, "verified": True}, ["cache1 verified redis.eviction"]),
        ("runner_on_ok", {"measurements": {}, "phase": "before"}, ["cache1 measured before"]),
        ("runner_on_ok", {"msg": "a task of no control"}, []),
        ("runner_on_failed", {"controls": ["redis.eviction"]}, ["cache1 failed redis.eviction"]),
        ("runner_on_skipped", AT_REST, []),
        ("playbook_on_start", {}, []),
    ],
)
def test_progress(kind: str, result: dict[str, Any], lines: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    progress({"event": kind, "event_data": {"host": "cache1", "res": result}})
    assert [" ".join(line.split()) for line in capsys.readouterr().err.splitlines()] == lines
