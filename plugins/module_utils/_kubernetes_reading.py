# SPDX-License-Identifier: GPL-3.0-or-later
"""What the cluster has of the things that the wishes are about, with as few requests as that takes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes import APIS, Cluster, RefusedError
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_wishes import key_of

Object = dict[str, Any]
# The annotation of objects that came out of a rendered folder.
RENDERED = "leadgen.tuning/rendered"
_FORBIDDEN = 403


@dataclass
class Reading:
    """Objects by namespace. What is read once is not read again."""

    cluster: Cluster
    ignores_rendered: bool = False  # so that what came out of a rendered folder is rendered as if it were not there
    workloads: dict[tuple[str, str, str], Object] = field(default_factory=dict)
    _lists: dict[tuple[str, str], list[Object]] = field(default_factory=dict)
    _objects: dict[tuple[str, str, str], Object | None] = field(default_factory=dict)
    _forbidden: set[tuple[str, str, str]] = field(default_factory=set)
    _minor: int | None = None

    def read_workloads(self, wishes: Iterable[Mapping[str, Any]]) -> None:
        """Read those that are wished about: one by its name, several of a namespace as a list.

        :raises RefusedError: when the user may not.
        """
        names: dict[tuple[str, str], set[str]] = defaultdict(set)
        for namespace, kind, name in map(key_of, wishes):
            names[namespace, kind].add(name)
        for (namespace, kind), wanted in names.items():
            if len(wanted) == 1:
                (name,) = wanted
                found = self.cluster.find(kind, namespace, name)
                listed = [found] if found else []
            else:
                listed = [each for each in self.cluster.list(kind, namespace) if each["metadata"]["name"] in wanted]
            for each in listed:
                self.workloads[namespace, kind, each["metadata"]["name"]] = {
                    **each,
                    "apiVersion": APIS[kind][0],
                    "kind": kind,
                }

    def all(self, kind: str, namespace: str) -> list[Object]:
        """Every object of a kind in a namespace."""
        if (kind, namespace) not in self._lists:
            self._lists[kind, namespace] = [each for each in self.cluster.list(kind, namespace) if not self._ignores(each)]
        return self._lists[kind, namespace]

    def one(self, kind: str, namespace: str, name: str) -> Object | None:
        """One object; None where there is none of that name."""
        if (kind, namespace, name) not in self._objects:
            found = self.cluster.find(kind, namespace, name)
            self._objects[kind, namespace, name] = None if found and self._ignores(found) else found
        return self._objects[kind, namespace, name]

    def expect(self, planned: Object) -> None:
        """Take an object as there, which the plan will have made before it is asked for again."""
        metadata = planned["metadata"]
        self._objects[planned["kind"], metadata["namespace"], metadata["name"]] = planned

    def _ignores(self, found: Mapping[str, Any]) -> bool:
        return self.ignores_rendered and RENDERED in found["metadata"].get("annotations", {})

    def keys(self, namespace: str, kind: str, name: str) -> Collection[str] | None:
        """The keys of a ConfigMap or Secret; none where there is no such object, None where it may not be read."""
        if (kind, namespace, name) in self._forbidden:
            return None
        try:
            found = self.one(kind, namespace, name) or {}
        except RefusedError as refused:
            if refused.status != _FORBIDDEN:
                raise
            self._forbidden.add((kind, namespace, name))
            return None
        return list(found.get("data") or ())

    @property
    def minor_version(self) -> int:
        """The server's version: 35 of 1.35."""
        if self._minor is None:
            self._minor = int(self.cluster.get("/version")["minor"].rstrip("+"))
        return self._minor
