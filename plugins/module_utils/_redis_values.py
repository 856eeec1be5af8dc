# SPDX-License-Identifier: GPL-3.0-or-later
"""Values of Redis's parameters: one canonical text for every legal spelling, and redis.conf as data. No I/O."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils._redis_parameters import (
    BOOLEANS,
    ENUM_ALIASES,
    ENUMS,
    FLAGS,
    IMMUTABLE,
    INTEGERS,
    MEMORY,
    WORDS,
    present_name,
)

# memtoull() of Redis's src/util.c: the unit's case is of no account.
_UNITS = {"": 1, "b": 1, "k": 1000, "kb": 1024, "m": 10**6, "mb": 1024**2, "g": 10**9, "gb": 1024**3}
_SIZE = re.compile(r"([0-9]+)\s*([a-zA-Z]*)")
_LARGEST = 2**63 - 1
_PERCENT = re.compile(r"0*(100|[0-9]{1,2})%")
# What strtoll() reads, as Redis does where several numbers are one value.
_NATURAL = re.compile(r"\+?[0-9]+")
_INTEGER = re.compile(r"[+-]?[0-9]+")
_OCTAL = re.compile(r"\+?0*([0-7]{1,3})")
_NUMBER = re.compile(r"\+?(?:0[xX][0-9a-fA-F]+|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)")
_YES_AND_NO = {"yes": "yes", "true": "yes", "on": "yes", "no": "no", "false": "no", "off": "no"}
# keyspaceEventsStringToFlags() of src/notify.c; A stands for all of these.
_EVENT_CLASSES = "g$lshzxetd"
_EVENTS = "AKEg$lshzxetdmno"
_CLIENT_CLASSES = {"normal": "normal", "slave": "replica", "replica": "replica", "pubsub": "pubsub"}
# A word of a file as sdssplitargs() of src/sds.c reads it: quotes may begin inside of it, and end it.
_WORD = re.compile(
    r"""(?<![^ \t\r])(?=[^ \t\r])(?P<bare>[^ \t\r"']*)"""
    r"""(?:"(?P<double>(?:[^"\\]|\\.)*)"|'(?P<single>(?:\\'|[^'\\]|\\(?!'))*)')?(?![^ \t\r])"""
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
    value = _normal(present_name(name), given, present)
    if present_name(name) in IMMUTABLE and value != _normal(present_name(name), present, present):
        raise ValueError("Redis cannot change it while it runs; set it in redis.conf and restart the server")
    return value


def _normal(name: str, given: Any, present: str) -> str:
    if name == "client-output-buffer-limit":
        return _client_limits(given, present)
    if name in _FORMS:
        return _FORMS[name](given)
    text = _plain(given)
    if name in WORDS:
        return " ".join(text.split())
    if name in FLAGS:
        return _flags(text, FLAGS[name])
    if name in MEMORY:
        return _size(text, MEMORY[name], name == "maxmemory-clients")
    if name in ENUMS:
        word = text.strip().lower()
        return ENUM_ALIASES.get(name, {}).get(word) or _choice(word, ENUMS[name])
    if name in INTEGERS:
        return _integer(text.strip(), *INTEGERS[name], present)
    if name in BOOLEANS:
        return _boolean(text.strip())
    return text  # every character of a text counts, and so does its case: a password, a path, a name


def refuse_two_names(names: Iterable[str]) -> None:
    """See that no parameter is given twice, by two names or in two cases: Redis would take the last.

    :raises ValueError: naming both.
    """
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(present_name(name), name)
        if other != name:
            raise ValueError(f"{other} and {name} are one parameter; give one of them")


def _plain(given: Any) -> str:
    if isinstance(given, bool):  # YAML's own no and yes
        return "yes" if given else "no"
    if isinstance(given, (list, tuple)):
        return " ".join(_plain(part) for part in given)
    if given is None or isinstance(given, Mapping):
        raise ValueError("it takes a text, a number or a list")
    return str(given)


def _boolean(text: str) -> str:
    if text.lower() not in _YES_AND_NO:
        raise ValueError(f"{text!r} is not yes or no")
    return _YES_AND_NO[text.lower()]


def _size(text: str, least: int, or_percent: bool) -> str:
    percent = _PERCENT.fullmatch(text.strip()) if or_percent else None
    if percent:
        return f"{int(percent[1])}%" if int(percent[1]) else "0"
    size = bytes_of(text)
    if not least <= size <= _LARGEST:
        raise ValueError(f"{text} is outside its range, {show_bytes(least)} to {_LARGEST} bytes")
    return show_bytes(size)


def _flags(text: str, choices: tuple[str, ...]) -> str:
    words = {_choice(word, ("default", *choices)) for word in text.split()}
    if not words:
        raise ValueError(f"it takes one or more of default, {', '.join(choices)}")
    return " ".join(word for word in choices if word in words) or "default"


def _choice(text: str, choices: Iterable[str]) -> str:
    if text.lower() not in choices:
        raise ValueError(f"{text!r} is not one of {', '.join(choices)}")
    return text.lower()


def _integer(text: str, low: int, high: int | None, present: str) -> str:
    if not _INTEGER.fullmatch(text):
        raise ValueError(f"{text!r} is not an integer")
    highest = _LARGEST if high is None else high
    if not low <= int(text) <= highest and text != present:  # what the server has is legal
        raise ValueError(f"{text} is outside its range, {low} to {'any' if high is None else high}")
    return str(int(text))


def _octal(given: Any) -> str:
    """A mode as CONFIG GET shows it, such as 700."""
    if isinstance(given, int) and given:
        raise ValueError("it is octal; quote it, since YAML reads a bare 0700 as the number 448")
    match = _OCTAL.fullmatch(_plain(given).strip())
    if not match:
        raise ValueError(f"{_plain(given)!r} is not an octal number of at most 777")
    return f"{int(match[1], 8):o}"


def _scores(given: Any) -> str:
    """Three scores for the OOM killer: of a master, a replica and a child."""
    parts, most = _plain(given).split(), 2000
    if len(parts) != len(("master", "replica", "child")) or not all(map(_INTEGER.fullmatch, parts)):
        raise ValueError(f"{_plain(given)!r} is not three integers")
    if any(abs(int(part)) > most for part in parts):
        raise ValueError(f"{_plain(given)!r} is outside its range, -{most} to {most}")
    return " ".join(str(int(part)) for part in parts)


def _percentiles(given: Any) -> str:
    """Percentiles with six decimals at most, for CONFIG GET shows no more of them."""
    found = []
    for part in _plain(given).split():
        number = _number(part)
        if not 0 <= number <= 100:  # noqa: PLR2004 - a percentage
            raise ValueError(f"{part} is outside its range, 0 to 100")
        if number != round(number, 6):
            raise ValueError(f"{part} has more than the six decimals that Redis shows and writes")
        found.append(f"{number:.6f}".rstrip("0").rstrip("."))
    return " ".join(found)


def _number(text: str) -> float:
    """A number as string2d() of src/util.c reads it."""
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{text!r} is not a number")
    return float.fromhex(text) if "x" in text.lower() else float(text)


def _master(given: Any) -> str:
    """A host and a port; empty: none."""
    parts = _plain(given).split()
    if [part.lower() for part in parts] in ([], ["no", "one"]):
        return ""
    if len(parts) != len(("host", "port")) or not _NATURAL.fullmatch(parts[1]):
        raise ValueError(f"{_plain(given)!r} is not a host and a port, nor 'no one'")
    return f"{parts[0]} {int(parts[1])}"


def _folder(given: Any) -> str:
    """A path without what getcwd() leaves out. What .. and a link stand for only the file system knows."""
    text = _plain(given)
    if not text.startswith("/"):
        return text
    return "/" + "/".join(part for part in text.split("/") if part not in ("", "."))


def _save(given: Any) -> str:
    """Pairs of seconds and changes, longest time first; empty: no snapshots."""
    parts = _plain(given).split()
    if parts in ([], ['""']):
        return ""
    if len(parts) % 2 or not all(map(_NATURAL.fullmatch, parts)) or not all(map(int, parts[::2])):
        raise ValueError(f"{_plain(given)!r} is not pairs of seconds and changes, such as '3600 1 300 100', nor empty")
    pairs = sorted(zip(map(int, parts[::2]), map(int, parts[1::2]), strict=True), reverse=True)
    return " ".join(f"{seconds} {changes}" for seconds, changes in pairs)


def _events(given: Any) -> str:
    if isinstance(given, bool):
        raise ValueError("it takes letters; quote them, since YAML reads a bare no as false")
    text = _plain(given).strip()
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
        if name.lower() not in _CLIENT_CLASSES or not _NATURAL.fullmatch(seconds):
            raise ValueError(f"{' '.join(parts[start : start + _LISTED_SIZE])!r} is not a class of clients with its limits")
        limits[_CLIENT_CLASSES[name.lower()]] = (bytes_of(hard), bytes_of(soft), int(seconds))
    return limits


# Parameters with a form of their own.
_FORMS: dict[str, Callable[[Any], str]] = {
    "dir": _folder,
    "latency-tracking-info-percentiles": _percentiles,
    "notify-keyspace-events": _events,
    "oom-score-adj-values": _scores,
    "replicaof": _master,
    "save": _save,
    "unixsocketperm": _octal,
}


def parse_conf(text: str) -> list[tuple[str, list[str]]]:
    """The directives of a redis.conf in their order, names in lower case.

    :raises ValueError: for a line whose quotes do not match, with its number.
    """
    directives = []
    for number, line in enumerate((line.strip(" \t\r") for line in text.split("\n")), 1):
        if not line or line.startswith("#"):
            continue
        words = [_word(match) for match in _WORD.finditer(line)]
        if _WORD.sub("", line).strip():
            raise ValueError(f"line {number}: its quotes do not match")
        directives.append((words[0].lower(), words[1:]))
    return directives


def _word(match: re.Match[str]) -> str:
    """The text that a word stands for: escapes count inside double quotes alone."""
    raw = _ESCAPE.sub(_unescape, (match["double"] or "").encode("utf-8", "surrogateescape"))
    return match["bare"] + raw.decode("utf-8", "surrogateescape") + (match["single"] or "").replace("\\'", "'")


def _unescape(match: re.Match[bytes]) -> bytes:
    if match[1]:
        return bytes([int(match[1], 16)])
    return {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"a": b"\a"}.get(match[2], match[2])


def file_values(directives: Iterable[tuple[str, list[str]]]) -> dict[str, str]:
    """What the file gives each parameter, by present name: the last counts, but save points and client limits add up."""
    values: dict[str, str] = {}
    for given_name, words in directives:
        name, text = present_name(given_name), " ".join(words)
        if name == "client-output-buffer-limit" or (name == "save" and text):
            text = f"{values.get(name, '')} {text}".strip()
        values[name] = text
    return values


def standing(name: str, in_file: Mapping[str, str], defaults: Mapping[str, str]) -> str | None:
    """What a file with these values stands for, canonical; None where it lacks the parameter and no default is known."""
    name = present_name(name)
    text = in_file.get(name, defaults.get(name))
    if text is None:
        return None
    try:
        return _normal(name, text, defaults.get(name, text))
    except ValueError:
        return text  # a wrong value: it differs from anything that is right
