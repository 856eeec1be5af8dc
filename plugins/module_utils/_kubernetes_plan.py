# SPDX-License-Identifier: GPL-3.0-or-later
"""What applying a configuration would change of one object: the server's own dry run tells."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes import MANAGER, Cluster, RefusedError
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_fields import (
    Path,
    at,
    changes,
    differing,
    flatten,
    identified,
    managers_of,
    owned_by,
    smallest,
    with_whole_lists,
    without_none,
)

_FORBIDDEN, _TOO_MANY = 403, 5
# The field managers that people know by another name.
_KNOWN = {
    "argocd-controller": "Argo CD",
    "argocd-application-controller": "Argo CD",
    "helm": "Helm",
    "helm-controller": "Flux",
    "kubectl-client-side-apply": "kubectl apply",
    "kubectl-edit": "kubectl edit",
    "kubectl-patch": "kubectl patch",
    "kustomize-controller": "Flux",
}
# Their definitions give the lists of a pod no keys, so that a list is applied, owned and taken as a whole.
ATOMIC = frozenset({"Rollout"})
TEMPLATE: Path = ("spec", "template", "spec")
_OF_POD, _OF_SPEC = "spec.template.spec.", "spec."


@dataclass(frozen=True)
class Wanted:
    """An object with the fields that are asked for, the object as it is, and which control asks."""

    body: dict[str, Any]
    live: Mapping[str, Any] | None
    control: str  # of what none of ``owners`` owns
    owners: Mapping[Path, str] = field(default_factory=dict)


@dataclass
class Change:
    """An object and what its change takes. ``live`` is None where it is to be made."""

    body: dict[str, Any]
    live: Mapping[str, Any] | None
    owners: Mapping[Path, str]
    control: str  # of what none of ``owners`` owns
    force: bool = False
    guaranteed: bool = False  # whether the pods have to be of that QoS class afterwards
    differences: dict[Path, tuple[Any, Any]] = field(default_factory=dict)
    planned: dict[str, Any] = field(default_factory=dict)

    @property
    def removes(self) -> bool:
        """Whether a field goes that another manager may own, which server-side apply cannot do."""
        return None in flatten(self.body).values()

    @property
    def name(self) -> str:
        """The object as the plan names it."""
        return named(self.body)

    def owner(self, path: Path) -> str:
        """The control that asks for a field, or for something that it belongs to."""
        parts = (path[:length] for length in range(len(path), 0, -1))
        return next((self.owners[part] for part in parts if part in self.owners), self.control)

    @property
    def changes_template(self) -> bool:
        """Whether the pods are made anew."""
        return any(path[:2] == ("spec", "template") for path in self.differences)


def named(body: Mapping[str, Any]) -> str:
    """Namespace, kind and name of an object."""
    return f"{body['metadata']['namespace']}/{body['kind']}/{body['metadata']['name']}"


def shown(path: Path) -> str:
    """A path as the plan shows it and ``take`` names it: ``containers.api.resources.limits.cpu``."""
    text = ".".join(path)
    for prefix in (_OF_POD, _OF_SPEC):
        if text.startswith(prefix):
            return text.removeprefix(prefix)
    return text


def plan(cluster: Cluster, asked: Wanted, takes: Callable[[str], bool]) -> Change | None:
    """What makes the object as wanted; None when nothing has to be done, which takes no request.

    :raises TuningError: when the server would refuse it, or another manager owns a field that is not to be taken.
    """
    wanted, live = asked.body, asked.live
    if live and not differing(live, wanted):
        return None
    content = {key: value for key, value in wanted.items() if key not in {"apiVersion", "kind"}}
    body = smallest(live or {}, content, owned_by(live, MANAGER) if live else {})
    if live and wanted["kind"] in ATOMIC and at(body, TEMPLATE):
        body = without_none(with_whole_lists(live, body, TEMPLATE))
    change = Change(identified(body, wanted), live, asked.owners, asked.control)
    _dry_run(cluster, change, takes)
    change.differences = changes(live or identified({}, wanted), change.planned, change.body)
    return change if change.differences else None


def _dry_run(cluster: Cluster, change: Change, takes: Callable[[str], bool]) -> None:
    gone = [path for path, value in flatten(change.body).items() if value is None]
    held = [(shown(path), manager) for path in gone for manager in managers_of(change.live or {}, path)]
    try:
        try:
            change.planned = cluster.apply(change.body, dry_run=True, force=False)
        except RefusedError as refused:
            change.force = refused.is_conflict
            if change.force:
                held += [
                    (_path_of(str(each.get("field"))), _manager_of(str(each.get("message")))) for each in refused.causes
                ]
            if not change.force and not gone:  # what is to go may be what makes the rest invalid
                raise
        _refuse_unless_taken(change, held, takes)
        if gone:
            change.planned = cluster.merge(change.body, dry_run=True)
        elif change.force:
            change.planned = cluster.apply(change.body, dry_run=True, force=True)
    except RefusedError as refused:
        raise refusal(change.body, refused) from refused


def _refuse_unless_taken(change: Change, held: Iterable[tuple[str, str]], takes: Callable[[str], bool]) -> None:
    # Ours is what a merge patch of ours has written.
    left = [(path, manager) for path, manager in held if manager != MANAGER and not takes(path)]
    if not left:
        return
    managers = ", ".join(dict.fromkeys(known_as(manager) for _path, manager in left))
    fields = ", ".join(path for path, _manager in left[:_TOO_MANY]) + (" and others" if len(left) > _TOO_MANY else "")
    raise TuningError(
        f"{change.name}: {managers} owns {fields}; change it there, render a patch for it (kubernetes_render_directory), or "
        "name the field in the workload's take"
    )


def known_as(manager: str) -> str:
    """What people call the program that has that field manager."""
    return _KNOWN.get(manager, manager)


def _path_of(given: str) -> str:
    """``.spec.template.spec.containers[name="api"].image`` as ``containers.api.image``."""
    plain = re.sub(r'\[\w+="([^"]*)"\]', r".\1", given).lstrip(".")
    return shown(tuple(plain.split(".")))


def _manager_of(message: str) -> str:
    found = re.search(r'conflict with "([^"]+)"', message)
    return found[1] if found else "another manager"


def refusal(body: Mapping[str, Any], refused: RefusedError) -> TuningError:
    """The server's refusal in one sentence."""
    said = " ".join(str(refused).split())
    if refused.status == _FORBIDDEN and refused.reason == "Forbidden" and "cannot" in said:
        return TuningError(f"{named(body)}: {said}; bind the Role of docs/kubernetes.md to this user")
    return TuningError(f"{named(body)}: the API server refuses it: {said}")
