# SPDX-License-Identifier: GPL-3.0-or-later
"""Legal spellings of the values that CONFIG GET answers, by kind; the kind is what the server says when it is told nonsense.

Nothing here is taken from the tables of the modules, which these spellings are to try.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import redis

UNITS = {"k": 1000, "kb": 2**10, "m": 10**6, "mb": 2**20, "g": 10**9, "gb": 2**30}
EVENTS = "g$lshzxetd"

# Kinds of one parameter or two, whose refusals say little.
_OF_NAME = {
    "bind": "words",
    "rdma-bind": "words",
    "client-output-buffer-limit": "limits",
    "dir": "folder",
    "latency-tracking-info-percentiles": "percentiles",
    "notify-keyspace-events": "events",
    "oom-score-adj-values": "scores",
    "replicaof": "master",
    "slaveof": "master",
    "save": "save",
    "shutdown-on-sigint": "flags",
    "shutdown-on-sigterm": "flags",
    "unixsocketperm": "octal",
}
_REFUSALS = {
    "must be 'yes' or 'no'": "boolean",
    "must be one of the following": "enum",
    "parsed into an integer": "integer",
    "must be a memory value": "memory",
    "must be a memory or percent value": "share",
}
_ENUMS_OF_A_START = (
    "enable-debug-command",
    "enable-module-command",
    "enable-protected-configs",
    "supervised",
    "syslog-facility",
)
# Kinds that Redis splits at spaces, in its file too.
_OF_WORDS = ("words", "limits", "percentiles", "scores", "master", "save", "flags")


def kind(client: redis.Redis, name: str, value: str) -> tuple[str, list[str]]:
    """The kind of a parameter, and the choices of an enumeration."""
    refusal = ""
    try:
        client.config_set(name, "no such word")
        client.config_set(name, value)
    except redis.ResponseError as error:
        refusal = str(error)
    choices = refusal.partition("must be one of the following: ")[2].split(", ")
    if name in _OF_NAME:
        return _OF_NAME[name], choices
    if "immutable" in refusal:
        return _kind_of_a_start(name, value), []
    return next((found for words, found in _REFUSALS.items() if words in refusal), "text"), choices


def _kind_of_a_start(name: str, value: str) -> str:
    """Of what cannot be set: as its value looks, but for names, lists of processors and enumerations."""
    if name in _ENUMS_OF_A_START:
        return "enum"
    if "name" in name or "cpulist" in name:
        return "text"
    return "boolean" if value in ("yes", "no") else "integer" if re.fullmatch(r"-?\d+", value) else "text"


def spellings(kind: str, value: str) -> list[Any]:
    """The value itself first, then other ways to write it in an inventory."""
    return [value, *_OTHERS[kind](value)]


def _boolean(value: str) -> list[Any]:
    return [value.upper(), value == "yes", value.capitalize()]


def _enum(value: str) -> list[Any]:
    return [value.upper(), value.title(), *([value == "yes"] if value in ("yes", "no") else [])]


def _integer(value: str) -> list[Any]:
    return [int(value)]


def _memory(value: str) -> list[Any]:
    size = int(value)
    exact = [f"{size // factor}{unit}" for unit, factor in UNITS.items() if size % factor == 0]
    return [size, f"{size}b", f"{size}B", f"00{size}", *exact, *(text.upper() for text in exact)]


def _share(value: str) -> list[Any]:
    return [] if value.endswith("%") else [*_memory(value), *(["0%"] if value == "0" else [])]


def _octal(value: str) -> list[Any]:
    return [f"0{value}", f"00{value}"]


def _events(value: str) -> list[Any]:
    spelt_out = value.replace("A", EVENTS)
    return [value[::-1], value * 2, spelt_out, spelt_out[::-1]]


def _save(value: str) -> list[Any]:
    numbers = [int(word) for word in value.split()]
    pairs = [[seconds, changes] for seconds, changes in list(pairwise(numbers))[::2]]
    padded = " ".join(f"+{seconds} 0{changes}" for seconds, changes in pairs)
    return [numbers, pairs, pairs[::-1], [f"{seconds} {changes}" for seconds, changes in pairs], padded]


def _limits(value: str) -> list[Any]:
    words = value.split()
    groups = [words[start : start + 4] for start in range(0, len(words), 4)]
    named = [[name.replace("slave", "replica"), *limits] for name, *limits in groups]
    in_kb = [
        [name.upper(), f"{int(hard) // 1024}kb", f"{int(soft) // 1024}KB", f"0{time}"] for name, hard, soft, time in named
    ]
    return [
        " ".join(" ".join(group) for group in named[::-1]),
        {name: [int(limit) for limit in limits] for name, *limits in named},
        {name: " ".join(limits) for name, *limits in groups},
        groups,
        " ".join(" ".join(group) for group in in_kb),
    ]


def _scores(value: str) -> list[Any]:
    numbers = [int(word) for word in value.split()]
    return [numbers, " ".join(f"{number:+05}" for number in numbers)]


def _percentiles(value: str) -> list[Any]:
    numbers = [float(word) for word in value.split()]
    return [
        numbers,
        " ".join(f"{number:.3f}" for number in numbers),
        " ".join(f"+{number:e}" for number in numbers),
        " ".join(hex(int(number)) if number.is_integer() else f"0{number}" for number in numbers),
    ]


def _flags(value: str) -> list[Any]:
    words = value.split()
    return [value.upper(), words, words[::-1], f"{value} {words[0]}", f"default {value}"]


def _words(value: str) -> list[Any]:
    return [value.split()]


def _master(value: str) -> list[Any]:
    if not value:
        return ["no one", ["NO", "One"]]
    host, port = value.split()
    return [[host, int(port)], f"{host} 0{port}"]


def _folder(value: str) -> list[Any]:
    return [f"{value}/", value.replace("/", "//"), value.replace("/", "/./")]


def _text(value: str) -> list[Any]:
    words = value.split()
    number = [int(value)] if value.isdigit() and str(int(value)) == value else []
    return [*number, *([words] if len(words) > 1 and " ".join(words) == value else [])]


_OTHERS: dict[str, Callable[[str], list[Any]]] = {
    "boolean": _boolean,
    "enum": _enum,
    "events": _events,
    "flags": _flags,
    "folder": _folder,
    "integer": _integer,
    "limits": _limits,
    "master": _master,
    "memory": _memory,
    "octal": _octal,
    "percentiles": _percentiles,
    "save": _save,
    "scores": _scores,
    "share": _share,
    "text": _text,
    "words": _words,
}


def written(given: Any) -> str:
    """What a person would write for the value in redis-cli."""
    if isinstance(given, bool):
        return "yes" if given else "no"
    if isinstance(given, dict):
        return " ".join(f"{name} {written(value)}" for name, value in given.items())
    return " ".join(map(written, given)) if isinstance(given, list) else str(given)


def lines(name: str, kind: str, given: Any, style: int) -> list[str]:
    """The value in redis.conf, in one of several styles of quoting and case."""
    text = written(given)
    if kind == "master" and not text:
        text = "no one"  # the file has no other word for none
    name = name.upper() if style % 2 else name
    if kind == "save" and text and style % 2:
        words = text.split()
        return [f"{name} {seconds} {changes}" for seconds, changes in list(pairwise(words))[::2]]
    if kind in _OF_WORDS and text:
        return [f"\t{name}   {'  '.join(text.split())} \r" if style % 2 else f'{name} "{text}"']
    return [f"{name} {_quoted(text, style)}"]


def _quoted(text: str, style: int) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    in_hex = "".join(f"\\x{byte:02x}" for byte in text.encode())
    styles = [f'"{escaped}"', "'{}'".format(text.replace("'", "\\'")), f'"{in_hex}"']
    # A bare word has neither spaces nor quotes; but quotes may begin in its midst.
    if re.fullmatch(r"[^\s\"'#\\][^\s\"'\\]*", text):
        styles += [text, f'{text[0]}"{text[1:]}"', f"{text[0]}'{text[1:]}'"]
    return styles[style % len(styles)]
