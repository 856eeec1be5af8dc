# SPDX-License-Identifier: GPL-3.0-or-later
"""Which values we wrote, so that one which the inventory no longer names is taken back, and no other's ever is.

The memory is a parameter of our own, a placeholder to the server (PostgreSQL 20.16, "Customized Options"), kept where the
values themselves are: no file beside the server to lose, and a copy of the server copies it. It holds names and a
fingerprint of each value's text: a value that somebody has changed since is theirs.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping

from ansible_collections.leadgen.tuning.plugins.module_utils._lists import LIST_PARAMETERS, split_list

# In postgresql.auto.conf, for ALTER SYSTEM.
SYSTEM = "leadgen_tuning.owned"
# Defaults of the role that tunes: for the session defaults of others, and in each database for its tables.
SESSION = "leadgen_tuning.session"
TABLES = "leadgen_tuning.tables"

Memory = dict[str, str]  # name: fingerprint


def fingerprint(text: str) -> str:
    """Eight hexadecimal digits of a value's text: enough to tell it from another, and no way back to it."""
    return f"{zlib.crc32(text.encode()):08x}"


def remember(values: Mapping[str, str]) -> Memory:
    """The memory of values by name."""
    return {name: fingerprint(text) for name, text in values.items()}


def plain(name: str, text: str) -> str:
    """A parameter's text without the quotes of its elements, which the server sets by rules of its own."""
    return plain_list(split_list(name, text)) if name.lower() in LIST_PARAMETERS else text


def plain_list(elements: Iterable[str]) -> str:
    """The same of a list's elements."""
    return "\0".join(elements)


def is_ours(memory: Memory, name: str, text: str | None) -> bool:
    """Whether the text that is there under the name is what we wrote."""
    return text is not None and memory.get(name) == fingerprint(text)


def load(text: str | None) -> Memory:
    """Read a memory's own text; one that is not in its form came from somebody else and says nothing."""
    try:
        entries = json.loads(text or "{}")
    except ValueError:
        return {}
    return {str(name): str(value) for name, value in entries.items()} if isinstance(entries, dict) else {}


def dump(memory: Memory) -> str:
    """The text of a memory, on one line since ALTER SYSTEM takes no other, and in a fixed order."""
    return json.dumps(memory, separators=(",", ":"), sort_keys=True)
