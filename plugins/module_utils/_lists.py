# SPDX-License-Identifier: GPL-3.0-or-later
"""List-valued parameters of PostgreSQL: reading, merging, writing."""

from __future__ import annotations

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
_FOLDED = {"log_destination", "datestyle", "wal_consistency_checking", "debug_io_direct", "createrole_self_grant"}


def is_list(name: str, version: int) -> bool:
    """Whether the parameter holds a list; ``version`` as in server_version_num (log_connections is one from 18)."""
    return name.lower() in LIST_PARAMETERS and (name.lower() != "log_connections" or version >= 180000)  # noqa: PLR2004 - a release


def split_list(name: str, text: str) -> tuple[str, ...]:
    """Split on commas outside double quotes; empty elements (the trap of a list written as ``""``) are dropped.

    :raises ValueError: when a quote is left open.
    """
    elements, current, quoted, was_quoted = [], "", False, False
    position = 0
    while position < len(text):
        character = text[position]
        if quoted and text[position : position + 2] == '""':
            current, position = current + '"', position + 1
        elif character == '"':
            quoted, was_quoted = not quoted, True
        elif character == "," and not quoted:
            elements.append(_element(name, current, was_quoted))
            current, was_quoted = "", False
        else:
            current += character
        position += 1
    if quoted:
        raise ValueError(f"{text!r} has an open double quote")
    elements.append(_element(name, current, was_quoted))
    return tuple(element for element in elements if element)


def _element(name: str, text: str, was_quoted: bool) -> str:
    if was_quoted:
        return text.strip()
    text = text.strip()
    # An unquoted identifier is folded to lower case by the server; a library's path is not.
    return text.lower() if name.lower() in _FOLDED or name.lower() in ("search_path", "temp_tablespaces") else text


def merge(present: Iterable[str], ensure: Iterable[str], absent: Iterable[str]) -> tuple[str, ...]:
    """Keep what is present and its order, add what ``ensure`` lacks at the end, take out what ``absent`` names."""
    unwanted = set(absent)
    kept = [element for element in dict.fromkeys((*present, *ensure)) if element not in unwanted]
    return tuple(kept)
