# SPDX-License-Identifier: GPL-3.0-or-later
"""Values of Redis's parameters: one canonical text for every legal spelling, and redis.conf as data. No I/O."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils._redis_parameters import (
    ALIASES,
    ENUM_ALIASES,
    ENUMS,
    FLAGS,
    IMMUTABLE,
    INTEGERS,
    MEMORY,
    NUMBERS,
    SECRETS,
    WORDS,
)

# memtoull() of Redis's src/util.c: the unit's case is of no account.
_UNITS = {"": 1, "b": 1, "k": 1000, "kb": 1024, "m": 10**6, "mb": 1024**2, "g": 10**9, "gb": 1024**3}
_SIZE = re.compile(r"(\d+)\s*([a-zA-Z]*)")
_PERCENT = re.compile(r"\d{1,3}%")
_BOOLEANS = {"yes": "yes", "true": "yes", "on": "yes", "no": "no", "false": "no", "off": "no"}
# keyspaceEventsStringToFlags() of src/notify.c; A stands for all of these.
_EVENT_CLASSES = "g$lshzxetd"
_EVENTS = "AKEg$lshzxetdmno"
_CLIENT_CLASSES = {"normal": "normal", "slave": "replica", "replica": "replica", "pubsub": "pubsub"}
_WORD = re.compile(
    r"""(?<!\S)(?:"(?P<double>(?:[^"\\]|\\.)*)"|'(?P<single>(?:[^'\\]|\\.)*)'|(?P<bare>[^\s"'][^\s"']*))(?!\S)"""
)
_ESCAPE = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|(.))")
_LISTED_SIZE = 4  # a class, hard limit, soft limit, soft seconds


def bytes_of(text: str) -> int:
    """Bytes of a size as Redis reads it: 256mb is 268435456, 256m is 256000000.

    :raises ValueError: with a reason fit for a person.
    """
    match = _SIZE.fullmatch(text.strip())
    if not match or match[2].lower() not in _UNITS:
        raise ValueError(f"{text!r} is not a size (such as 256mb, which is 1024-based, or 256m, which is 1000-based)")
    return int(match[1]) * _UNITS[match[2].lower()]


def show_bytes(size: int) -> str:
    """The size in the largest 1024-based unit that holds it exactly."""
    for unit in ("gb", "mb", "kb"):
        if size and size % _UNITS[unit] == 0:
            return f"{size // _UNITS[unit]}{unit}"
    return str(size)


def canonical(name: str, given: Any, present: str) -> str:
    """The one text for all spellings of a value; ``present`` is what the server has now, in its own words.

    :raises ValueError: with a reason fit for a person.
    """
    value = _canonical(name, given, present)
    if name in IMMUTABLE and value != _canonical(name, present, present):
        raise ValueError("Redis cannot change it while it runs; set it in redis.conf and restart the server")
    return value


def _canonical(name: str, given: Any, present: str) -> str:
    if name == "save":
        return _save(given)
    if name == "client-output-buffer-limit":
        return _client_limits(given, present)
    if name == "notify-keyspace-events" and isinstance(given, bool):
        raise ValueError("it takes letters; quote them, since YAML reads a bare no as false")
    text = _plain(given)
    kind = _kind_of(name, present)
    return kind(name, text.strip()) if kind else text


def _kind_of(name: str, present: str) -> Callable[[str, str], str] | None:
    """What makes one text of a parameter's spellings; None where every character counts."""
    if name in SECRETS:
        return None
    for names, kind in _KINDS:
        if name in names:
            return kind
    return _boolean if present in ("yes", "no") else None


def _size(name: str, text: str) -> str:
    if name == "maxmemory-clients" and _PERCENT.fullmatch(text):
        return f"{int(text[:-1])}%" if int(text[:-1]) else "0"
    return show_bytes(bytes_of(text))


def _enum(name: str, text: str) -> str:
    return ENUM_ALIASES.get(name, {}).get(text.lower()) or _choice(text, ENUMS[name])


def _flags(name: str, text: str) -> str:
    words = {_choice(word, FLAGS[name]) for word in text.split()}
    return " ".join(word for word in FLAGS[name] if word in words)


def _boolean(_name: str, text: str) -> str:
    if text.lower() not in _BOOLEANS:
        raise ValueError(f"{text!r} is not yes or no")
    return _BOOLEANS[text.lower()]


def _number(text: str) -> str:
    try:
        return f"{float(text):.17g}"
    except ValueError as error:
        raise ValueError(f"{text!r} is not a number") from error


def _plain(given: Any) -> str:
    """What YAML gives as the text that Redis takes."""
    if isinstance(given, bool):  # YAML's own no and yes
        return "yes" if given else "no"
    if isinstance(given, (list, tuple)):
        return " ".join(_plain(part) for part in given)
    if given is None or isinstance(given, Mapping):
        raise ValueError("it takes a text, a number or a list")
    return str(given)


def _choice(text: str, choices: Iterable[str]) -> str:
    if text.lower() not in choices:
        raise ValueError(f"{text!r} is not one of {', '.join(choices)}")
    return text.lower()


def _integer(text: str, low: int, high: int | None) -> str:
    if not re.fullmatch(r"[+-]?\d+", text):
        raise ValueError(f"{text!r} is not an integer")
    if int(text) < low or (high is not None and int(text) > high):
        raise ValueError(f"{text} is outside its range, {low} to {'any' if high is None else high}")
    return str(int(text))


def _save(given: Any) -> str:
    """Pairs of seconds and changes, longest time first; empty: no snapshots."""
    parts = _plain(given).split()
    if parts in ([], ['""']):
        return ""
    if len(parts) % 2 or not all(part.isdigit() for part in parts):
        raise ValueError(f"{_plain(given)!r} is not pairs of seconds and changes, such as '3600 1 300 100', nor empty")
    pairs = sorted(zip(map(int, parts[::2]), map(int, parts[1::2]), strict=True), reverse=True)
    return " ".join(f"{seconds} {changes}" for seconds, changes in pairs)


def _events(text: str) -> str:
    unknown = set(text) - set(_EVENTS)
    if unknown:
        raise ValueError(f"{''.join(sorted(unknown))!r} are not classes of keyspace events ({_EVENTS})")
    flags = set(text) | (set(_EVENT_CLASSES) if "A" in text else set())
    if set(_EVENT_CLASSES) <= flags:
        flags = flags - set(_EVENT_CLASSES) | {"A"}
    else:
        flags.discard("A")
    return "".join(flag for flag in _EVENTS if flag in flags)


def _client_limits(given: Any, present: str) -> str:
    """Limits by class of client; classes that are not named keep what they have."""
    limits = {**_limits_by_class(present), **_limits_by_class(given)}
    return " ".join(f"{name} {' '.join(map(str, limits[name]))}" for name in ("normal", "replica", "pubsub"))


def _limits_by_class(given: Any) -> dict[str, tuple[int, int, int]]:
    if isinstance(given, Mapping):
        given = " ".join(f"{name} {_plain(limits)}" for name, limits in given.items())
    parts = _plain(given).split()
    if len(parts) % _LISTED_SIZE:
        raise ValueError(f"{_plain(given)!r} is not groups of class, hard limit, soft limit and seconds")
    limits = {}
    for start in range(0, len(parts), _LISTED_SIZE):
        name, hard, soft, seconds = parts[start : start + _LISTED_SIZE]
        if name.lower() not in _CLIENT_CLASSES or not seconds.isdigit():
            raise ValueError(f"{' '.join(parts[start : start + _LISTED_SIZE])!r} is not a class of clients with its limits")
        limits[_CLIENT_CLASSES[name.lower()]] = (bytes_of(hard), bytes_of(soft), int(seconds))
    return limits


def parse_conf(text: str) -> list[tuple[str, list[str]]]:
    """The directives of a redis.conf in their order, names in lower case.

    :raises ValueError: for a line whose quotes do not match, with its number.
    """
    directives = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        words = [_word(match) for match in _WORD.finditer(line)]
        if _WORD.sub("", line).strip():
            raise ValueError(f"line {number}: its quotes do not match")
        directives.append((words[0].lower(), words[1:]))
    return directives


def _word(match: re.Match[str]) -> str:
    """One word as sdssplitargs() of Redis's src/sds.c reads it: escapes count inside double quotes alone."""
    if match["double"] is not None:
        raw = _ESCAPE.sub(_unescape, match["double"].encode("utf-8", "surrogateescape"))
        return raw.decode("utf-8", "surrogateescape")
    if match["single"] is not None:
        return match["single"].replace("\\'", "'")
    return match["bare"]


def _unescape(match: re.Match[bytes]) -> bytes:
    if match[1]:
        return bytes([int(match[1], 16)])
    return {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"a": b"\a"}.get(match[2], match[2])


def file_values(directives: Iterable[tuple[str, list[str]]]) -> dict[str, str]:
    """The value that the file gives each parameter: the last one counts, but save points and client limits add up.

    Names are the newer ones where there are two.
    """
    values: dict[str, str] = {}
    for named, words in directives:
        name = ALIASES.get(named, named)
        text = " ".join(words)
        if name == "client-output-buffer-limit" or (name == "save" and text):
            text = f"{values.get(name, '')} {text}".strip()
        values[name] = text
    return values


_KINDS: list[tuple[Collection[str], Callable[[str, str], str]]] = [
    ({"notify-keyspace-events"}, lambda _name, text: _events(text)),
    (MEMORY, _size),
    (ENUMS, _enum),
    (FLAGS, _flags),
    (NUMBERS, lambda _name, text: " ".join(map(_number, text.split()))),
    (INTEGERS, lambda name, text: _integer(text, *INTEGERS[name])),
    (WORDS, lambda _name, text: " ".join(text.split())),
]
