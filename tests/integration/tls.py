# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates and a PostgreSQL server that asks for them, of the test's own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import psycopg
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from psycopg import sql

from retune.sandbox import files, processes
from retune.sandbox.postgres import Postgres

PASSWORD = "s3cret-of-the-test"
# Only TLS is let in from the network: `certified` shows a certificate, `tuning` gives a password.
_HBA = """\
local all postgres trust
hostssl all certified all cert
hostssl all tuning all scram-sha-256
"""


@dataclass(frozen=True)
class Issued:
    """A certificate with its key, and the files that hold them."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    path: Path

    @property
    def key_path(self) -> Path:
        return self.path.with_suffix(".key")


def issue(
    folder: Path, name: str, common: str, by: Issued | None = None, *, days: int = 2, host: str = "", address: str = ""
) -> Issued:
    """Make a certificate that is good until ``days`` from now: an authority's where nobody signs it but itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=30))
        .not_valid_after(datetime.now(UTC) + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
    )
    if host:
        names: list[x509.GeneralName] = [x509.DNSName(host)]
        if address:
            names.append(x509.IPAddress(IPv4Address(address)))
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    made = Issued(builder.sign(by.key if by else key, hashes.SHA256()), key, folder / f"{name}.crt")
    made.path.write_bytes(made.certificate.public_bytes(serialization.Encoding.PEM))
    made.key_path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    made.key_path.chmod(0o600)
    return made


@dataclass(frozen=True)
class TlsServer:
    """A running server that speaks TLS as `localhost`, and what its clients need."""

    folder: Path
    port: int
    authority: Issued
    stranger: Issued  # an authority that the server has nothing to do with

    @property
    def home(self) -> Path:
        """What belongs to the server's user."""
        return self.folder / "server"

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def connection(self) -> dict[str, Any]:
        """A connection that works: the role `tuning`, its password, and the server proved to be who it says."""
        return {
            "host": "localhost",
            "port": self.port,
            "user": "tuning",
            "password": PASSWORD,
            "dbname": "postgres",
            "sslmode": "verify-full",
            "sslrootcert": str(self.authority.path),
            "connect_timeout": 10,
        }

    def admin(self) -> psycopg.Connection[Any]:
        return psycopg.connect(host=str(self.home), port=self.port, user="postgres", dbname="postgres", autocommit=True)

    @contextmanager
    def setting(self, **settings: str) -> Iterator[None]:
        """Have the server run with these parameters for a while."""
        self._load(settings)
        try:
            yield
        finally:
            self._load(dict.fromkeys(settings))

    def _load(self, settings: dict[str, Any]) -> None:
        with self.admin() as connection:
            for name, value in settings.items():
                statement = "alter system reset {}" if value is None else "alter system set {} = {}"
                connection.execute(sql.SQL(statement).format(sql.Identifier(name), sql.Literal(value)))
            before = connection.execute("select pg_conf_load_time()").fetchone()
            connection.execute("select pg_reload_conf()")

        def loaded() -> bool:  # a session gets the time from the process that took the parameters, and the certificate
            with self.admin() as fresh:
                return fresh.execute("select pg_conf_load_time()").fetchone() != before

        assert processes.poll(loaded, 10)


@contextmanager
def tls_server(address: str = "") -> Iterator[TlsServer]:
    """Start a server with a certificate for `localhost`, and an address, and stop it in the end."""
    account = processes.service_account()
    with tempfile.TemporaryDirectory(prefix="retune-tls-") as name:
        folder = Path(name)
        folder.chmod(0o711)  # the server has another user than the test when that is root
        authority = issue(folder, "authority", "Authority of the test")
        made = TlsServer(folder, processes.free_ports(1)[0], authority, issue(folder, "stranger", "Another authority"))
        files.make_folder(made.home, account)
        _run(account, made.home, "initdb", "-D", str(made.data), "-U", "postgres", "-A", "trust", "--no-sync")
        _configure(made, account, address)
        log = made.home / "log"
        try:
            _run(account, made.home, "pg_ctl", "start", "-w", "-D", str(made.data), "-l", str(log))
            with made.admin() as connection:
                connection.execute(sql.SQL("create role tuning login superuser password {}").format(sql.Literal(PASSWORD)))
                connection.execute("create role certified login superuser")
            yield made
        finally:
            _run(account, made.home, "pg_ctl", "stop", "-w", "-m", "immediate", "-D", str(made.data))


def _configure(made: TlsServer, account: processes.Account, address: str) -> None:
    server = issue(made.folder, "server", "localhost", made.authority, host="localhost", address=address)
    expired = issue(made.folder, "expired", "localhost", made.authority, days=-1, host="localhost")
    for issued in (server, expired):
        for path in (issued.path, issued.key_path):
            files.write(made.home / path.name, path.read_text(encoding="utf-8"), owner=account)
    files.write(made.home / "authority.crt", made.authority.path.read_text(encoding="utf-8"), owner=account)
    files.write(made.data / "pg_hba.conf", _HBA, owner=account)
    settings = made.data / "postgresql.conf"
    own = f"""
port = {made.port}
listen_addresses = 'localhost'
unix_socket_directories = '{made.home}'
ssl = on
ssl_ca_file = '{made.home}/authority.crt'
ssl_cert_file = '{made.home}/server.crt'
ssl_key_file = '{made.home}/server.key'
"""
    files.write(settings, settings.read_text(encoding="utf-8") + own, owner=account)


def _run(account: processes.Account, folder: Path, program: str, *arguments: str) -> None:
    done = processes.run(account, [Postgres.program(program) or program, *arguments], folder)
    assert done.returncode == 0, done.stderr
