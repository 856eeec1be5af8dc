# SPDX-License-Identifier: GPL-3.0-or-later
"""One PostgreSQL server as it was read, and what a kind of server can do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ansible_collections.leadgen.tuning.plugins.module_utils import _postgres_memory as memory_of
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_files import Origin
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_memory import Memory
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_session_default import Present
from ansible_collections.leadgen.tuning.plugins.module_utils._settings import Configured, Decision, Parameter

try:
    import psycopg
except ImportError:  # connect() says so
    pass


@dataclass
class Server:
    """What was read of one server, before anything was decided."""

    endpoint: str
    version: int
    kind: Kind
    superuser: bool
    can_reload: bool
    alter_system_allowed: bool
    parameters: dict[str, Parameter]  # by lower-case name
    configured: dict[str, Configured]  # by lower-case name
    origins: dict[str, Origin] = field(default_factory=dict)  # by lower-case name
    defaults: Present = field(default_factory=dict)  # session defaults of the parameters that are wanted
    user: str = ""
    broken: list[str] = field(default_factory=list)  # lines that keep the files from being loaded
    privileged: set[str] = field(default_factory=set)  # names that this role may ALTER SYSTEM
    remembers: bool = False  # whether this run keeps in mind what it writes
    memory: Memory = field(default_factory=dict)  # what earlier runs wrote

    def automatic(self, name: str) -> str | None:
        """The parameter's entry in postgresql.auto.conf; None where it has none."""
        return self.configured.get(name.lower(), Configured()).automatic

    def is_ours(self, name: str) -> bool:
        """Whether the parameter's entry in postgresql.auto.conf is the one that an earlier run wrote."""
        text = self.automatic(name)
        return text is not None and memory_of.is_ours(self.memory, name.lower(), memory_of.plain(name, text))

    def error(self, name: str, reason: str) -> TuningError:
        """An error about one entry of the inventory's dictionary."""
        return TuningError(f"postgres_settings.{name} on {self.endpoint}: {reason}")


class Kind(Protocol):
    """What a kind of server can do about its parameters. Each kind is a file of its own; see _postgres_kinds.py.

    All is read and decided before a kind is asked. ``decision.value`` is what to write, None to take the entry out, and only
    where ``decision.write``; ``decision.needs`` is set where anything has to happen, were it only a reload.
    """

    @property
    def reads_files(self) -> bool:
        """Whether pg_file_settings shows what the server is configured with."""

    def refuse(self, connection: psycopg.Connection[Any], server: Server, decisions: Sequence[Decision], /) -> None:
        """Raise TuningError, before the first write and in check mode too, for whatever would stop the last."""

    def write(self, connection: psycopg.Connection[Any], server: Server, decisions: Sequence[Decision], /) -> None:
        """Bring the decisions about, load them, and remember them where the server remembers; or leave all as it was."""
