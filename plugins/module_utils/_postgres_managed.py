# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers whose parameters belong to something else: compared like any other, and written by what owns them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_server import Server
from ansible_collections.leadgen.tuning.plugins.module_utils._settings import Decision

try:
    import psycopg
except ImportError:  # connect() says so
    pass


@dataclass(frozen=True)
class Managed:
    """A kind that can be read and not written; ``remedy`` says where its owner changes a parameter."""

    owner: str
    remedy: str
    reads_files: bool = False

    def refuse(self, _connection: psycopg.Connection[Any], server: Server, decisions: Sequence[Decision]) -> None:
        """Refuse every change."""
        for decision in decisions:
            if decision.needs:
                raise server.error(
                    decision.name,
                    f"{decision.before or 'nothing'} is set where {decision.after} is wanted, and {self.owner} owns the "
                    f"server's parameters; {self.remedy}",
                )

    def write(self, connection: psycopg.Connection[Any], server: Server, decisions: Sequence[Decision]) -> None:
        """Nothing can be left to write here: refuse() has raised for it."""
        self.refuse(connection, server, decisions)


PATRONI = Managed("Patroni", "change it there, with patronictl edit-config", reads_files=True)
RDS = Managed("Amazon RDS", "change it in the instance's DB parameter group")
CLOUD_SQL = Managed("Cloud SQL", "change it there, with gcloud sql instances patch --database-flags")
AZURE = Managed("Azure Database for PostgreSQL", "change it among the server parameters of the instance")
