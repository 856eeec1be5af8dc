# SPDX-License-Identifier: GPL-3.0-or-later
"""Drives the sandbox for a bounded time: SQL by pgbench, cache reads by redis-py, requests through the edge."""

import http.client
import os
import random
import re
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import redis

from . import edge, files, redis_server
from .postgres import DATABASE, Postgres
from .processes import LOOPBACK
from .service import Service
from .state import APP

SCRIPTS = {"history": 2, "list": 3, "quote": 3, "event": 4}  # name: weight
CLIENTS = 4
SLICE_SECONDS = 3  # what a restart of the server costs at most
SLICE_GRACE_SECONDS = 10
PAUSE_SECONDS = 0.2  # after an error, while a service restarts
REDIS_BATCH = 10  # commands between two pauses of REDIS_PAUSE_SECONDS: some 1000/s
REDIS_PAUSE_SECONDS = 0.01
HIT_SHARE = 0.8
MISS_TTL_SECONDS = 30
HTTP_PAUSE_SECONDS = 0.01  # some 80 requests a second

Counts = dict[str, int]


class Clock:
    """The end of the load: its deadline, or earlier when the command is interrupted."""

    def __init__(self, seconds: float) -> None:
        self.deadline = time.monotonic() + seconds
        self._stopped = threading.Event()

    def stop(self) -> None:
        self._stopped.set()

    @property
    def left(self) -> float:
        return 0 if self._stopped.is_set() else max(0, self.deadline - time.monotonic())

    def pause(self, seconds: float) -> None:
        self._stopped.wait(min(seconds, self.left))


def drive(services: list[Service], seconds: float) -> dict[str, Counts]:
    """Runs the loads of these services side by side; counts by kind of load."""
    clock = Clock(seconds)
    kinds: dict[str, tuple[str, Callable[[Service, Clock], Counts]]] = {
        "postgres": ("postgres", _drive_postgres),
        "redis": ("redis", _drive_redis),
        "edge": ("http", _drive_http),
    }
    chosen = [(*kinds[service.name], service) for service in services if service.name in kinds]
    with ThreadPoolExecutor(max_workers=len(kinds)) as pool:
        try:
            running = {kind: pool.submit(work, service, clock) for kind, work, service in chosen}
            return {kind: future.result() for kind, future in running.items()}
        finally:
            clock.stop()


def _drive_postgres(service: Service, clock: Clock) -> Counts:
    counts = {"transactions": 0, "errors": 0}
    while clock.left > 0:
        if not service.answers():
            counts["errors"] += 1
            clock.pause(PAUSE_SECONDS)
            continue
        done, failed = _slice(service, max(1, round(min(SLICE_SECONDS, clock.left))))
        counts["transactions"] += done
        counts["errors"] += failed
    return counts


def _slice(service: Service, seconds: int) -> tuple[int, int]:
    """One run of pgbench: transactions done, and 1 if it did not end well."""
    scripts = [f"--file={files.SOURCES / name}.pgbench@{weight}" for name, weight in SCRIPTS.items()]
    where = [f"--host={LOOPBACK}", f"--port={service.port}", f"--username={APP}"]
    much = [f"--time={seconds}", f"--client={CLIENTS}", "--jobs=1", f"--define=leads={service.state.sizes['leads']}"]
    command = [str(Postgres.program("pgbench")), "--no-vacuum", *where, *much, *scripts, DATABASE]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    environment |= {"PGPASSFILE": str(service.state.passfile), "PGSSLMODE": "disable", "LC_ALL": "C"}
    try:
        result = subprocess.run(
            command,
            check=False,
            cwd="/",
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds + SLICE_GRACE_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return 0, 1
    found = re.search(r"transactions actually processed: (\d+)", result.stdout)
    return int(found[1]) if found else 0, int(result.returncode != 0)


def _drive_redis(service: Service, clock: Clock) -> Counts:
    counts = {"gets": 0, "hits": 0, "sets": 0, "errors": 0}
    chance = random.Random()  # noqa: S311 - a load, no secret
    with redis_server.client(service.port) as connection:
        while clock.left > 0:
            try:
                for _ in range(REDIS_BATCH):
                    _read_lead(connection, service.state.sizes["keys"], chance, counts)
                clock.pause(REDIS_PAUSE_SECONDS)
            except (redis.RedisError, OSError):
                counts["errors"] += 1
                clock.pause(PAUSE_SECONDS)
    return counts


def _read_lead(connection: redis.Redis, keys: int, chance: random.Random, counts: Counts) -> None:
    """Reads a lead through the cache: few leads are read often, one in five is not there."""
    known = chance.random() < HIT_SHARE
    number = int(keys ** chance.random()) if known else chance.randrange(keys + 1, keys * 50)
    found = connection.get(f"lead:{number}")
    counts["gets"] += 1
    if found is None:
        connection.set(f"lead:{number}", redis_server.lead_json(number, chance), ex=MISS_TTL_SECONDS)
        counts["sets"] += 1
    else:
        counts["hits"] += 1


def _drive_http(service: Service, clock: Clock) -> Counts:
    counts = {"requests": 0, "bytes": 0, "errors": 0}
    connection = http.client.HTTPConnection(LOOPBACK, service.port, timeout=edge.TIMEOUT_SECONDS)
    number = 0
    while clock.left > 0:
        path = edge.PATHS[number % len(edge.PATHS)]
        number += 1
        try:
            connection.request("GET", path, headers={"Accept-Encoding": "br, gzip"})
            answer = connection.getresponse()
            counts["bytes"] += len(answer.read())
            counts["requests"] += 1
            counts["errors"] += answer.status != http.client.OK
            clock.pause(HTTP_PAUSE_SECONDS)
        except (OSError, http.client.HTTPException):
            connection.close()
            counts["errors"] += 1
            clock.pause(PAUSE_SECONDS)
    connection.close()
    return counts
