# SPDX-License-Identifier: GPL-3.0-or-later
"""NODE_OPTIONS as Node reads it, and with another flag in it. No I/O.

Node parts it at spaces outside double quotes; a backslash inside them takes the next character as it is. Flags of V8 may be
spelled with underscores, and of a flag that is given twice the last one holds (Node's documentation, ``NODE_OPTIONS``).
"""

from __future__ import annotations

from dataclasses import dataclass

_SHORT = {"-r": "--require"}


@dataclass(frozen=True)
class Flag:
    """One flag: the text as it stands, its name with dashes, and its value, None where it has none."""

    raw: str
    name: str
    value: str | None


def flags(text: str) -> list[Flag]:
    """The flags in their order.

    :raises ValueError: when a double quote is not closed, which Node refuses too.
    """
    words = _words(text)
    found: list[Flag] = []
    while words:
        raw, word = words.pop(0)
        name, equals, value = word.partition("=")
        name = _canonical(name)
        if equals:
            found.append(Flag(raw, name, value))
        elif words and not words[0][1].startswith("-"):  # as in `--require FILE`
            other_raw, other = words.pop(0)
            found.append(Flag(f"{raw} {other_raw}", name, other))
        else:
            found.append(Flag(raw, name, None))
    return found


def value_of(text: str, name: str) -> str | None:
    """The value of the flag that holds, the last of that name; None where there is none.

    :raises ValueError: as ``flags``.
    """
    values = [flag.value for flag in flags(text) if flag.name == name]
    return values[-1] if values else None


def with_value(text: str, name: str, value: str) -> str:
    """The same with the flag at that value: the last of that name is changed, or one is put at the end.

    The text comes back unchanged where the flag has the value already.

    :raises ValueError: as ``flags``.
    """
    present = flags(text)
    places = [place for place, flag in enumerate(present) if flag.name == name]
    if places and present[places[-1]].value == value:
        return text
    raws = [flag.raw for flag in present]
    if places:
        raws[places[-1]] = _quoted(f"{name}={value}")
    else:
        raws.append(_quoted(f"{name}={value}"))
    return " ".join(raws)


def with_module(text: str, path: str) -> str:
    """The same with ``--require`` of that file, which is put at the end unless it is there.

    :raises ValueError: as ``flags``.
    """
    present = flags(text)
    if any(flag.name == "--require" and flag.value == path for flag in present):
        return text
    return " ".join([*(flag.raw for flag in present), _quoted(f"--require={path}")])


def _canonical(name: str) -> str:
    return _SHORT.get(name, name.replace("_", "-"))


def _words(text: str) -> list[tuple[str, str]]:
    """Each word, as it stands and as Node reads it."""
    found: list[tuple[str, str]] = []
    raw, word, is_quoted, characters = "", "", False, iter(text)
    for character in characters:
        if character == " " and not is_quoted:
            found += [(raw, word)] if raw else []
            raw, word = "", ""
            continue
        raw += character
        if character == '"':
            is_quoted = not is_quoted
        elif character == "\\" and is_quoted:
            following = next(characters, "")
            raw, word = raw + following, word + following
        else:
            word += character
    if is_quoted:
        raise ValueError("NODE_OPTIONS has a double quote that is not closed")
    return found + ([(raw, word)] if raw else [])


def _quoted(word: str) -> str:
    if not set(word) & set(' "\\'):
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
