# SPDX-License-Identifier: GPL-3.0-or-later
"""List-valued parameters of PostgreSQL: reading, merging, writing."""

from __future__ import annotations

import re
from collections.abc import Iterable

# Flagged GUC_LIST_INPUT in guc_tables.c; pg_settings does not show the flag. The value tells whether elements are quoted
# one by one (GUC_LIST_QUOTE): then one literal with a comma in it would be taken for a single, oddly named element.
LIST_PARAMETERS = {
    "createrole_self_grant": False,
    "datestyle": False,
    "debug_io_direct": False,
    "listen_addresses": False,
    "local_preload_libraries": True,
    "log_connections": False,
    "log_destination": False,
    "oauth_validator_libraries": True,
    "output_plugin_libraries": True,
    "restrict_nonsystem_relation_kind": False,
    "search_path": True,
    "session_preload_libraries": True,
    "shared_preload_libraries": True,
    "synchronized_standby_slots": False,
    "temp_tablespaces": True,
    "unix_socket_directories": True,
    "wal_consistency_checking": False,
}
PRELOAD_LIBRARIES = ("shared_preload_libraries", "session_preload_libraries", "local_preload_libraries")

# Elements that name things without regard to case.
_CASELESS = {"log_destination", "datestyle", "wal_consistency_checking", "debug_io_direct", "createrole_self_grant"}
_IDENTIFIERS = {"search_path", "temp_tablespaces"}
_NEEDS_QUOTES = re.compile(r'[\s,"]')


def is_list(name: str, version: int) -> bool:
    """Whether the parameter holds a list; ``version`` as in server_version_num (log_connections is one from 18)."""
    return name.lower() in LIST_PARAMETERS and (name.lower() != "log_connections" or version >= 180000)  # noqa: PLR2004 - a release


def split_list(name: str, text: str) -> tuple[str, ...]:
    """Split on commas outside double quotes; empty elements (the trap of a list written as ``""``) are dropped.

    :raises ValueError: when a quote is left open.
    """
    elements = []
    current, in_quotes, was_quoted = "", False, False
    position = 0
    while position < len(text):
        character = text[position]
        if in_quotes and text[position : position + 2] == '""':
            current, position = current + '"', position + 1
        elif character == '"':
            in_quotes, was_quoted = not in_quotes, True
        elif character == "," and not in_quotes:
            elements.append(given_element(name, current) if was_quoted else fold(name, current.strip()))
            current, was_quoted = "", False
        elif in_quotes or not (character.isspace() and (was_quoted or not current)):
            current += character
        position += 1
    if in_quotes:
        raise ValueError(f"{text!r} has an open double quote")
    elements.append(given_element(name, current) if was_quoted else fold(name, current.strip()))
    return tuple(element for element in elements if element)


def fold(name: str, element: str) -> str:
    """An element as the server takes it when it is not quoted: identifiers and keywords lose their case, paths do not."""
    return element.lower() if name.lower() in _CASELESS or name.lower() in _IDENTIFIERS else element


def given_element(name: str, element: str) -> str:
    """An element that was given by itself, as if quoted: only where case never counts is it folded."""
    return element.lower() if name.lower() in _CASELESS else element


def join_list(name: str, elements: Iterable[str]) -> str:
    """The text that split_list() reads back as ``elements``; quotes only where they are needed."""
    return ", ".join(
        element if element and not _NEEDS_QUOTES.search(element) and fold(name, element) == element else _quote(element)
        for element in elements
    )


def _quote(element: str) -> str:
    doubled = element.replace('"', '""')
    return f'"{doubled}"'


def merge(present: Iterable[str], ensure: Iterable[str], absent: Iterable[str]) -> tuple[str, ...]:
    """Keep what is present and its order, add what ``ensure`` lacks at the end, take out what ``absent`` names."""
    unwanted = set(absent)
    kept = [element for element in dict.fromkeys((*present, *ensure)) if element not in unwanted]
    return tuple(kept)
