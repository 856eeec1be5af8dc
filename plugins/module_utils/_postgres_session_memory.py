# SPDX-License-Identifier: GPL-3.0-or-later
"""Which session defaults we wrote: a default of the role that tunes, written in the transaction that writes the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ansible_collections.leadgen.tuning.plugins.module_utils import _postgres_memory as memory_of
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_memory import Memory
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_session_default import (
    VARIABLES,
    Change,
    Present,
    Target,
)
from ansible_collections.leadgen.tuning.plugins.module_utils._settings import Parameter

MEMORY = Parameter(memory_of.SESSION, "string", "user", None)


def remembered(user: str, present: Present) -> Memory:
    """What earlier runs wrote, by key of the change."""
    return memory_of.load(present.get((user, ""), {}).get(memory_of.SESSION))


def forgotten(memory: Memory, present: Present) -> Iterator[Change]:
    """For each default that is still as an earlier run wrote it, the change that takes it out."""
    for (role, database), values in present.items():
        for name, text in values.items():
            target = Target(role, database, VARIABLES[bool(role), bool(database)])
            change = Change(target, Parameter(name, "string", "user", None), None, text)
            if memory_of.is_ours(memory, change.key, memory_of.plain(name, text)):
                yield change


def remembering(user: str, memory: Memory, changes: Sequence[Change], present: Present) -> list[Change]:
    """The change of the memory that goes with the changes; none where it stays as it is."""
    touched = {change.key for change in changes}
    after = {key: mark for key, mark in memory.items() if key not in touched}
    after |= memory_of.remember({change.key: change.text for change in changes if change.text is not None})
    text = memory_of.dump(after) if after else None
    before = present.get((user, ""), {}).get(memory_of.SESSION)
    return [Change(Target(user, "", "postgres_connection"), MEMORY, text, before)] if changes and text != before else []
