# SPDX-License-Identifier: GPL-3.0-or-later
"""Fields of an object: which a manager owns, which differ, and the smallest configuration to apply. No I/O.

A *path* is a tuple of names; an element of a list that has keys is named by them, as in ``("containers", "api", "env",
"NODE_OPTIONS", "value")``. Lists without keys are one value. The format of managed fields is Kubernetes's ``FieldsV1``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_quantities import number

Path = tuple[str, ...]

# Of the lists that are applied here, the keys that tell their elements apart (x-kubernetes-list-map-keys).
LIST_KEYS = {"containers": "name", "env": "name", "initContainers": "name", "volumeMounts": "mountPath", "volumes": "name"}
_OF_DAEMON_SETS = "deprecated.daemonset.template.generation"
_NOTHING: Any = object()
_QUANTITIES = frozenset({"limits", "requests", "sizeLimit"})
# What the server itself keeps up to date.
_OF_SERVER = frozenset({"creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid"})


def owned_by(live: Mapping[str, Any], manager: str) -> dict[str, Any]:
    """The part of the object that the manager has applied, with the values that the fields have now."""
    found: dict[str, Any] = {}
    for entry in live.get("metadata", {}).get("managedFields", ()):
        if entry["manager"] == manager and entry["operation"] == "Apply" and not entry.get("subresource"):
            found = merge(found, _extract(live, entry["fieldsV1"]))
    return found


def managers_of(live: Mapping[str, Any], path: Path) -> list[str]:
    """Those who own the field at the path, or something below it."""
    found = []
    for entry in live.get("metadata", {}).get("managedFields", ()):
        fields: Any = entry["fieldsV1"]
        for place, name in enumerate(path):
            key = LIST_KEYS.get(path[place - 1]) if place else None
            fields = _below(fields, key, name)
        if fields is not None:
            found.append(str(entry["manager"]))
    return found


def _below(fields: Any, key: str | None, name: str) -> Any:
    if not isinstance(fields, Mapping):
        return None
    if key is None:
        return fields.get(f"f:{name}")
    return next(
        (below for named, below in fields.items() if named[:2] == "k:" and json.loads(named[2:]).get(key) == name), None
    )


def _extract(value: Any, fields: Mapping[str, Any]) -> Any:
    children = {key: below for key, below in fields.items() if key != "."}
    if not fields:
        return value  # a leaf
    if isinstance(value, list):
        return [
            element for element in (_element(value, key, below) for key, below in children.items()) if element is not None
        ]
    if not isinstance(value, Mapping):
        return value
    return {key[2:]: _extract(value[key[2:]], below) for key, below in children.items() if key[2:] in value}


def _element(values: list[Any], key: str, fields: Mapping[str, Any]) -> Any:
    """The element that ``k:{...}`` or ``v:...`` names, with its keys; None when it is not there any more."""
    named = json.loads(key[2:])
    if key.startswith("v:"):
        return named if named in values else None
    for value in values:
        if all(value.get(name) == wanted for name, wanted in named.items()):
            return {**named, **(_extract(value, fields) if fields else {})}
    return None


def merge(base: Any, over: Any, key: str = "") -> Any:
    """Both together; where both have a value, that of ``over``."""
    if isinstance(base, Mapping) and isinstance(over, Mapping):
        both = {name: merge(base[name], over[name], name) for name in base if name in over}
        return {**base, **over, **both}
    if isinstance(base, list) and isinstance(over, list) and key in LIST_KEYS:
        named = LIST_KEYS[key]
        by_name = {element[named]: element for element in base}
        for element in over:
            by_name[element[named]] = merge(by_name.get(element[named], {}), element)
        return list(by_name.values())
    return over


def flatten(value: Any, path: Path = ()) -> dict[Path, Any]:
    """Each leaf by its path. An empty dictionary is a leaf."""
    found: dict[Path, Any] = {}
    for name, below in _children(value, path):
        if _children(below, (*path, name)):
            found |= flatten(below, (*path, name))
        else:
            found[*path, name] = below
    return found


def _children(value: Any, path: Path) -> list[tuple[str, Any]]:
    if isinstance(value, Mapping):
        return [(str(name), below) for name, below in value.items()]
    if isinstance(value, list) and path and path[-1] in LIST_KEYS:
        return [(str(element[LIST_KEYS[path[-1]]]), element) for element in value]
    return []


def at(value: Any, path: Path) -> Any:
    """What is at the path; None where nothing is."""
    for place, name in enumerate(path):
        value = dict(_children(value, path[:place])).get(name)
    return value


def is_same(path: Path, one: Any, other: Any) -> bool:
    """Whether two values of a field mean the same: 500m and 0.5, 1024Mi and 1Gi."""
    if one == other or one is None or other is None or not _QUANTITIES & set(path):
        return bool(one == other)
    try:
        return bool(number(one) == number(other))
    except ValueError:
        return False


def differing(live: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[Path]:
    """The paths of ``wanted`` whose value the object has not.

    None asks for nothing to be there, and an empty dictionary for anything.
    """
    return [path for path, value in flatten(wanted).items() if not _has(at(live, path), path, value)]


def _has(present: Any, path: Path, wanted: Any) -> bool:
    if wanted is None or wanted == {}:
        return isinstance(present, Mapping) if wanted == {} else present is None
    return is_same(path, present, wanted)


def smallest(live: Mapping[str, Any], wanted: Mapping[str, Any], owned: Mapping[str, Any]) -> dict[str, Any]:
    """What has to be applied: all that the manager owns already, since what it leaves out is removed, and what differs.

    What is as wanted and another's stays out, and so stays the other's.
    """
    needed = {*differing(live, wanted), *flatten(owned)}
    result: dict[str, Any] = merge(owned, only_paths(wanted, needed))
    return result


def identified(content: Mapping[str, Any], of: Mapping[str, Any]) -> dict[str, Any]:
    """The content as a body to be sent: with the API, kind, namespace and name of that object."""
    metadata = {key: of["metadata"][key] for key in ("namespace", "name")}
    identity = {key: of[key] for key in ("apiVersion", "kind")}
    return {**content, **identity, "metadata": {**content.get("metadata", {}), **metadata}}


def only_paths(value: Mapping[str, Any], paths: set[Path]) -> dict[str, Any]:
    """The part of an object that is at these paths."""
    found = _prune(value, (), paths)
    return {} if found is _NOTHING else dict(found)


def _prune(value: Any, path: Path, needed: set[Path]) -> Any:
    children = _children(value, path)
    if not children:
        return value if path in needed else _NOTHING
    pruned = {name: _prune(below, (*path, name), needed) for name, below in children}
    kept = {name: below for name, below in pruned.items() if below is not _NOTHING}
    if kept and isinstance(value, list):
        named = LIST_KEYS[path[-1]]
        return [{named: name, **below} for name, below in kept.items()]
    return kept or _NOTHING


def with_whole_lists(live: Mapping[str, Any], part: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The part, with each list at the path as a whole: the object's, and over it the part's own elements."""
    whole = at(live, path) or {}
    lists = {
        (*path, key): merge(whole[key], below, key)
        for key, below in at(part, path).items()
        if key in LIST_KEYS and key in whole
    }
    return dict(merge(nest(lists), part))


def nest(values: Mapping[Path, Any]) -> dict[str, Any]:
    """An object that has these values at these paths, and nothing else."""
    found: dict[str, Any] = {}
    for path, value in values.items():
        nested = value
        for place in range(len(path) - 1, -1, -1):
            key = LIST_KEYS.get(path[place - 1]) if place else None
            nested = [{key: path[place], **nested}] if key else {path[place]: nested}
        found = merge(found, nested)
    return found


def missing_part(live: Mapping[str, Any], path: Path) -> Path:
    """The shortest beginning of a path at which the object has nothing; the path itself where it has all of it."""
    for length in range(1, len(path)):
        if at(live, path[:length]) is None:
            return path[:length]
    return path


def is_element(path: Path) -> bool:
    """Whether an element of a list is at the path."""
    return len(path) > 1 and path[-2] in LIST_KEYS


def without_none(value: Any) -> Any:
    """The same without what asks for a field to go: server-side apply leaves such a thing out."""
    if isinstance(value, Mapping):
        return {name: without_none(below) for name, below in value.items() if below is not None}
    return [without_none(element) for element in value] if isinstance(value, list) else value


def changes(live: Mapping[str, Any], planned: Mapping[str, Any], applied: Mapping[str, Any]) -> dict[Path, tuple[Any, Any]]:
    """What the server would make of the object, by path: the values before and after.

    Left out is what the server keeps up to date itself, and what it fills in by default into what is new.
    """
    before, after, asked = (flatten(_comparable(each)) for each in (live, planned, applied))
    found = {}
    for path in dict.fromkeys((*before, *after)):
        old, new = before.get(path), after.get(path)
        is_default = path not in before and path not in asked
        is_key = is_element(path[:-1]) and path[-1] == LIST_KEYS[path[-3]]  # said by the path already
        if not is_same(path, old, new) and not is_default and not is_key:
            found[path] = (old, new)
    return found


def _comparable(value: Mapping[str, Any]) -> dict[str, Any]:
    metadata = {name: below for name, below in value.get("metadata", {}).items() if name not in _OF_SERVER}
    if _OF_DAEMON_SETS in metadata.get("annotations", {}):
        metadata["annotations"] = {key: each for key, each in metadata["annotations"].items() if key != _OF_DAEMON_SETS}
    return {**{name: below for name, below in value.items() if name != "status"}, "metadata": metadata}


def walk_containers(template_spec: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each container of a pod with the name of its list, the init containers and sidecars first, as they start."""
    for name in ("initContainers", "containers"):
        for container in template_spec.get(name) or ():
            yield name, container
