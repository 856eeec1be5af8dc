# SPDX-License-Identifier: GPL-3.0-or-later
"""NODE_OPTIONS, read and changed as Node has it."""

import os
import shutil
import subprocess

import pytest
from ansible_collections.leadgen.tuning.plugins.module_utils._node_options import flags, value_of, with_module, with_value
from hypothesis import given
from hypothesis import strategies as st

HEAP = "--max-old-space-size"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("  ", []),
        ("--max-old-space-size=384", [("--max-old-space-size", "384")]),
        ("--max_old_space_size=384", [("--max-old-space-size", "384")]),
        ("--enable-source-maps  --trace-gc", [("--enable-source-maps", None), ("--trace-gc", None)]),
        ("--require ./a.cjs --require=./b.cjs -r ./c.cjs", [("--require", f"./{name}.cjs") for name in "abc"]),
        ('--require "./with space.cjs"', [("--require", "./with space.cjs")]),
        ('"--title=a b"', [("--title", "a b")]),
        (r'--title="say \"hi\""', [("--title", 'say "hi"')]),
        (r"--title=a\b", [("--title", r"a\b")]),
        ("--dns-result-order=ipv4first", [("--dns-result-order", "ipv4first")]),
        ("--title=a=b", [("--title", "a=b")]),
    ],
)
def test_flags_are_read_as_node_reads_them(text: str, expected: list[tuple[str, str | None]]) -> None:
    assert [(flag.name, flag.value) for flag in flags(text)] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "--max-old-space-size=384"),
        ("--enable-source-maps", "--enable-source-maps --max-old-space-size=384"),
        ("--max-old-space-size=256 --trace-gc", "--max-old-space-size=384 --trace-gc"),
        ("--max_old_space_size=256", "--max-old-space-size=384"),
        # The last one holds; the one before it is not ours to take out.
        ("--max-old-space-size=1 --max-old-space-size=2", "--max-old-space-size=1 --max-old-space-size=384"),
        ('--require "./a b.cjs"  --trace-gc', '--require "./a b.cjs" --trace-gc --max-old-space-size=384'),
        # It has the value: not a byte changes.
        ("  --max_old_space_size=384   --trace-gc", "  --max_old_space_size=384   --trace-gc"),
    ],
)
def test_a_flag_is_merged(text: str, expected: str) -> None:
    assert with_value(text, HEAP, "384") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "--require=/opt/m.cjs"),
        ("--require /opt/m.cjs", "--require /opt/m.cjs"),
        ("-r /opt/m.cjs", "-r /opt/m.cjs"),
        ("--require ./a.cjs", "--require ./a.cjs --require=/opt/m.cjs"),
    ],
)
def test_a_module_is_required_once(text: str, expected: str) -> None:
    assert with_module(text, "/opt/m.cjs") == expected


def test_an_open_quote_is_an_error() -> None:
    with pytest.raises(ValueError, match="double quote"):
        with_value('--title="a', HEAP, "384")


WORDS = st.lists(
    st.builds(
        lambda name, value: f'"--{name}={value}"',
        st.sampled_from(["title", "icu-data-dir", "max-old-space-size", "diagnostic-dir"]),
        st.text(st.sampled_from("ab1 =_-"), max_size=6),
    ),
    max_size=4,
).map(" ".join)


@given(WORDS, st.integers(1, 10_000).map(str))
def test_merging_changes_that_flag_alone_and_only_once(text: str, value: str) -> None:
    merged = with_value(text, HEAP, value)
    assert value_of(merged, HEAP) == value
    assert with_value(merged, HEAP, value) == merged
    others = [flag for flag in flags(text) if flag.name != HEAP]
    assert [flag for flag in flags(merged) if flag.name != HEAP] == others


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node on PATH")
@pytest.mark.parametrize(
    "text", ["", "--title=x", '"--title=a b" --max_old_space_size=100', "--max-old-space-size=200 --trace-warnings"]
)
def test_node_takes_what_was_merged(text: str) -> None:
    merged = with_value(text, HEAP, "333")
    script = "console.log(process.title, Math.round(require('v8').getHeapStatistics().heap_size_limit / 2 ** 20))"
    ended = subprocess.run(
        ["node", "-e", script], env={**os.environ, "NODE_OPTIONS": merged}, capture_output=True, text=True, check=True
    )
    title, _space, limit = ended.stdout.strip().rpartition(" ")
    assert title == (value_of(text, "--title") or "node")
    # The young generation is counted in as well.
    assert 333 <= int(limit) <= 333 + 64
