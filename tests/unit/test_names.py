# SPDX-License-Identifier: GPL-3.0-or-later
"""A task takes the settings whose names its patterns match."""

from __future__ import annotations

import pytest
from ansible_collections.leadgen.tuning.plugins.module_utils._names import name_arguments, select
from hypothesis import given
from hypothesis import strategies as st

SETTINGS = {"work_mem": "64MB", "wal_buffers": None, "WAL_Level": "replica", "jit": False, "pg_stat_statements.track": "all"}


@pytest.mark.parametrize(
    ("names", "except_names", "expected"),
    [
        (["*"], [], list(SETTINGS)),
        (["*"], ["*"], []),
        ([], [], []),
        (["work_mem"], [], ["work_mem"]),
        (["work"], [], []),  # a pattern matches the whole name
        (["wal_*"], [], ["wal_buffers", "WAL_Level"]),
        (["WAL_*"], ["wal_l*"], ["wal_buffers"]),
        (["jit", "work_mem"], [], ["work_mem", "jit"]),  # the order is the inventory's
        (["*"], ["wal_*", "jit"], ["work_mem", "pg_stat_statements.track"]),
        (["pg_stat_statements.*"], [], ["pg_stat_statements.track"]),
        (["?it"], [], ["jit"]),
        (["[jw]*"], ["w[ao]*"], ["jit"]),
    ],
)
def test_select(names: list[str], except_names: list[str], expected: list[str]) -> None:
    chosen = select({"settings": SETTINGS, "names": names, "except_names": except_names})
    assert list(chosen) == expected
    assert chosen == {name: SETTINGS[name] for name in expected}


def test_names_become_text() -> None:
    assert select({"settings": {1: "x"}, "names": ["1"], "except_names": []}) == {"1": "x"}


def test_defaults_choose_everything() -> None:
    defaults = {name: about["default"] for name, about in name_arguments().items()}
    assert select({"settings": SETTINGS, **defaults}) == SETTINGS


@given(names=st.lists(st.sampled_from(("*", "wal_*", "jit", "w*", "none")), max_size=3))
def test_two_tasks_share_the_settings_out(names: list[str]) -> None:
    mine = select({"settings": SETTINGS, "names": names, "except_names": []})
    rest = select({"settings": SETTINGS, "names": ["*"], "except_names": names})
    assert not mine.keys() & rest.keys()
    assert {**mine, **rest} == SETTINGS
