# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections with TLS, certificates and passwords, against a server that lets nothing else in."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres import connect

from tests.integration.conftest import PROJECT
from tests.integration.tls import PASSWORD, Issued, TlsServer, issue, tls_server


@pytest.fixture(scope="module")
def server() -> Iterator[TlsServer]:
    with tls_server() as running:
        yield running


@pytest.fixture(scope="module")
def client(server: TlsServer) -> Issued:
    return issue(server.folder, "client", "certified", server.authority)


def as_certified(server: TlsServer, issued: Issued, **options: Any) -> dict[str, Any]:
    """A connection with a certificate in place of a password."""
    files = {"sslcert": str(issued.path), "sslkey": str(issued.key_path)}
    return {**server.connection, "user": "certified", "password": None, **files, **options}


def session(connection: dict[str, Any]) -> dict[str, Any]:
    """What the server says of a connection: who it is, whether it uses TLS, and whose certificate it has."""
    with connect(connection) as opened:
        row = opened.execute(
            "select usename, ssl, client_dn from pg_stat_ssl join pg_stat_activity using (pid) where pid = pg_backend_pid()"
        ).fetchone()
    assert row is not None
    return row


def refusal(connection: dict[str, Any]) -> str:
    """The error of a connection that cannot be had, which is one sentence and holds no secret."""
    with pytest.raises(TuningError) as caught, connect(connection):
        pass
    text = str(caught.value)
    where = f"cannot connect to PostgreSQL at {connection['host']}:{connection['port']}, database"
    assert text.startswith(f"postgres_connection: {where}")
    assert "\n" not in text
    assert PASSWORD not in text
    return text


def test_the_server_is_verified_and_the_password_taken(server: TlsServer) -> None:
    assert session(server.connection) == {"usename": "tuning", "ssl": True, "client_dn": None}


def test_a_certificate_takes_the_place_of_a_password(server: TlsServer, client: Issued) -> None:
    assert session(as_certified(server, client)) == {"usename": "certified", "ssl": True, "client_dn": "/CN=certified"}


REFUSALS = [
    (
        {"sslrootcert": "{stranger}"},
        r"certificate verify failed \(self-signed .*postgres_connection\.sslrootcert, .*stranger\.crt, lacks",
    ),
    ({"sslrootcert": "/nowhere.crt"}, r'"/nowhere\.crt" does not exist; give in postgres_connection\.sslrootcert'),
    ({"host": "127.0.0.1"}, r'does not match host name "127\.0\.0\.1"; give in postgres_connection\.host'),
    ({"sslmode": "disable"}, r"no encryption; .*set postgres_connection\.sslmode to verify-full"),
    ({"password": "wr0ng"}, r'failed for user "tuning"; correct postgres_connection\.password'),
    ({"password": "wr0ng", "sslmode": "prefer"}, r'failed for user "tuning"; correct postgres_connection\.password'),
    ({"password": None}, r"no password supplied; give postgres_connection\.password, from a vault, or"),
    ({"dbname": "nowhere"}, r"correct postgres_connection\.dbname"),
    ({"user": "nobody"}, r"SSL encryption; have a line added .*or correct postgres_connection\.user"),
    ({"user": "certified"}, r"requires a valid client certificate; give .* in postgres_connection\.sslcert"),
    ({"host": "name.invalid"}, r"correct postgres_connection\.host"),
    ({"port": 1}, r"refused; check that the server runs and that postgres_connection\.host, localhost, and"),
]


@pytest.mark.parametrize(("change", "message"), REFUSALS)
def test_a_refusal_names_the_variable_and_the_remedy(server: TlsServer, change: dict[str, Any], message: str) -> None:
    given = {name: str(server.stranger.path) if value == "{stranger}" else value for name, value in change.items()}
    text = refusal({**server.connection, **given})
    assert re.search(message, text), text
    assert "wr0ng" not in text


def test_an_expired_certificate_of_the_server_is_told_from_an_unknown_one(server: TlsServer) -> None:
    with server.setting(ssl_cert_file=f"{server.home}/expired.crt", ssl_key_file=f"{server.home}/expired.key"):
        assert "(certificate has expired); have the server's certificate renewed" in refusal(server.connection)
    assert session(server.connection)["ssl"]


def test_a_server_without_tls_is_named_as_that(server: TlsServer) -> None:
    with server.setting(ssl="off"):
        assert "switch on ssl at the server, since postgres_connection.sslmode is verify-full" in refusal(server.connection)
        assert "have TLS switched on at the server" in refusal({**server.connection, "sslmode": "prefer"})


def test_a_client_certificate_that_will_not_do(server: TlsServer, client: Issued) -> None:
    folder = server.folder
    foreign = issue(folder, "foreign", "certified", server.stranger)
    expired = issue(folder, "expired-client", "certified", server.authority, days=-1)
    another = issue(folder, "another", "somebody", server.authority)
    assert "have postgres_connection.sslcert signed by" in refusal(as_certified(server, foreign))
    assert "renew the client's certificate, postgres_connection.sslcert" in refusal(as_certified(server, expired))
    assert "sslcert has to be for the role certified" in refusal(as_certified(server, another))
    missing = refusal(as_certified(server, client, sslcert="/nowhere.crt"))
    assert missing.endswith("in .sslkey (/nowhere.crt cannot be read (No such file or directory))")
    for key in ("/nowhere.key", str(another.key_path)):
        text = refusal(as_certified(server, client, sslkey=key))
        assert text.endswith("give in postgres_connection.sslkey the key of postgres_connection.sslcert")


def test_a_key_that_others_may_read_is_refused_with_its_mode(server: TlsServer) -> None:
    open_to_all = issue(server.folder, "open", "certified", server.authority)
    open_to_all.key_path.chmod(0o644)
    assert refusal(as_certified(server, open_to_all)).endswith("set the mode of postgres_connection.sslkey to 0600")
    open_to_all.key_path.chmod(0o600)
    assert session(as_certified(server, open_to_all))["ssl"]


def test_a_password_file(server: TlsServer, tmp_path: Path) -> None:
    passfile = tmp_path / "pgpass"
    given = {**server.connection, "password": None, "passfile": str(passfile)}
    assert "pgpass cannot be read (No such file or directory)" in refusal(given)
    passfile.write_text(f"localhost:{server.port}:*:tuning:{PASSWORD}\n", encoding="utf-8")
    passfile.chmod(0o640)
    assert "pgpass is passed over since others may read it; set its mode to 0600" in refusal(given)
    passfile.chmod(0o600)
    assert session(given)["usename"] == "tuning"
    passfile.write_text(f"elsewhere:*:*:tuning:{PASSWORD}\n", encoding="utf-8")
    assert f"give the line for localhost:{server.port}:postgres:tuning in postgres_connection.passfile" in refusal(given)
    passfile.write_text("*:*:*:tuning:wrong\n", encoding="utf-8")
    assert f"correct the line for localhost:{server.port}:postgres:tuning" in refusal(given)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PGHOSTADDR", "192.0.2.1"),
        ("PGHOST", "192.0.2.1"),
        ("PGPORT", "1"),
        ("PGSERVICE", "elsewhere"),
        ("PGUSER", "nobody"),
        ("PGDATABASE", "nowhere"),
        ("PGSSLMODE", "disable"),
        ("PGTARGETSESSIONATTRS", "standby"),
        ("PGPASSWORD", "wr0ng"),
    ],
)
def test_the_environment_does_not_replace_what_the_inventory_says(
    server: TlsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    passfile = tmp_path / "pgpass"
    passfile.write_text(f"localhost:{server.port}:*:tuning:{PASSWORD}\n", encoding="utf-8")
    passfile.chmod(0o600)
    monkeypatch.setenv(name, value)
    assert session({**server.connection, "password": None, "passfile": str(passfile)})["usename"] == "tuning"
    assert os.environ[name] == value


def test_the_environment_gives_a_password_where_the_inventory_names_none(
    server: TlsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    assert session({**server.connection, "password": None})["usename"] == "tuning"


def test_a_vaulted_password_in_the_inventory(server: TlsServer, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("of-the-vault", encoding="utf-8")
    vault = [str(Path(sys.executable).with_name("ansible-vault")), "encrypt_string", "--vault-id", f"dev@{key}"]
    made = subprocess.run(
        [*vault, PASSWORD, "--name", "db_password"], check=True, capture_output=True, text=True, timeout=60
    )
    inventory = tmp_path / "sealed"
    (inventory / "group_vars").mkdir(parents=True)
    (inventory / "group_vars" / "all.yml").write_text(made.stdout, encoding="utf-8")
    connection = {**server.connection, "password": "{{ db_password }}"}
    values = {"ansible_connection": "local", "postgres_connection": connection, "postgres_settings": {"work_mem": "8MB"}}
    hosts = {"postgres": {"hosts": {"sealed-postgres": values}}}
    (inventory / "hosts.yml").write_text(yaml.safe_dump({"all": {"children": hosts}}), encoding="utf-8")

    def plan(*options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "retune", "plan", str(inventory), "--json", *options]
        environment = {**os.environ, "RETUNE_LOG_DIRECTORY": str(tmp_path / "log")}
        return subprocess.run(
            command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=120, check=False
        )

    opened = plan("--vault-id", f"dev@{key}")
    assert opened.returncode == 2, opened.stderr
    assert [decision["after"] for decision in json.loads(opened.stdout)["decisions"]] == [{"work_mem": "8MB"}]
    closed = plan()
    assert closed.returncode == 1
    for done in (opened, closed):
        assert PASSWORD not in done.stdout + done.stderr
        assert "Traceback" not in done.stdout + done.stderr
