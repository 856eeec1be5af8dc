# SPDX-License-Identifier: GPL-3.0-or-later
"""A Redis or Valkey of one test's own, of any of the releases."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import redis
from ansible_collections.leadgen.tuning.plugins.module_utils._other_user import as_user

from retune.sandbox.processes import LOOPBACK, free_ports, service_account
from tests.integration.conftest import PROJECT

# Debian 12's own, and Debian 13's.
RELEASES = ("redis-7.0", "redis-8", "valkey-8")
# Nothing but the test's own files.
_CONF = "bind {host}\nport {port}\ndir {folder}\nlogfile {folder}/log\n"
NO_SNAPSHOTS = 'save ""\n'


@dataclass
class RedisServer:
    """A server that can be killed and started again with the same files."""

    release: str
    folder: Path
    connection: dict[str, Any]
    client_options: dict[str, Any]
    process: subprocess.Popen[bytes] | None = None
    user: dict[str, Any] = field(default_factory=dict)
    arguments: Sequence[str] = ()

    @property
    def conf(self) -> Path:
        return self.folder / "redis.conf"

    def client(self) -> redis.Redis:
        """As a user who may do everything."""
        return redis.Redis(**self.client_options, decode_responses=True, socket_timeout=10)

    def start(self) -> None:
        """Start it, and wait until it has loaded its data."""
        # Redis is told of its file by the whole path: CONFIG REWRITE and INFO name it so.
        self.process = subprocess.Popen(
            [program(self.release), self.conf, *self.arguments],
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **self.user,
        )
        deadline = time.monotonic() + 20
        while True:
            try:
                with self.client() as client:
                    assert client.ping()
            except (redis.ConnectionError, redis.exceptions.BusyLoadingError):
                assert self.process.poll() is None, (self.folder / "log").read_text(encoding="utf-8")
                assert time.monotonic() < deadline, "the server does not answer"
                time.sleep(0.02)
            else:
                return

    def restart(self) -> None:
        """End it as an operator does, and start it again from its file."""
        assert self.process
        self.process.terminate()
        self.process.wait(10)
        self.start()

    def kill(self) -> None:
        """End it at once, as a crash does."""
        assert self.process
        self.process.kill()
        self.process.wait(10)


@cache
def program(release: str) -> str:
    """The program of a release; Debian 13's are fetched where they are not there yet."""
    if release == "redis-7.0":
        found = shutil.which("redis-server", path="/usr/bin")
        assert found, "redis-server is not installed: run 'make setup'"
        return found
    made = subprocess.run([PROJECT / "tools" / "debian13.sh"], capture_output=True, text=True, timeout=600, check=True)
    return str(Path(made.stdout.strip()).parents[3] / "bin" / f"{release.partition('-')[0]}-server")


@contextmanager
def redis_server(
    release: str = RELEASES[0],
    conf: str = NO_SNAPSHOTS,
    *,
    port: int | None = None,
    arguments: Sequence[str] = (),
    where: Mapping[str, Any] | None = None,
) -> Iterator[RedisServer]:
    """Start a server, and end it.

    :param conf: more lines of its file, in which ``{folder}`` and ``{port}`` are its own.
    :param port: 0 where it listens on none that speaks without TLS; then ``where`` tells how to reach it.
    """
    port = free_ports(1)[0] if port is None else port
    folder = Path(tempfile.mkdtemp(prefix="retune-redis-"))
    account = service_account()
    own = conf.replace("{folder}", str(folder)).replace("{port}", str(port))
    text = _CONF.format(host=LOOPBACK, port=port, folder=folder) + own
    (folder / "redis.conf").write_text(text, encoding="utf-8")
    user = as_user(account.uid, account.gid)
    if user:
        for path in (folder, *folder.iterdir()):
            os.chown(path, account.uid, account.gid)
    options = {
        name: value.replace("{folder}", str(folder)) if isinstance(value, str) else value
        for name, value in {"host": LOOPBACK, "port": port, **(where or {})}.items()
        if not (name in ("host", "port") and "unix_socket_path" in (where or {}))
    }
    server = RedisServer(
        release,
        folder,
        {"socket_timeout": 10.0, "config_command": "CONFIG", **options},
        options,
        user=user,
        arguments=arguments,
    )
    try:
        server.start()
        yield server
    finally:
        if server.process and server.process.poll() is None:
            server.process.terminate()
            server.process.wait(10)
        shutil.rmtree(folder)
