# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects that are kept as strings of JSON, and what they would take as hashes. No I/O.

Sizes follow Redis's ``src/listpack.c`` (encodings), ``src/t_hash.c`` (when a hash is a listpack), ``src/object.c`` (what
MEMORY USAGE adds up), Valkey 8.1's ``src/hashtable.c`` and ``src/entry.c``, and the size classes of jemalloc, the allocator
that the packages are built with. Bytes throughout, of the value alone.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
# An id: digits, or eight and more that could be a number in base 16 with a digit among them.
_ID = re.compile(r"(?=[0-9a-f]*\d)[0-9a-f]{8,}|\d+", re.IGNORECASE)
# So many kinds of keys there may be; names of people are more.
_FEW = 20
_INTEGER = re.compile(r"0|-?[1-9]\d{0,18}")
_OBJECT_HEADER = 16
_LISTPACK_FRAME = 7
# A table's head and each of its entries, as the allocator rounds them up; MEMORY USAGE adds up 56 and 24.
_DICT, _DICT_ENTRY = 64, 32
_DICT_COUNTED, _DICT_ENTRY_COUNTED = 56, 24
_SMALLEST_TABLE = 4
_POINTER = 8
# Up to here a string is in one piece with its object.
_EMBEDDED = 44
# Valkey 8.1: a bucket is a cache line for seven entries, and an entry up to a limit is one piece.
_BUCKET, _BUCKET_ENTRIES, _HASHTABLE, _ENTRY_IN_ONE = 64, 7, 72, 128
# Bits of a signed integer in a listpack, and the bytes that it takes.
_INTEGER_SIZES = ((13, 2), (16, 3), (24, 4), (32, 5), (64, 9))


@dataclass(frozen=True)
class Limits:
    """Up to which a hash is a listpack: hash-max-listpack-entries and -value; ``buckets``: else Valkey's table since 8.1."""

    entries: int
    value: int
    buckets: bool = False


class _Number(float):
    """A number that is written as it was."""

    def __new__(cls, text: str) -> _Number:
        made = super().__new__(cls, text)
        made.text = text
        return made

    text: str


def fields_of(text: str) -> tuple[dict[str, str], bool] | None:
    """The fields of a JSON object as a hash would have them, and whether one of them is itself an object or a list.

    Texts stand as they are, all else as JSON. None for what is no JSON object, or an empty one, which no hash can be.
    """
    if not text.lstrip().startswith("{"):
        return None
    try:
        found = json.loads(text, parse_float=_Number)
        fields = {name: _field(value) for name, value in found.items()}
        for part in fields.items():
            _bytes("".join(part))  # half of a character is none that could be written
    except (ValueError, RecursionError):
        return None
    return (fields, any(isinstance(value, dict | list) for value in found.values())) if fields else None


def _field(value: Any) -> str:
    if isinstance(value, _Number):
        return value.text
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def patterns_of(names: Iterable[str]) -> dict[str, str]:
    """Each key with its ids taken out, such as lead:* or session:*:cart.

    A part between colons is an id where it looks like one, or where it has more than a few spellings in its place.
    """
    parts = {name: _ID.sub("*", _UUID.sub("*", name)).split(":") for name in names}
    spellings: dict[tuple[int, int], set[str]] = defaultdict(set)
    for some in parts.values():
        for place, part in enumerate(some):
            spellings[len(some), place].add(part)
    return {
        name: ":".join(
            "*" if len(spellings[len(some), place]) > _FEW or "@" in part else part for place, part in enumerate(some)
        )
        for name, some in parts.items()
    }


def string_size(length: int) -> int:
    """A string of so many bytes."""
    if length <= _EMBEDDED:
        return size_class(_OBJECT_HEADER + 3 + length + 1)
    return _OBJECT_HEADER + size_class(_sds(length))


def hash_size(fields: Mapping[str, str], limits: Limits) -> int:
    """A hash with these fields."""
    if _is_listpack(fields, limits):
        texts = [_bytes(text) for pair in fields.items() for text in pair]
        return _OBJECT_HEADER + size_class(_LISTPACK_FRAME + sum(map(_listpack_entry, texts)))
    pairs = [(len(_bytes(name)), len(_bytes(value))) for name, value in fields.items()]
    if limits.buckets:
        return _OBJECT_HEADER + _HASHTABLE + _BUCKET * _power(-(-len(pairs) // _BUCKET_ENTRIES)) + sum(map(_entry, pairs))
    table = _DICT + _POINTER * max(_SMALLEST_TABLE, _power(len(pairs))) + _DICT_ENTRY * len(pairs)
    return _OBJECT_HEADER + table + sum(size_class(_sds(length)) for pair in pairs for length in pair)


def uncounted(fields: Mapping[str, str], limits: Limits) -> int:
    """What MEMORY USAGE leaves out of a hash with these fields."""
    if _is_listpack(fields, limits) or limits.buckets:
        return 0
    return _DICT - _DICT_COUNTED + (_DICT_ENTRY - _DICT_ENTRY_COUNTED) * len(fields)


def _is_listpack(fields: Mapping[str, str], limits: Limits) -> bool:
    longest = max(len(_bytes(text)) for pair in fields.items() for text in pair)
    return len(fields) <= limits.entries and longest <= limits.value


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _power(least: int) -> int:
    """The smallest power of two that is no less."""
    return 1 << max(0, least - 1).bit_length()


def _entry(pair: tuple[int, int]) -> int:
    """A field and its value in Valkey 8.1: one piece, or two with a pointer."""
    name, value = map(_sds, pair)
    if name + value <= _ENTRY_IN_ONE:
        return size_class(name + value)
    return size_class(_POINTER + name) + size_class(value)


def size_class(size: int) -> int:
    """What jemalloc gives for so many bytes: four classes to each doubling, and multiples of 16 below 128."""
    smallest, spaced = 8, 128
    if size <= smallest:
        return smallest
    if size <= spaced:
        return -(-size // 16) * 16
    step = 1 << ((size - 1).bit_length() - 3)
    return -(-size // step) * step


def _sds(length: int) -> int:
    """An sds of so many bytes: its header, its text, and a zero."""
    for limit, header in ((1 << 5, 1), (1 << 8, 3), (1 << 16, 5)):
        if length < limit:
            return header + length + 1
    return 9 + length + 1


def _listpack_entry(text: bytes) -> int:
    """An entry: its encoding and data, and their length once more, by which it is read from behind."""
    size = _listpack_integer(text)
    if size is None:
        length = len(text)
        size = length + (1 if length < 1 << 6 else 2 if length < 1 << 12 else 5)
    back, reach = 1, 128
    while size >= reach:
        back, reach = back + 1, reach * 128
    return size + back


def _listpack_integer(text: bytes) -> int | None:
    """The bytes of what is written as an integer is, in its one spelling; None for a string."""
    if not _INTEGER.fullmatch(text.decode("latin-1")):
        return None
    number = int(text)
    if 0 <= number < 1 << 7:
        return 1
    return next((size for bits, size in _INTEGER_SIZES if -(1 << bits - 1) <= number < 1 << bits - 1), None)
