# SPDX-License-Identifier: GPL-3.0-or-later
"""No pod is promised a connection that is not there."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._prisma_share import connection_limit, pool_share, surge_pods
from hypothesis import given
from hypothesis import strategies as st

NUMBERS = st.integers(0, 40)


@pytest.mark.parametrize(
    ("surge", "replicas", "expected"),
    [
        (0, 10, 0),
        (3, 10, 3),
        ("3", 10, 3),
        ("0%", 10, 0),
        ("25%", 8, 2),
        ("25%", 10, 3),  # 2.5 pods are 3
        ("25%", 1, 1),
        ("1%", 10, 1),
        ("100%", 10, 10),
        ("150%", 10, 15),
    ],
)
def test_surge(surge: int | str, replicas: int, expected: int) -> None:
    assert surge_pods(surge, replicas) == expected


@pytest.mark.parametrize("surge", [-1, "-1", "-25%", "2.5%", "%", "25 %", "", "all", None, 0.25, True])
def test_surge_refuses(surge: Any) -> None:
    with pytest.raises(TuningError, match="maxSurge"):
        surge_pods(surge, 10)


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        # max_connections, reserved, other users, replicas, surge
        ((100, 3, 10, 10, "25%"), 6),  # 87 for 13 pods: 6.7
        ((100, 3, 7, 10, 0), 9),
        ((100, 0, 0, 10, 0), 10),
        ((100, 0, 1, 10, 0), 9),
        ((13, 0, 0, 10, "25%"), 1),
        ((500, 3, 47, 12, "25%"), 30),
        ((100, 3, 10, 1, 1), 43),
        # not even one a pod
        ((12, 0, 0, 10, "25%"), 1),
        ((100, 3, 97, 1, 0), 1),
        ((100, 3, 200, 5, 0), 1),
    ],
)
def test_connection_limit(numbers: tuple[int, int, int, int, int | str], expected: int) -> None:
    assert connection_limit(*numbers) == expected


def test_surge_is_by_default_kubernetes_own() -> None:
    assert connection_limit(100, 3, 10, 10) == connection_limit(100, 3, 10, 10, "25%")


def test_too_few_connections_are_told_with_the_numbers() -> None:
    share = pool_share(20, 3, 7, 10, "25%")
    assert (share.limit, share.pods, share.available) == (1, 13, 10)
    for part in (
        "13 pods",
        "10 replicas",
        "3 of a rollout",
        "the 10 that",
        "max_connections 20",
        "3 reserved",
        "7 of other",
    ):
        assert part in share.warning
    assert pool_share(23, 3, 7, 10, "25%").warning == ""


@pytest.mark.parametrize(
    ("numbers", "named"),
    [
        ((0, 3, 10, 10, 0), "max_connections is 0"),
        ((-100, 3, 10, 10, 0), "max_connections is -100"),
        ((100, -3, 10, 10, 0), "reserved is -3"),
        ((100, 3, -10, 10, 0), "other_users is -10"),
        ((100, 3, 10, 0, 0), "max_replicas is 0"),
        ((100, 3, 10, -1, 0), "max_replicas is -1"),
        ((100, 3, 10, 2.5, 0), "max_replicas has to be a whole number of 1 or more"),
        ((100, 3, 10, True, 0), "max_replicas has to be a whole number"),
        ((None, 3, 10, 10, 0), "max_connections has to be a whole number"),
    ],
)
def test_nonsense(numbers: tuple[Any, ...], named: str) -> None:
    with pytest.raises(TuningError, match=named):
        connection_limit(*numbers)


@given(
    most=st.integers(1, 5000),
    reserved=NUMBERS,
    others=st.integers(0, 3000),
    replicas=st.integers(1, 300),
    surge=st.integers(0, 300) | st.integers(0, 200).map("{}%".format),
)
def test_all_pods_fit_unless_told(most: int, reserved: int, others: int, replicas: int, surge: int | str) -> None:
    share = pool_share(most, reserved, others, replicas, surge)
    assert share.limit == connection_limit(most, reserved, others, replicas, surge) >= 1
    assert share.available == most - reserved - others
    assert share.pods >= replicas
    fits = share.limit * share.pods <= share.available
    assert fits == (share.warning == "")
    assert fits or share.limit == 1
    assert not fits or (share.limit + 1) * share.pods > share.available
