# SPDX-License-Identifier: GPL-3.0-or-later
"""pgbouncer.ini: what it says, and the same text with other values. No I/O.

The syntax is that of PgBouncer's configuration documentation: sections, ``key = value``, comments on lines of their own, and
``%include``. A value ends with its line; of a key that stands twice the last one holds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

MAIN = "pgbouncer"
Sections = dict[str, dict[str, str]]

_SECTION = re.compile(r"\s*\[(\w+)\]\s*$")
_ENTRY = re.compile(r"\s*([^\s=#;%\[][^=]*?)\s*=\s*(.*?)\s*$")
_INCLUDE = re.compile(r"\s*%include\s+(.+?)\s*$")
# A parameter of an entry: a bare word, or text in quotes, in which a quote stands twice.
_PARAMETER = re.compile(r"\s*(\w+)\s*=\s*(?:'((?:[^']|'')*)'|([^\s']*))(?:\s+|$)")
_DEPTH = 16


def read(text: str, include: Callable[[str], str], depth: int = 0, section: str = "") -> Sections:
    """What the file and those that it includes say, by section and key.

    :param include: gives the text of an included file by its name.
    :raises ValueError: for a line that is none of the syntax, with its number.
    """
    found: Sections = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith((";", "#")):
            continue
        if match := _SECTION.match(line):
            section = match[1]
        elif match := _INCLUDE.match(line):
            if depth >= _DEPTH:
                raise ValueError(f"line {number} includes a file that includes another, {_DEPTH} times over")
            for name, entries in read(include(match[1]), include, depth + 1, section).items():
                found.setdefault(name, {}).update(entries)
        elif match := _ENTRY.match(line):
            found.setdefault(section, {})[match[1].strip('"')] = match[2]
        else:
            raise ValueError(f"line {number} is no section, entry or comment")
    return found


def write(text: str, section: str, changes: Mapping[str, str | None]) -> str:
    """The text with other values in a section; None takes an entry out. All else stays as it is, comments included."""
    lines, missing, current, last = [], dict(changes), "", None
    for line in text.splitlines():
        if match := _SECTION.match(line):
            current = match[1]
        match = _ENTRY.match(line) if current == section else None
        key = match[1].strip('"') if match else None
        if key is not None and key in changes:
            if key not in missing or changes[key] is None:
                missing.pop(key, None)
                continue  # taken out, or written at its first place already
            lines.append(f"{_key(key)} = {missing.pop(key)}")
        else:
            lines.append(line)
        if current == section and line.strip():
            last = len(lines)
    added = [f"{_key(key)} = {value}" for key, value in missing.items() if value is not None]
    if added and last is None:
        lines += ["", f"[{section}]", *added]
    elif added:
        lines[last:last] = added
    return "\n".join(lines) + "\n"


def _key(name: str) -> str:
    """A key as it is written: a name of a database or a user in quotes where it is no plain word."""
    return name if re.fullmatch(r"[\w.*-]+", name) else f'"{name}"'


def read_entry(text: str) -> dict[str, str]:
    """The parameters of a database's or a user's entry, in their order.

    :raises ValueError: for a text that is not a list of them.
    """
    found, position = {}, 0
    while position < len(text):
        match = _PARAMETER.match(text, position)
        if not match:
            raise ValueError("is not a list of key=value")
        found[match[1]] = match[3] if match[2] is None else match[2].replace("''", "'")
        position = match.end()
    return found


def write_entry(parameters: Mapping[str, Any]) -> str:
    """The text of an entry."""
    return " ".join(f"{name}={_quoted(str(value))}" for name, value in parameters.items())


def _quoted(value: str) -> str:
    return value if re.fullmatch(r"[^\s']+", value) else "'" + value.replace("'", "''") + "'"
