# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a module's work inside the controller's process when the target is a network service.

A module run costs about 0.3 s of CPU, nearly all of it spent on starting Python; the work itself takes milliseconds.
Over a connection to a managed host, or with become, the module runs there as usual: it calls the same function.
"""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.parameters import remove_values
from ansible.plugins.action import ActionBase
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._module import secret_values

# Ansible forks a worker per host and task from the process that imports this. What is frozen is left alone by the workers'
# collectors, so its pages stay shared: a sixth of the CPU of a drift check (see gc.freeze in Python's documentation).
gc.freeze()


class ServiceActionModule(ActionBase):  # type: ignore[misc] # ansible-core ships no types
    """The base of the action plugins; a subclass names the argument spec and the work."""

    _supports_check_mode = True
    _supports_async = False
    argument_spec: ClassVar[dict[str, Any]]

    @staticmethod
    def work(_options: Mapping[str, Any], _check_mode: bool, /) -> dict[str, Any]:
        """The module's own function."""
        raise NotImplementedError

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the module's result, with the control ids and what kind of look it was, for the display."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        arguments = dict(self._task.args)
        controls = [tag for tag in self._task.tags if "." in tag]
        if "only" in self.argument_spec:
            # A module without that option knows the owners itself, and one may by its default.
            known = self.argument_spec.get("controls", {"default": True})["default"]
            has_owners = arguments.get("controls") or (controls and known)
            controls = selected(controls, variables.get("ansible_run_tags", ()))
            arguments.setdefault("only", controls if has_owners else None)
        if self._connection.transport == "local" and not self._play_context.become:
            result.update(self._work_here(arguments))
        else:
            result.update(self._execute_module(module_args=arguments, task_vars=task_vars))
        if "audit" in result:
            controls = selected(controls, variables.get("ansible_run_tags", ()))
            result["audit"] = [entry for entry in result["audit"] if not controls or entry["control"] in controls]
        result["check_mode"] = bool(self._task.check_mode)
        result["verified"] = bool(self._task.args.get("verify")) and not result.get("failed")
        result["controls"] = controls
        return result

    def _work_here(self, arguments: dict[str, Any]) -> dict[str, Any]:
        validated = ArgumentSpecValidator(self.argument_spec).validate(arguments)
        secrets = validated._no_log_values | secret_values(arguments)  # the validator has no public name for them
        if validated.error_messages:
            reasons = remove_values("; ".join(validated.error_messages), secrets)
            raise AnsibleActionFail(f"{self._task.action.rpartition('.')[2]}: {reasons}; see the variables of that name")
        try:
            result = type(self).work(validated.validated_parameters, bool(self._task.check_mode))
        except TuningError as error:
            result = {**error.result, "failed": True, "msg": str(error)}
        cleaned: dict[str, Any] = remove_values(result, secrets)
        return cleaned


def selected(controls: Sequence[str], run_tags: Sequence[str]) -> list[str]:
    """Those of a task's controls that ``--tags`` names, or all where it names none of them.

    Of ``--skip-tags`` Ansible passes over the whole task for one of its tags.
    """
    return [control for control in controls if control in run_tags] or list(controls)
