# SPDX-License-Identifier: GPL-3.0-or-later
"""PgBouncer's settings as comparable values. No I/O."""

from __future__ import annotations

from typing import Any

# Words that PgBouncer takes in any case (CF_LOOKUP in its main.c).
_CASELESS = frozenset({"auth_type", "client_tls_sslmode", "pool_mode", "server_tls_sslmode"})
_LISTS = frozenset({"admin_users", "ignore_startup_parameters", "listen_addr", "stats_users", "track_extra_parameters"})


def text_of(name: str, given: Any) -> str:
    """An inventory value as the file has it; a boolean is 1 or 0 and a list is joined by commas.

    :raises ValueError: for what no setting can be.
    """
    if isinstance(given, bool):
        return str(int(given))
    if isinstance(given, list) and name in _LISTS:
        return ", ".join(map(str, given))
    if isinstance(given, int | float | str):
        text = str(given)
        if "\n" in text or "\r" in text:
            raise ValueError("a value has to stand on one line")
        return text.strip()
    raise ValueError(f"a {type(given).__name__} is no value of it")


def same(name: str, one: str | None, other: str | None) -> bool:
    """Whether two texts are the same value; SHOW leaves out (None) what is empty."""
    return _comparable(name, one or "") == _comparable(name, other or "")


def _comparable(name: str, text: str) -> object:
    if name == "unix_socket_mode":  # octal in the file; SHOW CONFIG of 1.18 has it as a decimal number
        return int(text, 8) if text.startswith("0") else int(text or "0")
    if name in _CASELESS:
        return text.lower()
    if name in _LISTS:
        return tuple(element.strip() for element in text.split(",") if element.strip())
    try:
        return float(text)
    except ValueError:
        return text
