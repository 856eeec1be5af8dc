# SPDX-License-Identifier: GPL-3.0-or-later
"""Nobody is promised a connection that is not there: PgBouncer's pools and its descriptors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._pgbouncer_arithmetic import (
    Database,
    Pooler,
    ServerConnections,
    User,
    check_descriptors,
    check_server_connections,
    descriptors_needed,
    server_connections,
)
from hypothesis import given
from hypothesis import strategies as st

NUMBERS = st.integers(0, 40)
SIZES = st.none() | st.integers(0, 30)
NAMES = ("app", "worker", "reports")


def pooler(*databases: Database, **settings: Any) -> Pooler:
    """PgBouncer 1.24 with two users, unless told otherwise."""
    return Pooler(**{"version": (1, 24), "databases": databases, "logins": ("app", "worker"), **settings})


LEADS = Database("leads")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        # a pool for each user of each database, of default_pool_size
        (pooler(LEADS), 40),
        (pooler(LEADS, Database("audit")), 80),
        (pooler(), 0),
        (pooler(LEADS, logins=()), 0),
        # sizes: the user's before the database's before the default
        (pooler(Database("leads", pool_size=5)), 10),
        (pooler(LEADS, default_pool_size=7), 14),
        (pooler(LEADS, users={"app": User(pool_size=3)}), 23),
        (pooler(Database("leads", pool_size=5), users={"app": User(pool_size=9)}), 14),
        (pooler(LEADS, users={"elsewhere": User(pool_size=3)}), 40),
        # a size of 0 is no limit, so that each client can have a connection; before 1.24 it is one connection
        (pooler(Database("leads", pool_size=0)), 200),
        (pooler(LEADS, default_pool_size=0, max_client_conn=70, max_db_connections=90), 90),
        (pooler(LEADS, users={"app": User(pool_size=0)}, max_client_conn=70), 90),
        (pooler(Database("leads", pool_size=0), reserve_pool_size=5, max_client_conn=70, max_user_connections=30), 60),
        (pooler(Database("leads", pool_size=0), version=(1, 23)), 2),
        (pooler(Database("leads", pool_size=0, reserve_pool_size=3), version=(1, 18)), 6),
        # reserve: the same order, and none without a timeout
        (pooler(LEADS, reserve_pool_size=5), 50),
        (pooler(Database("leads", reserve_pool_size=2), reserve_pool_size=5), 44),
        (pooler(Database("leads", reserve_pool_size=0), reserve_pool_size=5), 40),
        (pooler(LEADS, reserve_pool_size=5, users={"app": User(reserve_pool_size=1)}), 46),
        (pooler(LEADS, reserve_pool_size=5, reserve_pool_timeout=0), 40),
        # a forced user is one pool, whoever logs in, with that user's own settings
        (pooler(Database("leads", user="owner")), 20),
        (pooler(Database("leads", user="owner"), logins=()), 20),
        (pooler(Database("leads", user="owner"), users={"owner": User(pool_size=4)}), 4),
        (pooler(Database("leads", user="owner"), users={"app": User(pool_size=4)}), 20),
        # limits of a database; 0 is the global one's, and there none
        (pooler(Database("leads", max_db_connections=30)), 30),
        (pooler(LEADS, max_db_connections=30), 30),
        (pooler(Database("leads", max_db_connections=50), max_db_connections=30), 40),
        (pooler(Database("leads", max_db_connections=0), max_db_connections=30), 30),
        (pooler(LEADS, Database("audit"), max_db_connections=30), 60),
        (pooler(LEADS, reserve_pool_size=5, max_db_connections=45), 45),
        # limits of a user, over all databases
        (pooler(LEADS, Database("audit"), max_user_connections=30), 60),
        (pooler(LEADS, Database("audit"), users={"app": User(max_user_connections=30)}), 70),
        (pooler(LEADS, Database("audit"), users={"app": User(max_user_connections=0)}, max_user_connections=30), 60),
        (pooler(LEADS, Database("audit"), users={"app": User(max_user_connections=35)}, max_user_connections=30), 65),
        (pooler(Database("leads", user="owner"), Database("audit", user="owner"), max_user_connections=25), 25),
        # both: the smaller sum
        (pooler(LEADS, Database("audit"), max_db_connections=30, max_user_connections=25), 50),
        (pooler(LEADS, Database("audit"), max_db_connections=10, max_user_connections=25), 20),
        # the fallback counts for each database that it serves, and so does its limit
        (pooler(Database("*", serves=3)), 120),
        (pooler(Database("*", serves=3, max_db_connections=10)), 30),
        (pooler(LEADS, Database("*", serves=2, user="owner")), 80),
        (pooler(Database("*", serves=3), max_user_connections=50), 100),
        # auth_user asks in each database, or in auth_dbname alone, which the fallback serves where it has no entry
        (pooler(LEADS, auth_user="pgbouncer"), 60),
        (pooler(Database("leads", user="owner"), auth_user="pgbouncer"), 40),
        (pooler(LEADS, auth_user="app"), 40),
        (pooler(Database("leads", user="owner"), auth_user="owner"), 40),
        (pooler(LEADS, Database("auth"), logins=("app",), auth_user="pgbouncer", auth_dbname="auth"), 60),
        (pooler(LEADS, Database("*"), logins=("app",), auth_user="pgbouncer", auth_dbname="auth"), 60),
        # before 1.24 a user's limit holds in each database by itself, and [users] says nothing of a forced user
        (pooler(LEADS, Database("audit"), version=(1, 18), max_user_connections=15), 60),
        (pooler(LEADS, Database("audit"), version=(1, 23), users={"app": User(max_user_connections=15)}), 70),
        (pooler(LEADS, version=(1, 18), max_user_connections=15, max_db_connections=25), 25),
        (pooler(Database("*", serves=3), version=(1, 18), max_user_connections=15), 90),
        (pooler(Database("leads", user="owner"), version=(1, 18), users={"owner": User(None, None, 6)}), 20),
        (pooler(Database("leads", user="owner"), version=(1, 23), users={"owner": User(4)}), 20),
        (pooler(Database("leads", user="a"), Database("audit", user="a"), version=(1, 18), max_user_connections=15), 30),
        # each process counts for itself
        (pooler(LEADS, processes=3), 120),
        (pooler(LEADS, processes=3, max_db_connections=30), 90),
    ],
)
def test_server_connections(given: Pooler, expected: int) -> None:
    found = server_connections(given)
    assert found.total == expected
    assert found.total == found.per_process * given.processes


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (pooler(LEADS), "leads: 2 pools of 20"),
        (pooler(LEADS, logins=("app",)), "leads: 1 pool of 20"),
        (pooler(LEADS, logins=()), "leads: no pool"),
        (pooler(LEADS, users={"app": User(pool_size=3)}), "leads: 1 pool of 3 + 1 pool of 20"),
        (pooler(LEADS, max_db_connections=30), "leads: 2 pools of 20, at most 30 by max_db_connections"),
        (pooler(LEADS, max_db_connections=40), "leads: 2 pools of 20"),
        (
            pooler(LEADS, Database("*", serves=3, pool_size=5), max_user_connections=30, processes=2),
            "leads: 2 pools of 20; *: 2 pools of 5, in each of 3 databases; "
            "max_user_connections leave 60; 2 processes of 60",
        ),
    ],
)
def test_server_connections_say_how(given: Pooler, reason: str) -> None:
    assert server_connections(given).reason == reason


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (pooler(LEADS, processes=0), "processes is 0"),
        (pooler(LEADS, default_pool_size=-1), "default_pool_size is -1"),
        (pooler(LEADS, max_user_connections=-1), "max_user_connections is -1"),
        (pooler(LEADS, max_client_conn=-1), "max_client_conn is -1"),
        (pooler(Database("leads", pool_size=-1)), "pool_size of leads is -1"),
        (pooler(Database("*", serves=0)), r"that \* serves is 0"),
        (pooler(LEADS, users={"app": User(max_user_connections=-1)}), "max_user_connections of app is -1"),
    ],
)
def test_server_connections_refuse_nonsense(given: Pooler, named: str) -> None:
    with pytest.raises(TuningError, match=named):
        server_connections(given)


def test_too_many_server_connections() -> None:
    found = server_connections(pooler(LEADS, processes=2))
    check_server_connections(found, 100, 3, 7, 10)  # 80 of 80
    with pytest.raises(TuningError) as refused:
        check_server_connections(found, 100, 3, 7, 11)
    for part in ("80 server connections", "leads: 2 pools of 20", "leaves it 79", "max_connections 100", "less 3 superuser"):
        assert part in str(refused.value)
    for part in ("7 reserved_connections", "11 of other users", "max_db_connections", "raise max_connections"):
        assert part in str(refused.value)
    with pytest.raises(TuningError, match="other_users is -1"):
        check_server_connections(found, 100, 3, 7, -1)


def test_descriptors() -> None:
    found = ServerConnections(per_process=40, total=80, reason="")
    assert descriptors_needed(pooler(max_client_conn=1000), found) == 1050
    check_descriptors(pooler(max_client_conn=1000), found, 1050, 1050, "pgbouncer_limit")
    check_descriptors(pooler(max_client_conn=1000), found, None, None, "pgbouncer_limit")


@pytest.mark.parametrize(
    ("running", "unit", "told"),
    [
        (1024, 1049, ("its unit allows 1049", "raise LimitNOFILE of the unit to 1050 with pgbouncer_limit")),
        (None, 1024, ("its unit allows 1024", "pgbouncer_limit")),
        (1024, 4096, ("the running process has 1024", "restart it")),
        (1049, None, ("the running process has 1049", "restart it")),
    ],
)
def test_too_few_descriptors(running: int | None, unit: int | None, told: tuple[str, ...]) -> None:
    with pytest.raises(TuningError) as refused:
        check_descriptors(pooler(max_client_conn=1000), ServerConnections(40, 80, ""), running, unit, "pgbouncer_limit")
    for part in ("1050 file descriptors", "max_client_conn 1000", "40 server connections", "10 of its own", *told):
        assert part in str(refused.value)


def opened(given: Pooler) -> int:
    """What one process has open once nothing more can be opened, by PgBouncer's own order of looking; plain databases."""
    count: dict[tuple[str, str], int] = {}
    progress = True
    while progress:
        progress = False
        for entry in given.databases:
            for user in given.logins:
                own = given.users.get(user, User())
                of_pool = count.get((entry.name, user), 0)
                of_database = sum(number for (name, _), number in count.items() if name == entry.name)
                of_user = sum(number for (_, name), number in count.items() if name == user)
                sizes = (own.pool_size, entry.pool_size, given.default_pool_size)
                size = next(size for size in sizes if size is not None)
                most = size + given.reserve_pool_size if size else given.max_client_conn
                database_limit = entry.max_db_connections or given.max_db_connections
                user_limit = own.max_user_connections or given.max_user_connections
                if of_pool >= most or (database_limit and of_database >= database_limit):
                    continue
                if user_limit and of_user >= user_limit:
                    continue
                count[entry.name, user] = of_pool + 1
                progress = True
    return sum(count.values())


@st.composite
def poolers(draw: st.DrawFn) -> Pooler:
    """PgBouncer with limits of databases, of users, both or none."""
    names = draw(st.lists(st.sampled_from(("leads", "audit", "files")), unique=True))
    users = draw(st.lists(st.sampled_from(NAMES), unique=True))
    return Pooler(
        version=(1, 24),
        databases=[Database(name, pool_size=draw(SIZES), max_db_connections=draw(SIZES)) for name in names],
        logins=users,
        users={user: User(pool_size=draw(SIZES), max_user_connections=draw(SIZES)) for user in users},
        default_pool_size=draw(NUMBERS),
        reserve_pool_size=draw(st.integers(0, 3)),
        max_client_conn=draw(NUMBERS),
        max_db_connections=draw(NUMBERS),
        max_user_connections=draw(NUMBERS),
    )


@given(poolers())
def test_no_more_is_opened_than_counted(given_pooler: Pooler) -> None:
    assert opened(given_pooler) <= server_connections(given_pooler).per_process


@given(poolers())
def test_the_count_is_exact_with_limits_of_one_kind(given_pooler: Pooler) -> None:
    of_databases = replace(given_pooler, users={}, max_user_connections=0)
    assert opened(of_databases) == server_connections(of_databases).per_process
    plain = [replace(entry, max_db_connections=None) for entry in given_pooler.databases]
    of_users = replace(given_pooler, databases=plain, max_db_connections=0)
    assert opened(of_users) == server_connections(of_users).per_process
