# SPDX-License-Identifier: GPL-3.0-or-later
"""The action plugin of the module of the same name."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):  # type: ignore[misc] # ansible-core ships no types
    """Gathers the verdicts among the registered results on all hosts of the play."""

    _supports_check_mode = True
    _VALID_ARGS: frozenset[str] = frozenset()

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the verdicts that are not a pass as one line, and publish all of them as the run's statistics."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        verdicts, errors = {}, {}
        for host in variables["ansible_play_hosts_all"]:
            known = variables["hostvars"].raw_get(host)
            found = [entry for value in known.values() if _is_audit(value) for entry in value["audit"]]
            if found:
                verdicts[host] = found
            if "ansible_failed_result" in known:
                errors[host] = str(known["ansible_failed_result"].get("msg", "a task failed"))
        lines = [f"could not tell: {host}: {message}" for host, message in errors.items()]
        lines += [
            f"{entry['verdict']}: {host} {entry['control']}: {_why(entry)}"
            for host, entries in verdicts.items()
            for entry in entries
            if entry["verdict"] != "pass"
        ]
        published = {"data": {"audit": verdicts, "errors": errors}, "per_host": False, "aggregate": True}
        result.update(changed=False, audited=verdicts, errors=errors, summary="; ".join(lines), ansible_stats=published)
        return result


def _is_audit(value: Any) -> bool:
    return isinstance(value, dict) and "controls" in value and isinstance(value.get("audit"), list)


def _why(entry: dict[str, Any]) -> str:
    found = [f"{finding['kind']} {finding['index'] or finding['table']}" for finding in entry["findings"]]
    return ", ".join(found) or str(entry["reason"])
