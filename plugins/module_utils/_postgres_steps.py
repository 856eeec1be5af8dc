# SPDX-License-Identifier: GPL-3.0-or-later
"""What one object of a database needs, as statements, and running them without waiting in a queue for a lock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres import one_line

try:
    import psycopg
    from psycopg import sql
except ImportError:  # connect() says so
    pass

# The server ends an autovacuum that is in the way after deadlock_timeout, 1 s; whatever else holds the lock is left to it.
LOCK_TIMEOUT = "2s"


@dataclass(frozen=True)
class Step:
    """The statements for one object, each in a transaction of its own."""

    entry: str  # of the inventory, for messages
    before: Mapping[str, str]  # by key of the diff
    after: Mapping[str, str]
    statements: Sequence[sql.Composed]
    relation: str | None = None  # whose lock the statements take
    lock_timeout: str = LOCK_TIMEOUT
    undo: Sequence[sql.Composed] = field(default=())


def run_step(connection: psycopg.Connection[Any], step: Step, where: str) -> str | None:
    """Run the statements; None when all is done, and who is in the way when a lock could not be had.

    :raises TuningError: when the server refuses one; what the step had done is undone.
    """
    connection.execute(
        "select set_config('lock_timeout', %s, false), set_config('statement_timeout', '0', false)", (step.lock_timeout,)
    )
    try:
        for statement in step.statements:
            # Sent as one prepared statement: a fragment from the inventory cannot bring a second one along.
            connection.execute(statement, binary=True)
    except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
        holders = _holders(connection, step.relation)
        undo(connection, [step])
        return holders
    except psycopg.Error as error:
        if connection.broken:
            raise
        undo(connection, [step])
        raise TuningError(f"{step.entry} on {where}: {one_line(error)}") from error
    return None


def undo(connection: psycopg.Connection[Any], steps: Sequence[Step]) -> None:
    """Take the steps back, the last first; what cannot be taken back is found by the next run."""
    for statement in (statement for step in reversed(steps) for statement in step.undo):
        try:
            connection.execute(statement, binary=True)
        except psycopg.Error:
            if connection.broken:
                raise


def _holders(connection: psycopg.Connection[Any], relation: str | None) -> str:
    """Who holds a lock on the relation, or without one the oldest transaction; never what they run."""
    rows = connection.execute(
        "select a.pid, coalesce(a.usename, a.backend_type) as name, coalesce(nullif(a.application_name, ''), '?') as program"
        " from pg_stat_activity as a where a.pid <> pg_backend_pid() and a.pid in"
        " (select pid from pg_locks where granted and relation = to_regclass(%s) and mode like '%%Exclusive%%')"
        " order by a.xact_start limit 3",
        (relation,),
    ).fetchall()
    found = ", ".join(f"{row['name']} ({row['program']}, pid {row['pid']})" for row in rows)
    return f"held by {found}" if found else "held by a session that has ended, or by an old transaction"
