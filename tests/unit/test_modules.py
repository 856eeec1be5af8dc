# SPDX-License-Identifier: GPL-3.0-or-later
"""Each module as a managed host runs it, with the arguments of its own example, on a service that is not there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[2]
NOWHERE = {"host": "127.0.0.1", "port": 9}
# These have no service: they are action plugins alone, and their modules say so.
OF_THE_CONTROLLER = {"audit_report", "drift_report", "environment_lock"}
MODULES = sorted(path.stem for path in (PROJECT / "plugins" / "modules").glob("*.py") if path.stem not in OF_THE_CONTROLLER)


def arguments(name: str) -> dict[str, Any]:
    """Those of the first example that tells where the service is."""
    examples = import_module(f"ansible_collections.leadgen.tuning.plugins.modules.{name}").EXAMPLES
    tasks = [task[f"leadgen.tuning.{name}"] for task in yaml.safe_load(examples) if f"leadgen.tuning.{name}" in task]
    return next(task for task in tasks if "connection" in task or "url" in task)


def answer_of(name: str, given: dict[str, Any]) -> str:
    """What the module prints when it is run as its own process."""
    done = subprocess.run(
        [sys.executable, "-m", f"ansible_collections.leadgen.tuning.plugins.modules.{name}"],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": {**given, "_ansible_remote_tmp": "/tmp"}}),  # noqa: S108
        env={**os.environ, "PYTHONPATH": str(PROJECT / "collections")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("name", MODULES)
def test_a_service_that_is_not_there_is_one_sentence(name: str) -> None:
    of_databases: dict[str, Any] = {**NOWHERE, "user": "u", "dbname": "d"}
    where = {"redis": NOWHERE, "kubernetes": {"host": "https://127.0.0.1:9"}}.get(name.partition("_")[0], of_databases)
    reached = {"url": "https://127.0.0.1:9"} if name == "https_probe" else {"connection": where}
    answer = json.loads(answer_of(name, {**arguments(name), **reached}))
    assert (answer["failed"], "127.0.0.1:9" in answer["msg"], "exception" in answer) == (True, True, False), answer


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("pgbouncer_config", {"databases": {"leadgen": {"password": "s3cret", "pool_size": 5}}}),
        ("pgbouncer_config", {"passwords": {"leads_app": "s3cret"}}),
        ("redis_settings", {"settings": {"RequirePass": "s3cret"}}),
        ("postgres_settings", {"settings": {"primary_conninfo": "password=s3cret"}}),
    ],
)
def test_the_options_that_a_module_prints_hide_passwords(name: str, options: dict[str, Any]) -> None:
    printed = answer_of(name, {"connection": NOWHERE, **options})
    assert ("s3cret" in printed, "invocation" in printed) == (False, True)
