# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers with units, read and written as PostgreSQL does.

The rules are those of ``parse_int``, ``parse_real`` and ``convert_to_base_unit`` in PostgreSQL's
``src/backend/utils/misc/guc.c``: a value is scaled to the parameter's base unit, a fraction is first rounded to the next
smaller unit, and an integer parameter is then rounded half to even.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

# Largest first, in bytes and in microseconds.
_MEMORY = {"TB": 1024**4, "GB": 1024**3, "MB": 1024**2, "kB": 1024, "B": 1}
_TIME = {"d": 86_400_000_000, "h": 3_600_000_000, "min": 60_000_000, "s": 1_000_000, "ms": 1_000, "us": 1}

_BASE_UNIT = re.compile(r"(\d*)([A-Za-z]+)")
_INTEGER = re.compile(r"([+-]?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9]\d*)(?![\d.eE])")
_NOT_OCTAL = re.compile(r"[+-]?0[0-7]*[89]")
_HEXADECIMAL = re.compile(r"[+-]?0[xX][0-9a-fA-F]+")
_DECIMAL = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_NEARLY_WHOLE = 1e-8


class BaseUnit(NamedTuple):
    """The unit that a parameter is stored in, such as 8kB: ``size`` of the smallest unit of ``table``."""

    size: int
    table: dict[str, int]


def base_unit(text: str) -> BaseUnit:
    """Read ``pg_settings.unit``: ``8kB``, ``MB``, ``ms`` and the like.

    :raises ValueError: for a unit that no release of PostgreSQL has.
    """
    match = _BASE_UNIT.fullmatch(text)
    for table in (_MEMORY, _TIME):
        if match and match[2] in table:
            return BaseUnit(int(match[1] or 1) * table[match[2]], table)
    raise ValueError(f"unknown unit {text!r}")


def parse_integer(text: str, unit: str | None) -> int:
    """Return the value in the base unit ``unit`` (None: a plain number).

    :raises ValueError: with a reason fit for a person.
    """
    text = text.strip()
    if _NOT_OCTAL.match(text):
        raise ValueError(f"{text!r} is not an integer (a leading 0 means octal)")
    whole = _INTEGER.match(text)
    if whole:
        digits = whole[2].lower()
        base = 16 if digits.startswith("0x") else 8 if digits.startswith("0") else 10
        number, rest = _finite(int(whole[1] + digits, base)), text[whole.end() :]
    else:
        number, rest = _leading_decimal(text, "an integer")
    return _rounded(_scale(number, rest.strip(), unit))


def parse_real(text: str, unit: str | None) -> float:
    """Return the value in the base unit ``unit`` (None: a plain number).

    :raises ValueError: with a reason fit for a person.
    """
    text = text.strip()
    hexadecimal = _HEXADECIMAL.match(text)
    if hexadecimal:
        return _scale(float(int(hexadecimal[0], 16)), text[hexadecimal.end() :].strip(), unit)
    number, rest = _leading_decimal(text, "a number")
    return _scale(number, rest.strip(), unit)


def _leading_decimal(text: str, kind: str) -> tuple[float, str]:
    match = _DECIMAL.match(text)
    if not match or math.isinf(float(match[0])):
        raise ValueError(f"{text!r} is not {kind}")
    return float(match[0]), text[match.end() :]


def _scale(number: float, given: str, unit: str | None) -> float:
    if not given:
        return number
    if unit is None:
        raise ValueError(f"it takes no unit, and {given!r} was given")
    base = base_unit(unit)
    if given not in base.table:
        raise ValueError(f"{given!r} is not a unit it takes ({', '.join(base.table)}; the case matters)")
    scaled = number * (base.table[given] / base.size)
    smaller = next((size for size in base.table.values() if size < base.table[given]), None)
    if smaller is None:
        return scaled
    step = smaller / base.size
    return _rounded(scaled / step) * step


def _finite(number: int) -> float:
    try:
        return float(number)
    except OverflowError as error:
        raise ValueError("it is out of any range") from error


def _rounded(number: float) -> int:
    if math.isinf(number):
        raise ValueError("it is out of any range")
    return round(number)  # half to even, as rint() does


def show_integer(value: int, unit: str | None) -> str:
    """Write ``value`` in the largest unit that holds it exactly, as ``SHOW`` does: 65536 of 8kB is 512MB."""
    if unit is None or value <= 0:  # zero and the negative marks (-1: automatic, off) are shown bare
        return str(value)
    base = base_unit(unit)
    total = value * base.size
    name, size = next((name, size) for name, size in base.table.items() if total % size == 0)
    return f"{total // size}{name}"


def show_real(value: float, unit: str | None) -> str:
    """Write ``value`` in the largest unit in which it is whole, else in its base unit, with 15 digits at most."""
    if unit is None or value <= 0:
        return f"{value:.15g}"
    base = base_unit(unit)
    for name, size in base.table.items():
        inside = value * base.size / size
        if inside >= 1 and abs(round(inside) / inside - 1) <= _NEARLY_WHOLE:
            return f"{round(inside)}{name}"
    own = next(name for name, size in base.table.items() if size == base.size)
    return f"{value:.15g}{own}"
