# SPDX-License-Identifier: GPL-3.0-or-later
"""An audit's verdicts in the record, and the exit code that follows from them."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ansible_collections.leadgen.tuning.plugins.plugin_utils._record import Record as Written

from retune import cli
from retune.audit import size
from retune.record import Record

SCHEMA = json.loads((Path(__file__).resolve().parents[2] / "docs" / "run-record.schema.json").read_text(encoding="utf-8"))


def verdict(word: str) -> dict[str, Any]:
    reason = "too young" if word == "unknown" else ""
    return {"control": "postgres.index_usage", "verdict": word, "figure": 0, "reason": reason, "findings": []}


@pytest.mark.parametrize("mode", ["apply", "check"])
def test_a_verdict_is_recorded_with_its_host_and_never_kept_in_the_log(mode: str) -> None:
    run = Written(environment="staging", mode=mode, who="ana", revision="")
    run.add_result(["postgres.index_usage"], "db1", "Audit", {"audit": [verdict("fail")]})
    run.finish()
    data = json.loads(run.to_json())
    jsonschema.validate(data, SCHEMA)
    assert data["audit"] == [{"host": "db1", **verdict("fail")}]
    assert (run.outcome, run.worth_keeping()) == ("audited", False)
    del data["audit"]
    jsonschema.validate(data, SCHEMA)


@pytest.mark.parametrize(
    ("verdicts", "failures", "code"),
    [
        (["pass", "pass"], [], 0),
        (["pass", "fail"], [], 2),
        (["unknown", "fail"], [], 2),
        (["pass", "unknown"], [], 1),
        ([], [], 1),
        (["pass"], ["db2 cannot be read"], 1),
        (["fail"], ["db2 cannot be read"], 1),
    ],
)
def test_exit_code(verdicts: list[str], failures: list[str], code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    data = {"schema": 1, "failures": failures, "audit": [{"host": "db1", **verdict(word)} for word in verdicts]}
    monkeypatch.setattr(cli, "_run", lambda *_, **__: Record(data))
    assert cli._audit(argparse.Namespace(json=False), Path()) == code


@pytest.mark.parametrize(("value", "text"), [(None, "-"), (0, "0 B"), (8192, "8 kB"), (3 * 1024**4, "3.0 TB")])
def test_size(value: int | None, text: str) -> None:
    assert size(value) == text
