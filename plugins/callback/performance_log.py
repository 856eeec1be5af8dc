# Copyright: (c) 2026, Retune maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collects what the tasks that carry a control did, and writes the record of the run."""

from __future__ import annotations

DOCUMENTATION = r"""
name: performance_log
type: notification
short_description: Writes the performance log
version_added: 0.1.0
description:
  - Collects from every task that carries a control of the guide as a tag what it changed, and the measurements before and
    after, and writes one record a run. The tasks themselves know nothing of it.
  - An apply that changed something or failed is appended to C(<environment>.jsonl) in the log's directory. The environment
    is what the runner was given, else the variable C(tuning_environment), else the name of the inventory's folder.
options:
  record_file:
    description: File that gets the record of the run as JSON, whatever its mode and outcome. Used by the runner.
    type: path
    env:
      - name: RETUNE_RECORD_FILE
requirements:
  - enabled by C(callbacks_enabled = leadgen.tuning.performance_log) in ansible.cfg
author:
  - Retune maintainers (@leadgen)
"""

import os
import subprocess
from pathlib import Path
from typing import Any

from ansible import context
from ansible.plugins.callback import CallbackBase
from ansible_collections.leadgen.tuning.plugins.plugin_utils._lock import release
from ansible_collections.leadgen.tuning.plugins.plugin_utils._record import (
    PerformanceLog,
    Record,
    environment_name,
    log_directory,
    user,
)


class CallbackModule(CallbackBase):  # type: ignore[misc] # ansible-core ships no types
    """Turns results into the record."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "leadgen.tuning.performance_log"
    CALLBACK_NEEDS_ENABLED = True

    record: Record | None = None
    log: PerformanceLog
    project: Path

    def v2_playbook_on_start(self, playbook: Any) -> None:
        self.project = Path(playbook._basedir).parent

    def v2_playbook_on_play_start(self, play: Any) -> None:
        if self.record is not None:
            return
        variables = _variables(play)
        self.record = Record(
            environment=environment_name(variables, context.CLIARGS.get("inventory") or ()),
            mode="check" if play.check_mode else "apply",
            who=str(variables.get("awx_user_name") or variables.get("tower_user_name") or user()),
            revision=str(variables.get("awx_project_revision") or ""),
        )
        self.log = PerformanceLog(log_directory(self.project), self.record.environment)
        if self.record.mode == "apply":
            self.log.adopt_interrupted()

    def v2_runner_on_ok(self, result: Any) -> None:
        # A task that checks without a wish to change, as verification does, decides nothing.
        if self.record is None or (self.record.mode == "apply" and result._task.check_mode):
            return
        changed = self.record.add_result(_controls(result), result._host.get_name(), _name(result), result._result)
        if changed and self.record.mode == "apply":
            self.log.keep_partial(self.record)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        # The task that ends a drift check or an audit by failing says what was found; nothing went wrong.
        if self.record is not None and not ignore_errors and not {"drift", "audit"} & set(result._task.tags):
            message = " ".join(str(result._result.get("msg") or "failed without a message").split())
            if result._result.get("changed") and self.record.mode == "apply":  # a failure that left something changed
                self.record.add_result(_controls(result), result._host.get_name(), _name(result), result._result)
            self.record.add_failure(_controls(result), result._host.get_name(), _name(result), message)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self.v2_runner_on_failed(result)

    def v2_playbook_on_stats(self, _stats: Any) -> None:
        if self.record is None:
            return
        self.record.finish()
        if self.record.worth_keeping():
            self.record.revision = self.record.revision or _revision(self.project)
        record_file = self.get_option("record_file")
        if record_file:
            Path(record_file).write_text(self.record.to_json(), encoding="utf-8")
        if self.record.worth_keeping():
            self.log.append(self.record.to_json())
        self.log.drop_partial(self.record)
        release(self.log.path.parent, self.record.environment, os.getpid())


def _variables(play: Any) -> dict[str, Any]:
    """The variables of the play's first host, where the inventory's own are."""
    manager = play.get_variable_manager()
    hosts = manager._inventory.get_hosts()
    found: dict[str, Any] = manager.get_vars(play=play, host=hosts[0]) if hosts else {}
    return found


def _revision(project: Path) -> str:
    """The commit that the project is at; empty outside a git checkout."""
    command = ["git", "-C", str(project), "rev-parse", "--short=12", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def _controls(result: Any) -> list[str]:
    """The controls that were looked at: those that the collection's own plugins say, else the task's tags."""
    looked_at = result._result.get("controls")
    return list(looked_at) if isinstance(looked_at, list) else [tag for tag in result._task.tags if "." in tag]


def _name(result: Any) -> str:
    return str(result._task.get_name(include_role_fqcn=False))
