# SPDX-License-Identifier: GPL-3.0-or-later
"""What PgBouncer can open and hold, against what there is. No I/O.

All numbers count connections unless a docstring says otherwise. Limits follow PgBouncer's documentation (config.md) and,
where that is silent, ``launch_new_connection`` of its objects.c and the ``pool_*`` functions of its server.c.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._numbers import whole_number

# Listening sockets, log and the like: what PgBouncer itself adds to its expected use of descriptors (main.c, check_limits).
OWN_DESCRIPTORS = 10
# From here on PgBouncer knows a user by name in all databases. Before, one that is forced, or that auth_query finds, is
# another in each database (objects.c, force_user and add_db_user): nothing of [users] is a forced one's, and
# max_user_connections holds in each database by itself. It does so here for all users, who may come from either place.
ONE_USER_IN_ALL_DATABASES = (1, 24)
# From here on a pool_size of 0 is no limit (its changelog); before, such a pool has the one connection that it opens to
# learn the server's greeting. Both were tried, as was the above, with 1.18 and 1.24.
NO_SIZE_IS_NO_LIMIT = (1, 24)


@dataclass(frozen=True)
class Database:
    """An entry of PgBouncer's [databases]; None and, for ``max_db_connections``, 0 mean that the global setting holds.

    ``user``: the forced one. ``serves``: how many databases clients reach through it, more than 1 for ``*`` alone.
    ``reserve_pool_size`` is called ``reserve_pool`` there.
    """

    name: str
    user: str | None = None
    pool_size: int | None = None
    reserve_pool_size: int | None = None
    max_db_connections: int | None = None
    serves: int = 1


@dataclass(frozen=True)
class User:
    """An entry of PgBouncer's [users]; None and 0 mean the same as of a database. Its sizes go before those of a database.

    ``pool_size`` is known from PgBouncer 1.23 on, ``reserve_pool_size`` from 1.24 on.
    """

    pool_size: int | None = None
    reserve_pool_size: int | None = None
    max_user_connections: int | None = None


@dataclass(frozen=True)
class Pooler:
    """PgBouncer's version and settings, with its own defaults. Only ``databases`` of one PostgreSQL server count together.

    ``logins``: the users whom clients log in as. ``auth_user`` has a pool too, for ``auth_query``: in every database, or in
    ``auth_dbname`` alone, which ``*`` serves where it has no entry. ``reserve_pool_timeout`` is in seconds, and 0 turns the
    reserve off. ``processes``: how many PgBouncers have these settings, by so_reuseport, peering or more hosts; each one
    counts for itself.
    """

    version: tuple[int, int]
    databases: Sequence[Database]
    logins: Sequence[str]
    users: Mapping[str, User] = field(default_factory=dict)
    default_pool_size: int = 20
    reserve_pool_size: int = 0
    reserve_pool_timeout: float = 5.0
    max_db_connections: int = 0
    max_user_connections: int = 0
    max_client_conn: int = 100
    auth_user: str | None = None
    auth_dbname: str | None = None
    processes: int = 1


@dataclass(frozen=True)
class ServerConnections:
    """The most server connections of one PgBouncer process, of all, and how the number comes about."""

    per_process: int
    total: int
    reason: str


def server_connections(pooler: Pooler) -> ServerConnections:
    """The most server connections that PgBouncer can have open.

    A pool is a user in a database; with a forced user there is one. All pools of a database, and all of a user, can be
    limited. With limits of both kinds the number is the smaller of the two sums, which can be a little above what any
    load reaches. Requests to cancel are left out: they use a descriptor, and no slot of PostgreSQL's.

    :raises TuningError: for a negative number, or no process.
    """
    _check(pooler)
    pools = [(entry, user, _pool(pooler, entry, user)) for entry in pooler.databases for user in _users_of(pooler, entry)]
    of_databases, texts = 0, []
    for entry in pooler.databases:
        sizes = [size for owner, _, size in pools if owner is entry]
        limit = entry.max_db_connections or pooler.max_db_connections
        of_databases += entry.serves * _at_most(sum(sizes), limit)
        texts.append(_explained(entry, sizes, limit))
    of_users: Counter[str] = Counter()
    for entry, user, size in pools:
        of_users[user] += entry.serves * size
    by_users = sum(_at_most(number, _limit_over_databases(pooler, user)) for user, number in of_users.items())
    if by_users < of_databases:
        texts.append(f"max_user_connections leave {by_users}")
    most = min(of_databases, by_users)
    if pooler.processes > 1:
        texts.append(f"{pooler.processes} processes of {most}")
    return ServerConnections(most, most * pooler.processes, "; ".join(texts))


def _check(pooler: Pooler) -> None:
    whole_number("processes", pooler.processes, 1)
    for name in ("default_pool_size", "reserve_pool_size", "max_db_connections", "max_user_connections", "max_client_conn"):
        whole_number(name, getattr(pooler, name))
    for entry in pooler.databases:
        whole_number(f"the number of databases that {entry.name} serves", entry.serves, 1)
        for name in ("pool_size", "reserve_pool_size", "max_db_connections"):
            whole_number(f"{name} of {entry.name}", getattr(entry, name) or 0)
    for user, own in pooler.users.items():
        for name in ("pool_size", "reserve_pool_size", "max_user_connections"):
            whole_number(f"{name} of {user}", getattr(own, name) or 0)


def _users_of(pooler: Pooler, entry: Database) -> list[str]:
    """The user of each pool of the database: the forced one or the clients' own, and auth_user.

    A client's pool serves auth_user too; a forced user's does not, even under the same name.
    """
    named = {database.name for database in pooler.databases}
    asked_in = pooler.auth_dbname if pooler.auth_dbname in named else "*"
    asks = pooler.auth_user if pooler.auth_dbname is None or entry.name == asked_in else None
    if entry.user:
        return [entry.user, asks] if asks else [entry.user]
    return list(dict.fromkeys((*pooler.logins, asks) if asks else pooler.logins))


def _pool(pooler: Pooler, entry: Database, user: str) -> int:
    """The most connections of a pool: one for each client where its size is not limited."""
    own = pooler.users.get(user, User())
    one_in_all = pooler.version >= ONE_USER_IN_ALL_DATABASES
    if user == entry.user and not one_in_all:
        own = User()
    size = _first(own.pool_size, entry.pool_size, pooler.default_pool_size)
    if size == 0 and pooler.version >= NO_SIZE_IS_NO_LIMIT:
        return pooler.max_client_conn
    reserve = _first(own.reserve_pool_size, entry.reserve_pool_size, pooler.reserve_pool_size)
    most = max(1, size + (reserve if pooler.reserve_pool_timeout else 0))
    return most if one_in_all else _at_most(most, own.max_user_connections or pooler.max_user_connections)


def _limit_over_databases(pooler: Pooler, user: str) -> int:
    """max_user_connections of a user, where it holds over all databases; 0 is none."""
    if pooler.version < ONE_USER_IN_ALL_DATABASES:
        return 0
    return pooler.users.get(user, User()).max_user_connections or pooler.max_user_connections


def _first(*values: int | None) -> int:
    return next(value for value in values if value is not None)


def _at_most(number: int, limit: int) -> int:
    """The number within the limit, where 0 is none."""
    return min(number, limit) if limit else number


def _explained(entry: Database, sizes: Sequence[int], limit: int) -> str:
    pools = " + ".join(f"{count} {'pool' if count == 1 else 'pools'} of {size}" for size, count in Counter(sizes).items())
    text = f"{entry.name}: {pools or 'no pool'}"
    if limit and limit < sum(sizes):
        text += f", at most {limit} by max_db_connections"
    return text + (f", in each of {entry.serves} databases" if entry.serves > 1 else "")


def check_server_connections(
    found: ServerConnections, max_connections: int, superuser_reserved: int, reserved: int, other_users: int
) -> None:
    """Hold what PgBouncer can open against what PostgreSQL leaves to it.

    ``superuser_reserved``: superuser_reserved_connections. ``reserved``: reserved_connections, 0 before PostgreSQL 16.

    :raises TuningError: when it is more, with the numbers and what to do.
    """
    available = (
        whole_number("max_connections", max_connections, 1)
        - whole_number("superuser_reserved_connections", superuser_reserved)
        - whole_number("reserved_connections", reserved)
        - whole_number("other_users", other_users)
    )
    if found.total > available:
        raise TuningError(
            f"PgBouncer can open {found.total} server connections ({found.reason}), and PostgreSQL leaves it {available} "
            f"(max_connections {max_connections} less {superuser_reserved} superuser_reserved_connections, {reserved} "
            f"reserved_connections and {other_users} of other users): lower pool_size or set max_db_connections of "
            "PgBouncer, or raise max_connections"
        )


def descriptors_needed(pooler: Pooler, found: ServerConnections) -> int:
    """File descriptors that one PgBouncer process may need: its clients', its server connections' and its own few.

    Source: ``max_client_conn`` in PgBouncer's config.md, whose greatest pools are counted here with reserve and limits.
    """
    return pooler.max_client_conn + found.per_process + OWN_DESCRIPTORS


def check_descriptors(
    pooler: Pooler, found: ServerConnections, running: int | None, unit: int | None, variable: str
) -> None:
    """Hold what a PgBouncer process may need against the limit it runs with and the one its unit gives the next.

    ``running`` and ``unit`` are soft limits of open files, None for none: PgBouncer does not raise its own. Without a unit
    both are the process's. ``variable`` is the inventory's name for the unit's limit.

    :raises TuningError: when either is less, with the numbers and what to do.
    """
    needed = descriptors_needed(pooler, found)
    need = (
        f"PgBouncer may need {needed} file descriptors (max_client_conn {pooler.max_client_conn}, "
        f"{found.per_process} server connections, {OWN_DESCRIPTORS} of its own)"
    )
    if unit is not None and unit < needed:
        raise TuningError(f"{need}, and its unit allows {unit}: raise LimitNOFILE of the unit to {needed} with {variable}")
    if running is not None and running < needed:
        raise TuningError(f"{need}, and the running process has {running}: restart it, so that its unit's LimitNOFILE holds")
