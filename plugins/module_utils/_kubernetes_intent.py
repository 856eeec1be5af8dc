# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of a pod template: the wish, the template as it is, and the fragments that it takes. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_fields import Path, flatten, merge, walk_containers

# The keys that an object of that kind and name puts into an environment; None when that may not be read.
Sources = Callable[[str, str], Collection[str] | None]
Fragment = dict[str, Any]

QOS, HEAP, SNAPSHOTS, MONITOR, READINESS, CONNECTIONS, KEEP_ALIVE = (
    "kubernetes.guaranteed_qos",
    "node.heap_limit",
    "node.heap_snapshots",
    "node.event_loop_monitoring",
    "kubernetes.readiness_probes",
    "prisma.connection_limit",
    "node.keep_alive",
)


@dataclass
class Intent:
    """A fragment of the pod's spec, which control asks for which of its fields, and what has to be said."""

    spec: Fragment = field(default_factory=dict)
    owners: dict[Path, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def add(self, control: str, fragment: Fragment) -> None:
        """Take in a fragment for a control; a field that is there already stays its first control's."""
        self.spec = merge(self.spec, fragment)
        for path in flatten(fragment):
            self.owners.setdefault(path, control)


@dataclass(frozen=True)
class Template:
    """A wish, the pod's spec as it is, and what is needed to judge them."""

    wish: Mapping[str, Any]
    spec: Mapping[str, Any]
    sources: Sources
    monitor: str = ""  # the name of the ConfigMap with the monitor's file

    def container(self, name: str) -> Mapping[str, Any]:
        """The container of that name, of those that are started first too."""
        return next(each for _where, each in walk_containers(self.spec) if each["name"] == name)

    def fragment(self, name: str, content: Fragment) -> Fragment:
        """The fragment of the pod's spec with that content for the container."""
        where = next(where for where, each in walk_containers(self.spec) if each["name"] == name)
        return {where: [{"name": name, **content}]}

    def limit(self, container: Mapping[str, Any], resource: str) -> Any:
        """The wished limit, else the present one; None where the container is unlimited."""
        wished = self.wish["resources"].get(container["name"], {}).get(resource)
        return wished if wished is not None else container.get("resources", {}).get("limits", {}).get(resource)

    def pod_limit(self, resource: str) -> Any:
        """The same of the pod as a whole."""
        wished = (self.wish["pod_resources"] or {}).get(resource)
        return wished if wished is not None else self.spec.get("resources", {}).get("limits", {}).get(resource)

    def memory(self, container: Mapping[str, Any]) -> Any:
        """The container's memory limit, or the pod's where it is the one container that could use it up."""
        limit = self.limit(container, "memory")
        if limit is None and sum(1 for _each in walk_containers(self.spec)) == 1:
            return self.pod_limit("memory")
        return limit
