# SPDX-License-Identifier: GPL-3.0-or-later
"""PgBouncer's configuration on a real PgBouncer: what is compared, what is loaded, and what keeps serving after an error."""

from __future__ import annotations

import os
from typing import Any

import psycopg
import pytest
from ansible_collections.leadgen.tuning.plugins.module_utils import _pgbouncer_config
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError

from tests.integration.conftest import Services

WANTED = {"pool_mode": "transaction", "max_client_conn": 300, "server_idle_timeout": "300.0"}


def run(services: Services, check_mode: bool = False, **options: Any) -> dict[str, Any]:
    given = {
        "settings": {},
        "databases": {},
        "users": {},
        "hba": None,
        "passwords": None,
        "limits": None,
        "verify": False,
        **options,
    }
    return _pgbouncer_config.reconcile({"connection": services.pgbouncer, **given}, check_mode)


def config(services: Services, name: str) -> str:
    return str(next(row["value"] for row in services.console("show config") if row["key"] == name))


def serves(services: Services) -> bool:
    """Whether the application is answered through the pool."""
    with application(services) as connection:
        return connection.execute("select 1").fetchone() == (1,)


def application(services: Services) -> psycopg.Connection[Any]:
    where = {**services.pgbouncer, "user": "leads_app", "dbname": "leadgen"}
    return psycopg.connect(**where, prepare_threshold=None, autocommit=True)


def test_what_the_plan_lists_is_done_and_then_nothing_is_left(untuned: Services) -> None:
    text = untuned.pgbouncer_ini.read_text(encoding="utf-8")
    wanted = {"settings": WANTED, "databases": {"leadgen": {"pool_size": 9}, "other": {"host": "127.0.0.1"}}}
    planned = run(untuned, check_mode=True, **wanted)
    assert (untuned.pgbouncer_ini.read_text(encoding="utf-8"), config(untuned, "pool_mode")) == (text, "session")
    done = run(untuned, **wanted)
    assert done["diff"] == planned["diff"]
    assert done["diff"]["after"]["databases.leadgen.pool_size"] == "9"
    assert (config(untuned, "pool_mode"), config(untuned, "max_client_conn")) == ("transaction", "300")
    sizes = {row["name"]: row["pool_size"] for row in untuned.console("show databases")}
    assert (sizes["leadgen"], "other" in sizes) == (9, True)
    assert run(untuned, check_mode=True, **wanted)["changed"] is False
    run(untuned, verify=True, **wanted)
    assert serves(untuned)


def test_what_is_put_back_leaves_no_trace(untuned: Services) -> None:
    text = untuned.pgbouncer_ini.read_text(encoding="utf-8")
    done = run(untuned, settings=WANTED, databases={"leadgen": {"pool_size": 9}})
    run(untuned, **done["previous"])
    assert untuned.pgbouncer_ini.read_text(encoding="utf-8") == text
    assert config(untuned, "pool_mode") == "session"


def test_a_value_of_the_console_alone_is_drift(untuned: Services) -> None:
    run(untuned, settings=WANTED)
    untuned.console("set max_client_conn = 77")
    found = run(untuned, settings=WANTED)
    assert found["diff"] == {"before": {"max_client_conn": "77"}, "after": {"max_client_conn": "300"}}
    assert config(untuned, "max_client_conn") == "300"


def test_a_file_that_was_written_and_never_loaded_is_drift(untuned: Services) -> None:
    text = untuned.pgbouncer_ini.read_text(encoding="utf-8")
    changed = text.replace("[pgbouncer]", "[pgbouncer]\nmax_client_conn = 300").replace("dbname=", "pool_size=5 dbname=")
    untuned.pgbouncer_ini.write_text(changed, encoding="utf-8")
    wanted = {"settings": {"max_client_conn": 300}, "databases": {"leadgen": {"pool_size": 5}}}
    found = run(untuned, **wanted)
    assert found["diff"]["before"] == {"max_client_conn": "100", "databases.leadgen.pool_size": "20"}
    assert config(untuned, "max_client_conn") == "300"
    assert run(untuned, **wanted)["changed"] is False


def test_what_needs_a_restart_is_written_once_and_said_to_wait(untuned: Services) -> None:
    first = run(untuned, settings={"listen_backlog": 256})
    assert (first["restart_required"], first["pending_restart"], first["needs"]) == (
        True,
        ["listen_backlog"],
        {"listen_backlog": "restart"},
    )
    again = run(untuned, settings={"listen_backlog": 256})
    assert (again["changed"], again["pending_restart"]) == (False, ["listen_backlog"])


def test_owner_mode_comments_and_the_old_file_are_kept(untuned: Services) -> None:
    before = untuned.pgbouncer_ini.stat()
    text = untuned.pgbouncer_ini.read_text(encoding="utf-8")
    run(untuned, settings=WANTED)
    after = untuned.pgbouncer_ini.stat()
    assert (after.st_uid, after.st_gid, after.st_mode) == (before.st_uid, before.st_gid, before.st_mode)
    lines = untuned.pgbouncer_ini.read_text(encoding="utf-8").splitlines()
    assert [line for line in text.splitlines() if line] == [line for line in lines if line in text.splitlines() and line]
    previous = untuned.pgbouncer_ini.with_name("pgbouncer.ini.previous")
    assert (previous.read_text(encoding="utf-8"), previous.stat().st_mode) == (text, before.st_mode)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"settings": {"pool_mode": "sometimes"}}, 'invalid value "sometimes" for parameter pool_mode'),
        ({"settings": {"max_client_conn": "many"}}, 'invalid value "many" for parameter max_client_conn'),
        ({"settings": {"pool_size": 3}}, r"pgbouncer_settings\.pool_size on .*: PgBouncer .* has no such setting"),
        (
            {"settings": {"auth_file": "/nowhere/userlist.txt"}},
            r"pgbouncer_settings\.auth_file on .*userlist.txt is not there",
        ),
        ({"databases": {"leadgen": {"pool": 3}}}, "unrecognized connection parameter: pool"),
        ({"databases": {"leadgen": 3}}, r"pgbouncer_databases\.leadgen on .*: has to be a dictionary"),
        ({"settings": {"server_check_query": "a\nb"}}, "has to stand on one line"),
        (
            {"settings": {"ignore_startup_parameters": "extra_float_digits, statement_timeout"}},
            "it would drop statement_timeout of clients without a word",
        ),
    ],
)
def test_what_cannot_be_is_refused_and_the_old_configuration_serves(
    untuned: Services, options: dict[str, Any], said: str
) -> None:
    text = untuned.pgbouncer_ini.read_text(encoding="utf-8")
    before = untuned.console("show config")
    for check_mode in (True, False):
        with pytest.raises(TuningError, match=said):
            run(untuned, check_mode, **options)
    assert untuned.pgbouncer_ini.read_text(encoding="utf-8") == text
    assert untuned.console("show config") == before
    assert serves(untuned)


def test_an_auth_file_that_its_user_cannot_read_is_refused(untuned: Services) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root has files that PgBouncer's user cannot read")
    hidden = untuned.pgbouncer_ini.with_name("hidden.txt")
    hidden.write_text('"leads_app" "x"\n', encoding="utf-8")
    hidden.chmod(0o600)
    try:
        with pytest.raises(
            TuningError, match=r"hidden\.txt cannot be read by the user that PgBouncer runs as; nothing was changed"
        ):
            run(untuned, settings={"auth_file": str(hidden)})
    finally:
        hidden.unlink()
    assert serves(untuned)


def test_a_file_that_is_broken_already_is_named(untuned: Services) -> None:
    text = untuned.pgbouncer_ini.read_text(encoding="utf-8")
    untuned.pgbouncer_ini.write_text(f"{text}what is this\n", encoding="utf-8")
    number = len(text.splitlines()) + 1
    with pytest.raises(
        TuningError, match=rf"pgbouncer.ini of .* cannot be read: line {number} is no section, entry or comment"
    ):
        run(untuned, settings=WANTED)


def test_a_console_that_refuses_says_what_to_check(untuned: Services) -> None:
    for connection, said in (
        (
            {"password": "wrong", "passfile": "/dev/null"},
            "pgbouncer_connection: cannot connect to PgBouncer at .*correct pgbouncer_connection.password",
        ),
        ({"user": "leads_app"}, "the console is for admin_users of pgbouncer.ini"),
        ({"port": 1}, "pgbouncer_connection: cannot connect to PgBouncer at 127.0.0.1:1"),
    ):
        with pytest.raises(TuningError, match=said) as raised:
            run(untuned, connection={**untuned.pgbouncer, **connection}, settings=WANTED)
        assert "wrong" not in str(raised.value)


def limits(services: Services, **options: Any) -> dict[str, Any]:
    given = {"logins": ["leads_app", "leads_migrate"], "other_connections": 10, "processes": 1, "unit": None}
    return {"connection": services.postgres, **given, **options}


def test_more_server_connections_than_there_are_is_refused_with_the_numbers(untuned: Services) -> None:
    wanted = {"settings": {"default_pool_size": 44}}
    said = r"PgBouncer can open 88 server connections .*, and PostgreSQL leaves it 87 \(max_connections 100 less 3 superuser"
    with pytest.raises(TuningError, match=said):
        run(untuned, limits=limits(untuned), **wanted)
    assert config(untuned, "default_pool_size") == "20"
    run(untuned, limits=limits(untuned, other_connections=9), **wanted)
    with pytest.raises(TuningError, match="2 processes of 88"):
        run(untuned, limits=limits(untuned, other_connections=0, processes=2), **wanted)


def test_more_clients_than_file_descriptors_is_refused_with_the_numbers(untuned: Services) -> None:
    with pytest.raises(
        TuningError, match=r"may need 100050 file descriptors \(max_client_conn 100000, 40 server connections"
    ):
        run(untuned, limits=limits(untuned), settings={"max_client_conn": 100000})
    assert config(untuned, "max_client_conn") == "100"


def test_a_link_is_not_replaced(untuned: Services) -> None:
    file = untuned.pgbouncer_ini
    real = file.with_name("real.ini")
    file.rename(real)
    file.symlink_to(real)
    try:
        for check_mode in (True, False):
            with pytest.raises(
                TuningError, match="is a link, which a new file would replace; start PgBouncer with the file its"
            ):
                run(untuned, check_mode, settings=WANTED)
        assert file.is_symlink()
    finally:
        real.rename(file)


def test_a_unit_that_is_none_is_said(untuned: Services) -> None:
    with pytest.raises(
        TuningError, match=r"pgbouncer_limits\.unit: systemd does not tell LimitNOFILE of no-such\.service: "
    ):
        run(untuned, limits={**limits(untuned), "unit": "no-such.service"}, settings=WANTED)
    assert config(untuned, "pool_mode") == "session"


def test_the_statement_timeout_of_the_role_holds_through_the_pool(untuned: Services, roles: Services) -> None:
    run(untuned, settings=WANTED)
    roles.sql("alter role leads_app set statement_timeout = '200ms'")
    untuned.console("reconnect")
    with application(untuned) as connection, pytest.raises(psycopg.errors.QueryCanceled):
        connection.execute("select pg_sleep(5)")


def test_a_password_is_not_shown(untuned: Services) -> None:
    found = run(untuned, databases={"leadgen": {"password": "not to be seen"}})
    assert "not to be seen" not in str(found)
    assert found["diff"]["after"] == {"databases.leadgen.password": "(hidden)"}
    assert run(untuned, databases={"leadgen": {"password": "not to be seen"}})["changed"] is False
