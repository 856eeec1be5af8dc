# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers with units are read and written as PostgreSQL does; the tables were checked against PostgreSQL 15."""

from __future__ import annotations

import math

import pytest
from ansible_collections.leadgen.tuning.plugins.module_utils._units import (
    base_unit,
    parse_integer,
    parse_real,
    show_integer,
    show_real,
)
from hypothesis import assume, given
from hypothesis import strategies as st

BASE_UNITS = ("8kB", "kB", "MB", "B", "ms", "s", "min")
MEMORY = {"TB": 1024**4, "GB": 1024**3, "MB": 1024**2, "kB": 1024, "B": 1}
TIME = {"d": 86_400_000_000, "h": 3_600_000_000, "min": 60_000_000, "s": 1_000_000, "ms": 1_000, "us": 1}
INT_MAX = 2**31 - 1


@pytest.mark.parametrize(
    ("text", "unit", "expected"),
    [
        # plain numbers, in the base unit
        ("100", None, 100),
        ("100", "8kB", 100),
        ("-1", "ms", -1),
        ("0", "8kB", 0),
        ("+5", "ms", 5),
        (" 200 ", "ms", 200),
        # scaling
        ("5s", "ms", 5000),
        ("64MB", "8kB", 8192),
        ("64MB", "kB", 65536),
        ("2GB", "8kB", 262144),
        ("2048MB", "8kB", 262144),
        ("262144", "8kB", 262144),
        ("2097152kB", "8kB", 262144),
        ("1TB", "MB", 1048576),
        ("16MB", "B", 16777216),
        ("60s", "ms", 60000),
        ("1min", "ms", 60000),
        ("60s", "s", 60),
        ("1min", "s", 60),
        ("1min", "min", 1),
        ("1h", "min", 60),
        ("1d", "min", 1440),
        ("5 s", "ms", 5000),
        ("5 s ", "ms", 5000),
        ("5\ts", "ms", 5000),
        # fractions
        ("1.5s", "ms", 1500),
        ("0.25s", "ms", 250),
        (".5s", "ms", 500),
        ("5.s", "ms", 5000),
        ("1.5GB", "8kB", 196608),
        ("30.1GB", "8kB", 3945216),  # 30822 MB: 30822.4 is rounded to the next smaller unit first
        ("0.1GB", "kB", 104448),  # 102 MB
        ("1e3", "ms", 1000),
        ("1e3", None, 1000),
        ("1.2E2", None, 120),
        # half to even
        ("0.5", None, 0),
        ("1.5", None, 2),
        ("2.5", None, 2),
        ("3.5", None, 4),
        ("-2.5", None, -2),
        ("-0.4", "ms", 0),
        ("1500us", "ms", 2),
        ("2500us", "ms", 2),
        ("12kB", "8kB", 2),
        ("20kB", "8kB", 2),
        # other bases
        ("0x10", None, 16),
        ("0X1f", None, 31),
        ("010", None, 8),
        ("0100kB", "kB", 64),
        ("0x10kB", "kB", 16),
        ("-0x10", None, -16),
    ],
)
def test_parse_integer(text: str, unit: str | None, expected: int) -> None:
    assert parse_integer(text, unit) == expected


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("", None),
        ("", "ms"),
        ("  ", "ms"),
        ("abc", None),
        ("abc", "8kB"),
        ("1.1.1", None),
        ("1.1.1", "ms"),
        ("ms", "ms"),
        ("-", None),
        ("--1", None),
        ("- 1", None),
        ("1,5", None),
        ("1 000", "kB"),
        ("nan", None),
        ("inf", None),
        ("1e999", None),
        ("0x", None),
        # the case matters
        ("64mb", "8kB"),
        ("64KB", "8kB"),
        ("64Mb", "8kB"),
        ("5S", "ms"),
        ("5MS", "ms"),
        # a unit of the other kind, one that does not exist, two of them
        ("5s", "8kB"),
        ("5MB", "ms"),
        ("5 sec", "ms"),
        ("5 minutes", "ms"),
        ("1h 30min", "ms"),
        ("5s s", "ms"),
        # a unit on a parameter without
        ("100MB", None),
        ("5s", None),
    ],
)
def test_parse_integer_refuses(text: str, unit: str | None) -> None:
    with pytest.raises(ValueError, match=r"is not|takes no unit"):
        parse_integer(text, unit)


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("08", None),  # an octal number ends before the 8, which is then taken for a unit
        ("09MB", "kB"),
        ("9" * 400, None),
        ("1e308min", "ms"),
        ("1e305TB", "B"),
    ],
)
def test_parse_integer_refuses_what_postgres_does(text: str, unit: str | None) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_integer(text, unit)


def test_wrong_unit_is_told_with_the_right_ones() -> None:
    with pytest.raises(ValueError, match=r"'mb'.*TB, GB, MB, kB, B.*case matters"):
        parse_integer("64mb", "8kB")
    with pytest.raises(ValueError, match=r"takes no unit.*'MB'"):
        parse_integer("64MB", None)


@pytest.mark.parametrize(
    ("text", "unit", "expected"),
    [
        ("1.1", None, 1.1),
        ("1.10", None, 1.1),
        (" 1.10 ", None, 1.1),
        ("4", None, 4.0),
        ("-1", "ms", -1.0),
        ("1e-3", None, 0.001),
        (".5", None, 0.5),
        ("0.5", "ms", 0.5),
        ("500us", "ms", 0.5),
        ("2ms", "ms", 2.0),
        ("1.5ms", "ms", 1.5),
        ("0.25s", "ms", 250.0),
        ("1.0005s", "ms", 1000.0),  # rounded to whole milliseconds, half to even
        ("1.5us", "ms", 0.0015),  # there is no smaller unit to round to
    ],
)
def test_parse_real(text: str, unit: str | None, expected: float) -> None:
    assert parse_real(text, unit) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("", None),
        ("abc", None),
        ("1.1.1", None),
        ("1e999", None),
        ("nan", None),
        ("1ms", None),
        ("1MS", "ms"),
        ("1kB", "ms"),
    ],
)
def test_parse_real_refuses(text: str, unit: str | None) -> None:
    with pytest.raises(ValueError, match=r"is not|takes no unit"):
        parse_real(text, unit)


def test_parse_real_takes_hexadecimal() -> None:
    # set random_page_cost = '0x10' gives 16: the server reads with strtod()
    assert parse_real("0x10", None) == 16.0


@pytest.mark.parametrize("text", ["", "KB", "mb", "8", "16 kB", "8kB ", "fortnight"])
def test_unknown_base_unit(text: str) -> None:
    with pytest.raises(ValueError, match="unknown unit"):
        base_unit(text)


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (65536, "8kB", "512MB"),
        (262144, "8kB", "2GB"),
        (1, "8kB", "8kB"),
        (3, "8kB", "24kB"),
        (3945216, "8kB", "30822MB"),
        (1024, "MB", "1GB"),
        (1000, "MB", "1000MB"),
        (16777216, "B", "16MB"),
        (1000, "B", "1000B"),
        (60000, "ms", "1min"),
        (1500, "ms", "1500ms"),
        (86400, "s", "1d"),
        (90, "min", "90min"),
        (100, None, "100"),
        # bare: nothing, automatic, off
        (0, "8kB", "0"),
        (-1, "8kB", "-1"),
        (0, "ms", "0"),
        (-1, "ms", "-1"),
        (-1, None, "-1"),
    ],
)
def test_show_integer(value: int, unit: str | None, expected: str) -> None:
    assert show_integer(value, unit) == expected


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (1.1, None, "1.1"),
        (4.0, None, "4"),
        (0.5, "ms", "500us"),
        (1.5, "ms", "1500us"),
        (2.0, "ms", "2ms"),
        (60000.0, "ms", "1min"),
        (0.0, "ms", "0"),
        (-1.0, "ms", "-1"),
        (0.1 + 0.2, "ms", "300us"),  # a rounding error does not hide a whole number
        (0.0001, "ms", "0.0001ms"),
    ],
)
def test_show_real(value: float, unit: str | None, expected: str) -> None:
    assert show_real(value, unit) == expected


@given(value=st.integers(-1, INT_MAX), unit=st.sampled_from((*BASE_UNITS, None)))
def test_integer_round_trip(value: int, unit: str | None) -> None:
    assert parse_integer(show_integer(value, unit), unit) == value
    assert parse_integer(str(value), unit) == value


@given(value=st.integers(1, INT_MAX), unit=st.sampled_from(BASE_UNITS), data=st.data())
def test_every_exact_spelling_is_the_same_integer(value: int, unit: str, data: st.DataObject) -> None:
    table = TIME if unit in TIME else MEMORY
    total = value * (8192 if unit == "8kB" else table[unit])
    exact = [name for name, size in table.items() if total % size == 0]
    name = data.draw(st.sampled_from(exact))
    assume(total // table[name] < 2**53)  # what a double holds
    space = data.draw(st.sampled_from(("", " ")))
    assert parse_integer(f"{total // table[name]}{space}{name}", unit) == value


@given(value=st.integers(1, INT_MAX), unit=st.sampled_from(BASE_UNITS))
def test_shown_integer_is_in_the_largest_exact_unit(value: int, unit: str) -> None:
    table = TIME if unit in TIME else MEMORY
    total = value * (8192 if unit == "8kB" else table[unit])
    shown = show_integer(value, unit)
    name = shown.lstrip("0123456789")
    assert int(shown.removesuffix(name)) * table[name] == total
    assert all(total % size for size in table.values() if size > table[name])


@given(
    one=st.integers(0, INT_MAX),
    other=st.integers(0, INT_MAX),
    unit=st.sampled_from(BASE_UNITS),
)
def test_parsing_keeps_the_order(one: int, other: int, unit: str) -> None:
    name = "kB" if unit in MEMORY or unit == "8kB" else "ms"
    low, high = sorted((one, other))
    assert parse_integer(f"{low}{name}", unit) <= parse_integer(f"{high}{name}", unit)


@given(value=st.floats(-1e15, 1e15, allow_nan=False), unit=st.sampled_from(("ms", "s", "min", "kB", "MB", "B", None)))
def test_real_round_trip(value: float, unit: str | None) -> None:
    # Eight digits are what the choice of a unit keeps, and a fraction is rounded to the next smaller unit.
    smaller = {"ms": 1e-3, "s": 1e-3, "min": 1 / 60, "kB": 1 / 1024, "MB": 1 / 1024}.get(unit or "", 0.0)
    again = parse_real(show_real(value, unit), unit)
    assert math.isclose(again, value, rel_tol=2e-8, abs_tol=smaller / 2 * (1 + 1e-9))


@given(value=st.floats(-1e300, 1e300, allow_nan=False))
def test_real_without_a_unit_keeps_fifteen_digits(value: float) -> None:
    assert math.isclose(parse_real(show_real(value, None), None), value, rel_tol=1e-14)
    assert parse_real(repr(value), None) == value
