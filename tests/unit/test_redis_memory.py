# SPDX-License-Identifier: GPL-3.0-or-later
"""A Redis that cannot fit in the memory is refused with the numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.leadgen.tuning.plugins.module_utils._redis_memory import (
    Need,
    limit_of_process,
    share_of,
    why_too_large,
)
from hypothesis import given
from hypothesis import strategies as st

MIB, GIB = 1 << 20, 1 << 30
BYTES = st.integers(0, 1 << 45)


@pytest.mark.parametrize(
    ("need", "total"),
    [
        (Need(GIB, False, 0, 0), GIB),
        (Need(GIB, False, 700 * MIB, 0), GIB),  # it never forks again
        (Need(GIB, True, 0, 0), GIB + 256 * MIB),
        (Need(GIB, True, 100 * MIB, 0), GIB + 256 * MIB),
        (Need(GIB, True, 700 * MIB, 0), GIB + 700 * MIB),
        (Need(GIB, True, 0, 256 * MIB), GIB + 512 * MIB),
        (Need(0, True, 0, 0), 0),
    ],
)
def test_what_is_needed(need: Need, total: int) -> None:
    assert need.total == total
    assert why_too_large(need, total) is None
    if total:
        assert "lower maxmemory" in (why_too_large(need, total - 1) or "")


@given(maxmemory=BYTES, forks=st.booleans(), copied=BYTES, waits=BYTES)
def test_no_need_is_less_than_maxmemory(maxmemory: int, forks: bool, copied: int, waits: int) -> None:
    assert Need(maxmemory, forks, copied, waits).total >= maxmemory + waits


@pytest.mark.parametrize(
    ("text", "expected"),
    [("60%", 614 * MIB), (" 12.5 %", 128 * MIB), ("99%", 1013 * MIB), ("600mb", None), ("60", None), ("-5%", None)],
)
def test_a_share_is_in_whole_mib(text: str, expected: int | None) -> None:
    assert share_of(text, GIB) == expected


@pytest.mark.parametrize("text", ["0%", "100%", "250%"])
def test_a_share_of_nothing_or_all_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="has to be above 0% and below 100%"):
        share_of(text, GIB)


@pytest.mark.parametrize(
    ("lines", "limits", "expected"),
    [
        (["0::/a/b"], {"sys/fs/cgroup/a/memory.max": "1000", "sys/fs/cgroup/a/b/memory.max": "max"}, 1000),
        (["0::/a/b"], {"sys/fs/cgroup/a/memory.max": "3000", "sys/fs/cgroup/a/b/memory.max": "2000"}, 2000),
        (["0::/"], {}, None),
        (
            ["5:cpu:/x", "4:memory:/y", "0::/"],
            {
                "sys/fs/cgroup/memory/y/memory.limit_in_bytes": "4000",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": str((1 << 63) - 4096),
            },
            4000,
        ),
        (None, {}, None),
    ],
)
def test_the_limit_is_the_least_of_the_groups_and_those_above(
    tmp_path: Path, lines: list[str] | None, limits: dict[str, str], expected: int | None
) -> None:
    for name, text in {**limits, **({"proc/7/cgroup": "\n".join(lines)} if lines else {})}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert limit_of_process(7, tmp_path) == expected
