# SPDX-License-Identifier: GPL-3.0-or-later
"""The action plugin of the module of the same name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.plugin_utils._lock import take
from ansible_collections.leadgen.tuning.plugins.plugin_utils._record import environment_name, log_directory, user


class ActionModule(ActionBase):  # type: ignore[misc] # ansible-core ships no types
    """Takes the environment's lock for the playbook's process; a run in check mode needs none."""

    _supports_check_mode = True
    _VALID_ARGS: frozenset[str] = frozenset()

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return an unchanged result, or a failed one that says who holds the lock."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        if self._task.check_mode:
            return result
        variables = task_vars or {}
        directory = log_directory(Path(variables["playbook_dir"]).parent)
        try:
            take(directory, environment_name(variables, variables["ansible_inventory_sources"]), user(), os.getppid())
        except TuningError as error:
            result.update(failed=True, msg=str(error))
        except OSError as error:
            reason = error.strerror or str(error)
            result.update(
                failed=True,
                msg=f"the performance log's folder {directory} cannot be written: {reason}; set RETUNE_LOG_DIRECTORY to one "
                "that can, since no change is made without a record",
            )
        return result
