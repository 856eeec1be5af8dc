# SPDX-License-Identifier: GPL-3.0-or-later
"""The action plugin of the module of the same name."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.leadgen.tuning.plugins.plugin_utils._record import by_owner


class ActionModule(ActionBase):  # type: ignore[misc] # ansible-core ships no types
    """Gathers the registered results of this collection's modules on all hosts of the play."""

    _supports_check_mode = True
    _VALID_ARGS: frozenset[str] = frozenset()

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the drift by host and control, and publish it as the run's statistics."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        drift, errors = {}, {}
        for host in variables["ansible_play_hosts_all"]:
            known = variables["hostvars"].raw_get(host)
            found = _drift_of(known)
            if found:
                drift[host] = found
            if "ansible_failed_result" in known:
                errors[host] = str(known["ansible_failed_result"].get("msg", "a task failed"))
        lines = [f"could not tell: {host}: {message}" for host, message in errors.items()]
        lines += [
            f"drift found: {host} {control} {name}: {change['now']} -> {change['wanted']}"
            for host, controls in drift.items()
            for control, changes in controls.items()
            for name, change in changes.items()
        ]
        published = {"data": {"drift": drift, "errors": errors}, "per_host": False, "aggregate": True}
        result.update(changed=False, drift=drift, errors=errors, summary="; ".join(lines), ansible_stats=published)
        return result


def _drift_of(variables: dict[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    """Changes by control and parameter, of the results that carry controls."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for value in variables.values():
        if not isinstance(value, dict) or not value.get("controls") or not value.get("changed"):
            continue
        for controls, part in by_owner(sorted(value["controls"]), value).items():
            changes = found.setdefault(" ".join(controls), {})
            changes.update({name: {"now": part["before"][name], "wanted": part["after"][name]} for name in part["after"]})
    return found
