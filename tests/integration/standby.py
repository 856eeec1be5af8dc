# SPDX-License-Identifier: GPL-3.0-or-later
"""A streaming standby of the session's PostgreSQL, made and ended by the fixture ``standby``."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.conftest import Services


@dataclass(frozen=True)
class Standby(Services):
    """A server of its own with the session's roles, databases and passwords; ``sql`` and ``wait_for`` ask the standby."""

    data: Path

    @property
    def auto_conf(self) -> Path:
        return self.data / "postgresql.auto.conf"

    @property
    def postgres_log(self) -> Path:
        return self.data.parent / "log"

    def wait_until_streaming(self) -> None:
        self.wait_for("select count(*) = 1 from pg_stat_wal_receiver where status = 'streaming'")


@pytest.fixture
def standby(services: Services) -> Iterator[Standby]:
    """A standby that streams from the session's server for the length of one test."""
    with make_standby(services, "standby") as made:
        yield made


@contextmanager
def make_standby(services: Services, name: str) -> Iterator[Standby]:
    """Copy the session's server with a replication slot called ``name``, and start the copy on a free port."""
    made = _standby(services, name)
    data = made.data
    *switch, pg_ctl = made.restart_command[: made.restart_command.index("restart")]
    primary = services.superuser
    with data.parent.joinpath("made").open("w", encoding="utf-8") as output:
        subprocess.run(
            [*switch, str(Path(pg_ctl).with_name("pg_basebackup")), "-D", str(data), "-R", "-C", "-S", name, "-c", "fast",
             "--no-sync", "-d", f"host={primary['host']} port={primary['port']} user={primary['user']} "
             f"passfile={made.postgres['passfile']} sslmode=disable application_name={name}"],
            stdout=output, stderr=output, check=True, timeout=60,
        )  # fmt: skip
    with (data / "postgresql.conf").open("a", encoding="utf-8") as settings:
        settings.write(
            f"port = {made.postgres['port']}\nwal_retrieve_retry_interval = 100ms\nwal_receiver_status_interval = 1\n"
        )
    try:
        _pg_ctl(made, "start")
        made.wait_until_streaming()
        yield made
    finally:
        _pg_ctl(made, "stop", check=False)
        shutil.rmtree(data.parent)
        services.wait_for("select count(*) = 0 from pg_replication_slots where active")
        services.sql("select pg_drop_replication_slot(slot_name) from pg_replication_slots")


def _standby(services: Services, name: str) -> Standby:
    """Where the standby is to be: in a folder beside the primary's, of the same account."""
    folder = services.directory / "postgres" / name
    folder.mkdir()
    owner = services.auto_conf.stat()
    os.chown(folder, owner.st_uid, owner.st_gid)
    at = services.restart_command.index("restart")
    command = [
        *services.restart_command[:at],
        "restart",
        "-w",
        "-m",
        "fast",
        "-D",
        str(folder / "data"),
        "-l",
        str(folder / "log"),
    ]
    reached = {"port": _free_port(), "passfile": str(_passfile(services, folder))}
    fields = vars(services) | {
        "postgres": {**services.postgres, **reached},
        "superuser": {**services.superuser, **reached},
        "restart_command": command,
    }
    return Standby(**fields, data=folder / "data")


def _passfile(services: Services, folder: Path) -> Path:
    """The passwords for any port, in a file that the server's account may read, and follows its primary with."""
    path, owner = folder / "pgpass", folder.stat()
    lines = (services.directory / "pgpass").read_text(encoding="utf-8").splitlines()
    path.write_text("".join("*:*:*:" + ":".join(line.split(":")[3:]) + "\n" for line in lines), encoding="utf-8")
    path.chmod(0o600)
    os.chown(path, owner.st_uid, owner.st_gid)
    return path


def _pg_ctl(made: Standby, action: str, check: bool = True) -> None:
    command = [action if word == "restart" else word for word in made.restart_command]
    if action == "start":
        command = [word for word in command if word not in ("-m", "fast")]
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=check, timeout=60)


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
