# SPDX-License-Identifier: GPL-3.0-or-later
"""A PgBouncer of one test module's own, of either release, in transaction mode in front of the session's PostgreSQL."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from ansible_collections.leadgen.tuning.plugins.module_utils._other_user import as_user
from psycopg.rows import dict_row

from retune.sandbox.processes import LOOPBACK, free_ports
from tests.integration.conftest import PROJECT, Services

# Debian 12's, which has no prepared statements in transaction mode, and Debian 13's, which has.
RELEASES = ("1.18", "1.24")
ADMIN = "pooler_admin"
_INI = """[databases]
* = host={host} port={server}
[pgbouncer]
listen_addr = {host}
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/userlist.txt
admin_users = {admin}
logfile = {folder}/log
pidfile = {folder}/pid
pool_mode = transaction
max_client_conn = 200
default_pool_size = {size}
"""


@dataclass(frozen=True)
class Pool:
    """A running PgBouncer."""

    release: str
    connection: dict[str, Any]  # of the admin console
    ini: Path
    log: Path

    def console(self, command: str) -> list[dict[str, Any]]:
        """The rows that the admin console answers with."""
        with psycopg.connect(**self.connection, autocommit=True, row_factory=dict_row) as connection:
            cursor = connection.execute(command.encode())
            return cursor.fetchall() if cursor.description else []


def program(release: str) -> str:
    """The program of a release; Debian 13's is fetched where it is not there yet."""
    if release == "1.18":
        found = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin")
        assert found, "pgbouncer is not installed: run 'make setup'"
        return found
    made = subprocess.run([PROJECT / "tools" / "debian13.sh"], capture_output=True, text=True, timeout=600, check=True)
    return str(Path(made.stdout.strip()).parents[3] / "sbin" / "pgbouncer")


@contextmanager
def pooler(services: Services, release: str, users: Mapping[str, str], size: int = 20, settings: str = "") -> Iterator[Pool]:
    """Start PgBouncer for users by their passwords, and stop it."""
    (port,) = free_ports(1)
    folder = Path(tempfile.mkdtemp(prefix="retune-pooler-"))
    about = services.pgbouncer_ini.stat()  # PgBouncer does not run as root: as the sandbox's user then
    user = as_user(about.st_uid, about.st_gid)
    ini, log = folder / "pgbouncer.ini", folder / "log"
    values = {"host": LOOPBACK, "server": services.postgres["port"], "port": port, "folder": folder, "admin": ADMIN}
    ini.write_text(_INI.format(**values, size=size) + settings, encoding="utf-8")
    secrets = "".join(f'"{name}" "{password}"\n' for name, password in {**users, ADMIN: "console"}.items())
    (folder / "userlist.txt").write_text(secrets, encoding="utf-8")
    if user:
        for path in (folder, *folder.iterdir()):
            os.chown(path, about.st_uid, about.st_gid)
    connection = {"host": LOOPBACK, "port": port, "user": ADMIN, "password": "console", "dbname": "pgbouncer"}
    pool = Pool(release, connection, ini, log)
    with subprocess.Popen([program(release), ini], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **user) as process:
        try:
            _wait_until_it_answers(pool, process)
            yield pool
        finally:
            process.terminate()
            process.wait(10)
            shutil.rmtree(folder)


def _wait_until_it_answers(pool: Pool, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            assert pool.release in pool.console("show version")[0]["version"]
        except psycopg.OperationalError:
            assert process.poll() is None, pool.log.read_text(encoding="utf-8")
            assert time.monotonic() < deadline, "PgBouncer does not answer"
            time.sleep(0.02)
        else:
            return
