# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may connect how, with which password and over TLS: the files that pgbouncer.ini names, on both releases."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from ansible_collections.leadgen.tuning.plugins.module_utils import _pgbouncer_config
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError

from retune.sandbox.processes import LOOPBACK
from tests.integration.conftest import Services
from tests.integration.pooler import RELEASES, Pool, pooler
from tests.integration.tls import PASSWORD, issue, tls_server

SETTINGS: dict[str, Any] = {"auth_type": "hba"}
CONSOLE = {"databases": ["pgbouncer"], "users": ["pooler_admin"], "address": "127.0.0.0/8", "method": "scram-sha-256"}
LEADS: dict[str, Any] = {"users": ["leads_app", "odd  user"], "address": "127.0.0.0/8", "method": "scram-sha-256"}
HBA: list[dict[str, Any]] = [CONSOLE, LEADS, {"address": "0.0.0.0/0", "method": "reject"}]
WANTED: dict[str, Any] = {"settings": SETTINGS, "hba": HBA, "passwords": {"leads_app": "new pass word"}}

SERVER = {"user": "files_app", "password": "of the server"}


@pytest.fixture(scope="module", autouse=True)
def role(services: Services) -> Iterator[None]:
    """The role that PgBouncer logs in as, whoever its client is."""
    services.sql("create role files_app login password 'of the server'")
    yield
    services.sql("drop role files_app")


@pytest.fixture(params=RELEASES)
def pool(services: Services, request: pytest.FixtureRequest) -> Iterator[Pool]:
    """A PgBouncer that knows the application by its old password and nobody else."""
    with pooler(services, request.param, {"leads_app": "old", "other": "kept"}) as made:
        where = {"host": services.postgres["host"], "port": services.postgres["port"]}
        run(made, databases={"leadgen": {**where, **SERVER}})
        yield made


def run(pool: Pool, check_mode: bool = False, **options: Any) -> dict[str, Any]:
    """Run the module's work on the pool as the module would with these options."""
    given = {"settings": {}, "databases": {}, "users": {}, "hba": None, "passwords": None, "limits": None, "verify": False}
    hba = options.pop("hba", None)
    defaults = {"type": "host", "databases": ["all"], "users": ["all"], "address": None, "options": {}}
    rules = None if hba is None else [{**defaults, **rule} for rule in hba]
    connection = options.pop("connection", {"connect_timeout": 10, **pool.connection})
    return _pgbouncer_config.reconcile({"connection": connection, **given, **options, "hba": rules}, check_mode)


def log_in(pool: Pool, user: str, password: str, **options: Any) -> psycopg.Connection[Any]:
    where = {"dbname": "leadgen", **pool.connection, "user": user, "password": password}
    return psycopg.connect(**{**where, "dbname": "leadgen", **options}, prepare_threshold=None, autocommit=True)


def live(pool: Pool, name: str) -> str:
    return str(next(row["value"] for row in pool.console("show config") if row["key"] == name))


def files(pool: Pool) -> dict[str, str]:
    """The configuration on the disk, by name."""
    of_runtime = ("log", "pid")
    paths = (path for path in pool.ini.parent.iterdir() if path.name not in of_runtime)
    return {path.name: path.read_text(encoding="utf-8") for path in paths}


def test_what_the_plan_lists_is_done_and_decides_who_is_let_in(pool: Pool) -> None:
    before = files(pool)
    planned = run(pool, check_mode=True, **WANTED)
    assert files(pool) == before
    done = run(pool, **WANTED)
    assert done["diff"] == planned["diff"]
    assert done["diff"]["after"]["passwords.leads_app"] == "(hidden)"
    assert "new pass" not in str(done)
    assert 'leads_app,"odd  user"' in done["diff"]["after"]["hba"]
    assert run(pool, check_mode=True, **WANTED)["changed"] is False
    run(pool, verify=True, **WANTED)
    with log_in(pool, "leads_app", "new pass word") as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    for user, password in (("leads_app", "old"), ("other", "kept")):
        with pytest.raises(psycopg.OperationalError):
            log_in(pool, user, password)
    secret = Path(live(pool, "auth_file"))
    assert (secret.stat().st_mode & 0o777, secret.stat().st_uid) == (0o600, pool.ini.stat().st_uid)


def test_what_is_put_back_lets_the_former_ones_in(pool: Pool) -> None:
    text = pool.ini.read_text(encoding="utf-8")
    done = run(pool, **WANTED)
    run(pool, **done["previous"])
    assert pool.ini.read_text(encoding="utf-8") == text
    with log_in(pool, "other", "kept"):
        pass


def test_another_content_is_another_file_and_only_the_former_one_is_kept(pool: Pool) -> None:
    for password in ("first", "second", "third"):
        run(pool, passwords={"leads_app": password})
    assert [name for name in sorted(files(pool)) if "auth_file" in name or "auth-" in name or "-auth-" in name] == [
        "pgbouncer-auth-2.txt",
        "pgbouncer-auth-3.txt",
    ]
    assert live(pool, "auth_file").endswith("pgbouncer-auth-3.txt")
    # An editor's file beside it is not ours.
    opened = pool.ini.with_name(".pgbouncer.ini.swp")
    opened.write_text("an editor's", encoding="utf-8")
    run(pool, passwords={"leads_app": None})
    text = Path(live(pool, "auth_file")).read_text(encoding="utf-8")
    assert ("leads_app" in text, '"other" "kept"' in text, opened.exists()) == (False, True, True)


def test_a_file_that_was_written_and_never_loaded_is_drift(pool: Pool) -> None:
    former = pool.ini.read_text(encoding="utf-8")
    run(pool, **WANTED)
    written = pool.ini.read_text(encoding="utf-8")
    pool.ini.write_text(former, encoding="utf-8")
    pool.console("reload")
    pool.ini.write_text(written, encoding="utf-8")
    found = run(pool, **WANTED)
    assert sorted(found["diff"]["after"]) == ["auth_file", "auth_hba_file", "auth_type"]
    with log_in(pool, "leads_app", "new pass word"):
        pass


def test_a_rule_that_was_edited_is_drift(pool: Pool) -> None:
    run(pool, **WANTED)
    path = Path(live(pool, "auth_hba_file"))
    path.write_text(f"host all all 0.0.0.0/0 trust\n# as it was\n{path.read_text(encoding='utf-8')}", encoding="utf-8")
    found = run(pool, **WANTED)
    assert found["diff"]["before"]["hba"] == "host all all 0.0.0.0/0 trust"
    assert live(pool, "auth_hba_file") != str(path)
    assert run(pool, **WANTED)["changed"] is False


def test_the_order_of_rules_counts(pool: Pool) -> None:
    run(pool, **WANTED)
    assert run(pool, **{**WANTED, "hba": [HBA[1], HBA[0], HBA[2]]})["changed"] is True


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"settings": SETTINGS, "hba": [{"address": "10.0.0.0/8", "method": "sometimes"}]},
            "hba line 1: unsupported method",
        ),
        (
            {"settings": SETTINGS, "hba": [{"address": "10.0.0.x/8", "method": "trust"}]},
            "hba line 1: failed to parse address",
        ),
        ({"settings": SETTINGS, "hba": [{"method": "trust"}]}, r"pgbouncer_hba, rule 1, on .*: host needs an address"),
        (
            {"settings": SETTINGS, "hba": [{"type": "local", "address": "10.0.0.0/8", "method": "trust"}]},
            "local takes no address",
        ),
        ({"hba": HBA}, r"pgbouncer_hba on .*: auth_type is scram-sha-256, with which no rule is read"),
        ({"settings": {**SETTINGS, "auth_hba_file": "/etc/hba"}, "hba": HBA}, "pgbouncer_hba makes this file"),
        ({"passwords": {"leads_app": "two\nlines"}}, r"pgbouncer_passwords\.leads_app on .*: has to be a text on one line"),
        ({"passwords": {"leads_app": 5}}, "has to be a text on one line"),
    ],
)
def test_what_cannot_be_is_refused_and_the_old_configuration_serves(pool: Pool, options: dict[str, Any], said: str) -> None:
    before = files(pool)
    for check_mode in (True, False):
        with pytest.raises(TuningError, match=said) as raised:
            run(pool, check_mode, **options)
        assert "lines" not in str(raised.value)
    assert files(pool) == before
    with log_in(pool, "leads_app", "old") as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def test_a_wrong_password_of_the_console_is_said_without_it(pool: Pool) -> None:
    before = files(pool)
    with pytest.raises(TuningError, match=r"pgbouncer_connection.*: .*password authentication failed|SASL") as raised:
        run(pool, connection={"connect_timeout": 10, **pool.connection, "password": "wr0ng"}, **WANTED)
    assert "wr0ng" not in str(raised.value)
    assert (files(pool), _is_let_in(pool, "old")) == (before, True)


def test_a_file_of_passwords_that_is_none_is_said_without_its_content(pool: Pool) -> None:
    (pool.ini.parent / "userlist.txt").write_text("pooler_admin s3cret\n", encoding="utf-8")
    with pytest.raises(TuningError, match="line 1 of the present auth_file is no user; mend that first") as raised:
        run(pool, passwords={"leads_app": "new"})
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize("place", range(6))
def test_a_run_that_is_killed_leaves_one_that_serves_and_the_next_run_does_the_rest(pool: Pool, place: int) -> None:
    child = multiprocessing.get_context("fork").Process(target=_killed_at, args=(pool, place))
    child.start()
    child.join(30)
    assert child.exitcode == -signal.SIGKILL
    pool.console("show version")
    let_in = [password for password in ("old", "new pass word") if _is_let_in(pool, password)]
    assert len(let_in) == 1
    run(pool, **WANTED)
    assert run(pool, check_mode=True, **WANTED)["changed"] is False
    assert _is_let_in(pool, "new pass word")
    assert not [name for name in files(pool) if name.startswith(".")]


def _is_let_in(pool: Pool, password: str) -> bool:
    try:
        log_in(pool, "leads_app", password).close()
    except psycopg.OperationalError:
        return False
    return True


def _killed_at(pool: Pool, place: int) -> None:
    """Apply, and end before the call of that number among those that write or load."""
    calls = 0

    def counted(function: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal calls
            if calls == place:
                os.kill(os.getpid(), signal.SIGKILL)
            calls += 1
            return function(*arguments, **options)

        return call

    os.replace, os.link = counted(os.replace), counted(os.link)
    _pgbouncer_config._prove = counted(_pgbouncer_config._prove)
    _pgbouncer_config.remove_former_files = counted(_pgbouncer_config.remove_former_files)
    run(pool, **WANTED)


@pytest.mark.parametrize("release", RELEASES)
def test_tls_on_both_sides(services: Services, release: str) -> None:
    with tls_server(LOOPBACK) as server, pooler(services, release, {"tuning": PASSWORD}) as pool:
        owner = pool.ini.stat()
        own = issue(pool.ini.parent, "pool", "localhost", server.authority, host="localhost")
        authority = pool.ini.parent / "authority.crt"
        authority.write_bytes(server.authority.path.read_bytes())
        for path in (own.path, own.key_path, authority):
            os.chown(path, owner.st_uid, owner.st_gid)
        wanted: dict[str, Any] = {
            "settings": {
                "client_tls_sslmode": "require",
                "client_tls_cert_file": str(own.path),
                "client_tls_key_file": str(own.key_path),
                "server_tls_sslmode": "verify-full",
                "server_tls_ca_file": str(authority),
                "client_login_timeout": 2,
            },
            "databases": {"secured": {"host": LOOPBACK, "port": server.port, "dbname": "postgres"}},
        }
        run(pool, **wanted)
        trusting = {"sslmode": "verify-full", "sslrootcert": str(authority), "host": "localhost", "dbname": "secured"}
        pool.connection.update(sslmode="verify-full", sslrootcert=str(authority), host="localhost")
        with log_in(pool, "tuning", PASSWORD, **trusting) as connection:
            found = connection.execute("select ssl, version from pg_stat_ssl where pid = pg_backend_pid()").fetchone()
            assert (connection.pgconn.ssl_in_use, found) == (True, (True, "TLSv1.3"))
        with pytest.raises(psycopg.OperationalError, match="SSL required"):
            log_in(pool, "tuning", PASSWORD, **{**trusting, "sslmode": "disable"})
        assert run(pool, check_mode=True, **wanted)["changed"] is False
        # A server whose authority is another's is not talked to.
        stranger = pool.ini.parent / "stranger.crt"
        stranger.write_bytes(server.stranger.path.read_bytes())
        os.chown(stranger, owner.st_uid, owner.st_gid)
        run(pool, settings={"server_tls_ca_file": str(stranger)})
        pool.console("reconnect")
        with pytest.raises(psycopg.OperationalError, match=r"server down|certificate verify failed"):
            log_in(pool, "tuning", PASSWORD, **trusting)
