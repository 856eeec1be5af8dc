# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether session defaults may be written, found before the first is; and writing them, all or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils import _postgres_memory as memory_of
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres import (
    PARAMETER_PRIVILEGES_SINCE,
    endpoint,
    one_line,
    one_row,
)
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_session_default import Change

try:
    import psycopg
    from psycopg import sql
except ImportError:  # connect() says so
    pass

_TIMEOUTS = frozenset(
    """idle_in_transaction_session_timeout idle_session_timeout lock_timeout statement_timeout
    transaction_timeout""".split()
)
# ALTER ROLE waits for others that alter the same role; a look at the next run is better than a queue.
_LOCK_TIMEOUT = "2s"


def refuse(
    connection: psycopg.Connection[dict[str, Any]],
    changes: Sequence[Change],
    memory: Sequence[Change],
    options: Mapping[str, Any],
) -> None:
    """Find before the first write, and in check mode too, what must not be or cannot be written.

    :raises TuningError: for a timeout of an exempt role, and for a privilege that is missing.
    """
    where, user = endpoint(options["connection"]), options["connection"]["user"]
    for change in changes:
        role = change.target.role
        if role in options["exempt_roles"] and change.parameter.name in _TIMEOUTS and change.value not in (None, 0):
            raise TuningError(
                f"{change.entry} on {where}: {role} is in postgres_exempt_roles, which no timeout may stop in its work; "
                "take it out of one of the two"
            )
    others = [change for change in changes if change.target.role != user]
    may = _privileges(connection) if others or memory else {}
    if others and not may["alter"]:
        raise TuningError(
            f"postgres_connection.user on {where}: the role {user!r} may not alter {others[0].target.label}; grant it "
            "CREATEROLE (and from PostgreSQL 16 ADMIN on that role), or connect as a superuser"
        )
    if memory and not may["remember"]:
        raise TuningError(
            f"postgres_connection.user on {where}: the role {user!r} may not remember what it writes; run "
            f"playbooks/grants.yml, which grants it SET on {memory_of.SESSION}"
        )


def _privileges(connection: psycopg.Connection[dict[str, Any]]) -> dict[str, bool]:
    """Whether our role may alter others, and set a placeholder: a superuser's, before privileges on parameters (15)."""
    query = sql.SQL("select rolsuper or rolcreaterole as alter, {} as remember from pg_roles where rolname = current_user")
    granted = connection.info.server_version >= PARAMETER_PRIVILEGES_SINCE
    may = "has_parameter_privilege({}, 'SET')" if granted else "rolsuper"
    return one_row(connection.execute(query.format(sql.SQL(may).format(sql.Literal(memory_of.SESSION)))))


def write(connection: psycopg.Connection[dict[str, Any]], changes: Sequence[Change], where: str) -> None:
    """Write them in one transaction.

    :raises TuningError: when a lock is held or the server refuses; nothing has been changed then.
    """
    change = changes[0]
    try:
        with connection.transaction():
            connection.execute(sql.SQL("set local lock_timeout = {}").format(sql.Literal(_LOCK_TIMEOUT)))
            for change in changes:
                connection.execute(change.statement())
    except psycopg.errors.LockNotAvailable as error:
        raise TuningError(
            f"{change.target.variable} on {where}: another session holds a lock on what has to be changed; nothing was "
            "changed, run again"
        ) from error
    except psycopg.Error as error:
        if connection.broken:
            raise
        raise TuningError(
            f"{change.target.variable} on {where}: {change.name}: {one_line(error)}; nothing was changed"
        ) from error
