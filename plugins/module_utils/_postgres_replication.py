# SPDX-License-Identifier: GPL-3.0-or-later
"""In what order a primary and its standbys are restarted, and whether they are in sync again afterwards."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres import connect, endpoint, is_standby, one_row

try:
    import psycopg
except ImportError:  # connect() says so
    pass

BEFORE_PRIMARY, PRIMARY, AFTER_PRIMARY = TURNS = ("before_primary", "primary", "after_primary")
# A standby on which one of these is lower than on its primary stops replaying: a rise goes to the standbys first, and a fall
# to the primary (PostgreSQL documentation, "Administrator's Overview" of hot standby).
_NOT_LOWER_THAN_PRIMARY = frozenset(
    {"max_connections", "max_locks_per_transaction", "max_prepared_transactions", "max_wal_senders", "max_worker_processes"}
)
_POLL_SECONDS = 0.1
# A standby's own view, and a primary's of those that follow it.
_RECEIVING = "select count(*) as streams from pg_stat_wal_receiver where status = 'streaming'"
_SENDING = "select count(*) as streams from pg_stat_replication where state = 'streaming'"
_CAUGHT_UP = (
    "select count(*) as streams from pg_stat_wal_receiver where status = 'streaming'"
    " and pg_last_wal_replay_lsn() >= coalesce(latest_end_lsn, pg_last_wal_receive_lsn())"
)


def turn_of(connection: psycopg.Connection[Any], waiting: Iterable[str], wanted: Mapping[str, Any]) -> str:
    """When this server is restarted; ``wanted`` has what is about to be written by name, before a plan is carried out."""
    if not is_standby(connection):
        return PRIMARY
    names = sorted(_NOT_LOWER_THAN_PRIMARY & set(waiting))
    rows = connection.execute(
        "select s.name, s.setting::int as running, (select f.setting from pg_file_settings as f where f.name = s.name"
        " order by f.seqno desc limit 1) as configured from pg_settings as s where s.name = any(%s)",
        (names,),
    )
    rises = any(int(wanted.get(row["name"]) or row["configured"] or row["running"]) > row["running"] for row in rows)
    return BEFORE_PRIMARY if rises else AFTER_PRIMARY


def streams(connection: psycopg.Connection[Any]) -> int:
    """How many streams of replication the server has: to its primary, or to the standbys that follow it."""
    found: int = one_row(connection.execute(_RECEIVING if is_standby(connection) else _SENDING))["streams"]
    return found


def wait_until_in_sync(where: Mapping[str, Any], before: int, seconds: float) -> None:
    """Wait until a restarted server has as many streams as ``before``, and a standby has replayed what its primary wrote.

    :raises TuningError: when it has not in time.
    """
    deadline = time.monotonic() + seconds
    while before:
        with connect(where) as connection:
            standby = is_standby(connection)
            if one_row(connection.execute(_CAUGHT_UP if standby else _SENDING))["streams"] >= before:
                return
        if time.monotonic() > deadline:
            missing = "it does not follow its primary again" if standby else "its standbys do not all follow it again"
            raise TuningError(
                f"postgres_restart_command on {endpoint(where)}: the server is back, and after {seconds:.0f} s {missing}; "
                "see the log of the standby, and run again when it streams"
            )
        time.sleep(_POLL_SECONDS)
