# SPDX-License-Identifier: GPL-3.0-or-later
"""Workloads as the inventory wishes them: read, plan everything, and only then change one after another."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes import connect, connection_argument
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_limits import (
    claim,
    refused_by_quotas,
    refused_by_ranges,
    unavailable_of,
)
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_plan import Change, plan, shown
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_pool import most_pods
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_reading import Reading
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_render import bring_about, files_of
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_rollout import (
    UnfollowedError,
    held_back,
    read_pods,
    roll_out,
)
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_wanted import Asked, asked_by
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_wishes import (
    named,
    read_wishes,
    takes,
    wishes_arguments,
)
from ansible_collections.leadgen.tuning.plugins.module_utils._settings import HIDDEN

ARGUMENT_SPEC: dict[str, Any] = {
    **connection_argument(),
    **wishes_arguments(),
    "monitor_script": {"type": "str", "default": ""},
    "only": {"type": "list", "elements": "str"},
    "render_directory": {"type": "path", "default": ""},
    "rollout_timeout": {"type": "float", "default": 600.0},
    "verify": {"type": "bool", "default": False},
}
_SHOWN_ERRORS = 5


def reconcile(options: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    """Bring the workloads about, with their autoscalers and budgets; in check mode say what that would change.

    Every change of every workload has passed the server's dry run before the first is made.

    :raises TuningError: for a wrong wish, a refusal of the server, another's field, or a rollout that failed. What had been
        changed until then is the error's result.
    """
    wishes = read_wishes(options)
    with connect(options["connection"]) as cluster:
        reading = Reading(cluster, ignores_rendered=bool(options["render_directory"]))
        reading.read_workloads(wishes)
        asked, changes = _plan_all(reading, wishes, options)
        if changes and options["verify"]:
            found = _result(changes[:1])["diff"]
            name, wanted = next(iter(found["after"].items()))
            raise TuningError(f"{name}: verification found {found['before'][name]} where {wanted} is wanted")
        if options["render_directory"]:
            files = files_of(wanted for each in asked for wanted in each.objects)
            return {**bring_about(Path(options["render_directory"]), files, check_mode), **_about(asked)}
        done: list[Change] = []
        for change in () if check_mode else changes:
            try:
                roll_out(cluster, change, options["rollout_timeout"])
            except TuningError as error:
                changed = [*done, change] if isinstance(error, UnfollowedError) else done
                raise TuningError(str(error), _result(changed) if changed else {}) from error
            done.append(change)
    return {**_result(changes), **_about(asked)}


def _about(asked: Iterable[Asked]) -> dict[str, Any]:
    return {
        "warnings": [f"{named(each.wish)}: {warning}" for each in asked for warning in each.warnings],
        "most_pods": {named(each.wish): most_pods(each.wish, each.workload) for each in asked},
    }


def _plan_all(
    reading: Reading, wishes: Iterable[Mapping[str, Any]], options: Mapping[str, Any]
) -> tuple[list[Asked], list[Change]]:
    """What is asked for, and what has to be changed, in the inventory's order.

    :raises TuningError: with what is wrong of all of them.
    """
    asked: list[Asked] = []
    changes: list[Change] = []
    errors: list[str] = []
    for wish in wishes:
        try:
            asked.append(asked_by(reading, wish, options["monitor_script"], options["only"]))
            if not options["render_directory"]:
                changes += _changes(reading, asked[-1])
        except TuningError as error:
            errors.append(str(error))
    if errors:
        more = [f"and {len(errors) - _SHOWN_ERRORS} more of the kind"] if len(errors) > _SHOWN_ERRORS else []
        raise TuningError("; ".join([*errors[:_SHOWN_ERRORS], *more]))
    return asked, changes


def _changes(reading: Reading, asked: Asked) -> list[Change]:
    found = []
    for wanted in asked.objects:
        change = plan(reading.cluster, wanted, partial(takes, asked.wish))
        if change is None:
            continue
        change.guaranteed = asked.wish["guaranteed_qos"]
        if change.changes_template:
            _refuse_rollout(reading, asked, change)
        if wanted.live is None:
            reading.expect(wanted.body)  # for the next workload that asks for it
        found.append(change)
    return found


def _refuse_rollout(reading: Reading, asked: Asked, change: Change) -> None:
    """Refuse what would fail, or never begin, after it was applied."""
    if asked.workload["spec"].get("paused"):
        raise TuningError(f"{named(asked.wish)}: it is paused, so that nothing would be rolled out; resume it first")
    held = held_back(asked.workload, asked.workload["spec"].get("replicas", 1))
    if held:
        asked.warnings.append(f"its updateStrategy leaves {held} pods as they are, which somebody has to make anew")
    elif change.guaranteed:
        read_pods(reading.cluster, asked.workload)  # the proof takes the right to list them
    refused = _refused_pods(reading, asked.workload, change)
    if refused:
        raise TuningError(f"{named(asked.wish)}: {'; '.join(refused)}")


def _refused_pods(reading: Reading, workload: Mapping[str, Any], change: Change) -> list[str]:
    """What LimitRanges and ResourceQuotas would refuse of the pods, which the dry run of their workload does not tell."""
    namespace = workload["metadata"]["namespace"]
    before, after = (each["spec"]["template"]["spec"] for each in (workload, change.planned))
    pods = workload["spec"].get("replicas", 1)
    quotas = reading.all("ResourceQuota", namespace)
    refused = [
        *refused_by_ranges(after, reading.all("LimitRange", namespace)),
        *refused_by_quotas(before, after, pods, unavailable_of(workload, pods), quotas),
    ]
    claim(before, after, pods, quotas)  # so that the next workload finds what this one leaves
    return refused


def _result(changes: Collection[Change]) -> dict[str, Any]:
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    owner: dict[str, str] = {}
    for change in changes:
        for path, (old, new) in change.differences.items():
            name = f"{change.name} {shown(path)}"
            before[name], after[name] = _told(change, old, f"{HIDDEN}, another"), _told(change, new, HIDDEN)
            owner[name] = change.owner(path)
    return {"changed": bool(changes), "diff": {"before": before, "after": after}, "owners": owner}


def _told(change: Change, value: Any, secret: str) -> Any:
    """The value as it is shown: of a file how long it is, and of a Secret nothing."""
    if value is not None and change.body["kind"] == "Secret":
        return secret
    return f"{len(value)} characters" if change.body["kind"] == "ConfigMap" and isinstance(value, str) else value
