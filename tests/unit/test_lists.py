# SPDX-License-Identifier: GPL-3.0-or-later
"""List-valued parameters of PostgreSQL are split, folded and merged as the server does."""

from __future__ import annotations

import pytest
from ansible_collections.leadgen.tuning.plugins.module_utils._lists import is_list, merge, split_list
from hypothesis import given
from hypothesis import strategies as st

LIBRARIES = "shared_preload_libraries"


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        (LIBRARIES, "", ()),
        (LIBRARIES, "   ", ()),
        (LIBRARIES, '""', ()),  # what ALTER SYSTEM SET ... = '' leaves behind
        (LIBRARIES, '"", pg_stat_statements', ("pg_stat_statements",)),
        (LIBRARIES, "pg_stat_statements", ("pg_stat_statements",)),
        (LIBRARIES, "pg_stat_statements,auto_explain", ("pg_stat_statements", "auto_explain")),
        (LIBRARIES, "  pg_stat_statements ,  auto_explain ", ("pg_stat_statements", "auto_explain")),
        (LIBRARIES, '"pg_stat_statements", "auto_explain"', ("pg_stat_statements", "auto_explain")),
        (LIBRARIES, "a,,b,", ("a", "b")),
        (LIBRARIES, '"a,b",c', ("a,b", "c")),
        (LIBRARIES, '"say ""hi""",c', ('say "hi"', "c")),
        # a path keeps its case; an identifier is folded unless it is quoted
        (LIBRARIES, "$libdir/MyLib,Other", ("$libdir/MyLib", "Other")),
        ("unix_socket_directories", "/Run/A, /Run/B", ("/Run/A", "/Run/B")),
        ("search_path", '"$user", Public', ("$user", "public")),
        ("search_path", '"Public", "PUBLIC", PUBLIC', ("Public", "PUBLIC", "public")),
        ("SEARCH_PATH", "Public", ("public",)),
        ("temp_tablespaces", "Fast", ("fast",)),
        ("log_destination", "CSVLOG, Stderr", ("csvlog", "stderr")),
        ("DateStyle", "ISO, MDY", ("iso", "mdy")),
        ("DateStyle", '"ISO", "MDY"', ("iso", "mdy")),
        ("listen_addresses", "*", ("*",)),
        ("listen_addresses", "localhost,::1", ("localhost", "::1")),
    ],
)
def test_split_list(name: str, text: str, expected: tuple[str, ...]) -> None:
    assert split_list(name, text) == expected


def test_spaces_inside_quotes_belong_to_the_name() -> None:
    # SplitIdentifierString() takes what is between the quotes as it is.
    assert split_list("search_path", '" a ", b') == (" a ", "b")


@pytest.mark.parametrize("text", ['"', '"a', 'a, "b', '"a""', '"a"",b'])
def test_open_quote(text: str) -> None:
    with pytest.raises(ValueError, match="open double quote"):
        split_list(LIBRARIES, text)


@pytest.mark.parametrize(
    ("name", "version", "expected"),
    [
        (LIBRARIES, 130000, True),
        ("Search_Path", 150000, True),
        ("DateStyle", 150000, True),
        ("log_connections", 150000, False),
        ("log_connections", 179999, False),
        ("log_connections", 180000, True),
        ("work_mem", 150000, False),
        ("synchronous_standby_names", 150000, False),  # its commas can stand inside parentheses
    ],
)
def test_is_list(name: str, version: int, expected: bool) -> None:
    assert is_list(name, version) is expected


@pytest.mark.parametrize(
    ("present", "ensure", "absent", "expected"),
    [
        ((), (), (), ()),
        (("a", "b"), (), (), ("a", "b")),
        (("b", "a"), ("c",), (), ("b", "a", "c")),
        (("b", "a"), ("a",), (), ("b", "a")),
        (("a", "b", "c"), (), ("b",), ("a", "c")),
        (("a",), (), ("z",), ("a",)),
        (("a", "b"), ("c",), ("a",), ("b", "c")),
        (("a", "a"), (), (), ("a",)),
        (("a",), ("b",), ("b",), ("a",)),  # absent wins
    ],
)
def test_merge(
    present: tuple[str, ...], ensure: tuple[str, ...], absent: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    assert merge(present, ensure, absent) == expected


ELEMENTS = st.lists(st.sampled_from("abcdefgh"), max_size=6)


@given(present=ELEMENTS, ensure=ELEMENTS, absent=ELEMENTS)
def test_merge_properties(present: list[str], ensure: list[str], absent: list[str]) -> None:
    merged = merge(present, ensure, absent)
    assert merge(merged, ensure, absent) == merged
    assert len(set(merged)) == len(merged)
    assert not set(merged) & set(absent)
    assert set(ensure) - set(absent) <= set(merged)
    assert set(present) - set(absent) <= set(merged) <= set(present) | set(ensure)
    # What was there stays in front, in its order.
    kept = [element for element in dict.fromkeys(present) if element not in absent]
    assert list(merged[: len(kept)]) == kept


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1).filter(
    lambda name: name == name.strip()
)


@given(elements=st.lists(NAMES, max_size=5), name=st.sampled_from((LIBRARIES, "search_path")))
def test_quoted_elements_come_back(elements: list[str], name: str) -> None:
    text = ", ".join('"' + element.replace('"', '""') + '"' for element in elements)
    assert split_list(name, text) == tuple(elements)
