# SPDX-License-Identifier: GPL-3.0-or-later
"""Fields of objects: whose they are, which differ, and what has to be applied."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_fields import (
    changes,
    differing,
    flatten,
    managers_of,
    merge,
    missing_part,
    nest,
    only_paths,
    owned_by,
    smallest,
    without_none,
)
from hypothesis import given
from hypothesis import strategies as st

OURS = "leadgen-tuning"


def managed(fields: dict[str, Any], manager: str = OURS, operation: str = "Apply", **more: str) -> dict[str, Any]:
    return {"manager": manager, "operation": operation, "fieldsV1": fields, **more}


def pod(*entries: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {"metadata": {"managedFields": list(entries)}, "spec": spec}


API: dict[str, Any] = {
    "name": "api",
    "image": "api:1",
    "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
    "args": ["one", "two"],
    "resources": {"limits": {"cpu": "500m"}},
}
ENV_B = {"f:env": {'k:{"name":"B"}': {".": {}, "f:name": {}, "f:value": {}}}}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {}),
        (ENV_B, {"name": "api", "env": [{"name": "B", "value": "2"}]}),
        ({".": {}, "f:name": {}, "f:args": {}}, {"name": "api", "args": ["one", "two"]}),
        ({"f:resources": {"f:limits": {".": {}, "f:cpu": {}}}}, {"name": "api", "resources": {"limits": {"cpu": "500m"}}}),
        # What we applied and somebody has taken out since.
        ({"f:env": {'k:{"name":"C"}': {".": {}, "f:value": {}}}, "f:gone": {}}, {"name": "api", "env": []}),
    ],
)
def test_what_we_own(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    entry = managed({"f:spec": {"f:containers": {'k:{"name":"api"}': fields}}} if fields else {"f:spec": {}})
    owned = owned_by(pod(entry, containers=[API]), OURS)
    assert owned["spec"].get("containers", [{}])[0] == expected if fields else owned == {"spec": {"containers": [API]}}


def test_what_others_applied_or_we_wrote_otherwise_is_not_owned() -> None:
    fields = {"f:spec": {"f:containers": {'k:{"name":"api"}': ENV_B}}}
    entries = (managed(fields, "helm"), managed(fields, operation="Update"), managed(fields, subresource="status"))
    assert owned_by(pod(*entries, containers=[API]), OURS) == {}
    assert managers_of(pod(*entries), ("spec", "containers", "api", "env", "B", "value")) == ["helm", OURS, OURS]
    assert managers_of(pod(*entries), ("spec", "containers", "api", "env")) == ["helm", OURS, OURS]
    assert managers_of(pod(*entries), ("spec", "containers", "proxy")) == []


@pytest.mark.parametrize(
    ("live", "wanted", "expected"),
    [
        ({"limits": {"cpu": "500m"}}, {"limits": {"cpu": "0.5"}}, []),
        ({"limits": {"memory": "1Gi"}}, {"limits": {"memory": "1024Mi"}}, []),
        ({"limits": {"memory": "1G"}}, {"limits": {"memory": "1Gi"}}, [("limits", "memory")]),
        ({"limits": {}}, {"limits": {"cpu": "1"}}, [("limits", "cpu")]),
        # Only of quantities another spelling is the same.
        ({"value": "500m"}, {"value": "0.5"}, [("value",)]),
        ({"probe": {"exec": {"command": ["x"]}}}, {"probe": {"exec": None}}, [("probe", "exec")]),
        ({"probe": {}}, {"probe": {"exec": None}}, []),
        ({"args": ["a", "b"]}, {"args": ["b", "a"]}, [("args",)]),
        ({"env": [{"name": "A", "value": "1"}]}, {"env": [{"name": "A", "value": "1"}]}, []),
        ({"replicas": 0}, {"replicas": 1}, [("replicas",)]),
    ],
)
def test_what_differs(live: dict[str, Any], wanted: dict[str, Any], expected: list[tuple[str, ...]]) -> None:
    assert differing(live, wanted) == expected


def test_only_what_differs_or_is_ours_is_applied() -> None:
    live = {"containers": [{"name": "api", "image": "api:1", "env": [{"name": "A", "value": "1"}]}]}
    wanted = {"containers": [{"name": "api", "image": "api:1", "env": [{"name": "B", "value": "2"}]}]}
    owned = {"containers": [{"name": "api", "env": [{"name": "A", "value": "1"}]}]}
    new = {"name": "B", "value": "2"}
    assert smallest(live, wanted, {}) == {"containers": [{"name": "api", "env": [new]}]}
    assert smallest(live, wanted, owned) == {"containers": [{"name": "api", "env": [{"name": "A", "value": "1"}, new]}]}


def test_defaults_of_what_is_new_are_no_changes() -> None:
    live = {"metadata": {"generation": 1}, "spec": {"probe": {"period": 10}}, "status": {"ready": 1}}
    asked = {"spec": {"probe": {"period": 5}, "get": {"path": "/"}}}
    planned = {"metadata": {"generation": 2}, "spec": {"probe": {"period": 5}, "get": {"path": "/", "scheme": "HTTP"}}}
    assert changes(live, planned, asked) == {("spec", "probe", "period"): (10, 5), ("spec", "get", "path"): (None, "/")}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (("spec", "new", "below"), ("spec", "new")),
        (("spec", "probe", "new"), ("spec", "probe", "new")),
        (("spec", "probe"), ("spec", "probe")),
    ],
)
def test_what_is_missing_of_a_path(path: tuple[str, ...], expected: tuple[str, ...]) -> None:
    assert missing_part({"spec": {"probe": {"period": 10}}}, path) == expected


NAMES = st.sampled_from(["a", "b", "c"])
LEAVES = st.one_of(st.integers(0, 9), st.sampled_from(["x", "y"]), st.lists(st.integers(0, 9), max_size=2))
NAMED = st.dictionaries(
    NAMES, st.dictionaries(st.sampled_from(["value", "other"]), LEAVES, min_size=1), min_size=1, max_size=3
)
LISTS = NAMED.map(lambda found: [{"name": name, **below} for name, below in found.items()])
OBJECTS = st.dictionaries(
    st.sampled_from(["spec", "metadata"]),
    st.fixed_dictionaries(
        {}, optional={"containers": LISTS, "leaf": LEAVES, "deeper": st.fixed_dictionaries({"env": LISTS})}
    ),
    max_size=2,
)


@given(OBJECTS, OBJECTS)
def test_merged_over_it_nothing_differs_any_more(live: dict[str, Any], wanted: dict[str, Any]) -> None:
    merged = merge(live, wanted)
    assert differing(merged, wanted) == []
    assert merge(merged, wanted) == merged
    # What is applied of it is enough.
    assert differing(merge(live, smallest(live, wanted, {})), without_none(wanted)) == []


@given(OBJECTS)
def test_an_object_is_its_leaves(value: dict[str, Any]) -> None:
    leaves = flatten(value)
    assert flatten(nest(leaves)) == leaves
    assert flatten(only_paths(value, set(leaves))) == leaves
    assert smallest(value, value, {}) == {}
