# SPDX-License-Identifier: GPL-3.0-or-later
"""A million keys of the sandbox: what the sample estimates, what conversion really saves, and what the scan costs others.

usage: redis_sample.py [KEYS]      starts a Redis of its own, and ends it
"""

from __future__ import annotations

import multiprocessing
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import islice
from types import SimpleNamespace
from typing import Any

import redis
from ansible_collections.leadgen.tuning.plugins.module_utils import _redis_keys
from ansible_collections.leadgen.tuning.plugins.module_utils._redis_objects import fields_of

from retune.sandbox.processes import LOOPBACK, find_program, free_ports
from retune.sandbox.redis_server import RedisServer

BATCH = 1000
RATE = 2000  # requests a second of the client whose latency is measured
PAIRS = 18


def main() -> None:
    """Print the estimate, the truth, and the latency of others without and with the scan."""
    keys = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    (port,) = free_ports(1)
    program = find_program("redis-server") or "redis-server"
    with tempfile.TemporaryDirectory(prefix="retune-bench-") as base:
        command = [program, "--bind", LOOPBACK, "--port", str(port), "--save", "", "--dir", base]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            with redis.Redis(host=LOOPBACK, port=port, decode_responses=True) as client:
                wait_for(client)
                fill(client, keys)
                compare_latency(port)
                for scratch in (None, 5):
                    estimate = report(sample(port, scratch))
                print(f"saving, converted for real: {convert(client):+,} bytes; the last estimate: {estimate:+,}")
        finally:
            server.terminate()
            server.wait(30)


def wait_for(client: redis.Redis) -> None:
    """Wait until the server answers."""
    deadline = time.monotonic() + 10
    while True:
        try:
            client.ping()
        except redis.ConnectionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def fill(client: redis.Redis, keys: int) -> None:
    """The sandbox's own data, so many of them."""
    entries = RedisServer._entries(SimpleNamespace(state=SimpleNamespace(sizes={"keys": keys})))  # type: ignore[arg-type]
    while batch := list(islice(entries, BATCH)):
        pipeline = client.pipeline(transaction=False)
        for key, value, _seconds in batch:
            pipeline.set(key, value)
        pipeline.execute()
    print(f"{client.dbsize():,} keys in {client.info('memory')['used_memory']:,} bytes")


def sample(port: int, scratch: int | None = None) -> dict[str, Any]:
    """What the module does, with its defaults."""
    connection = {"host": LOOPBACK, "port": port, "socket_timeout": 10.0, "config_command": "CONFIG"}
    defaults = {name: about.get("default") for name, about in _redis_keys.ARGUMENT_SPEC.items()}
    return _redis_keys.look({**defaults, "connection": connection, "scratch_database": scratch}, False)


def report(found: dict[str, Any]) -> int:
    """Print what was found; return the estimated saving."""
    about = found["report"]
    saving = about["json_strings"]["saving_bytes"]
    print(
        f"{about['method']}: {about['sampled']:,} keys in {about['seconds']} s, busy {about['busy_seconds']} s; "
        f"{about['json_strings']['keys']['estimate']:,} JSON strings ({', '.join(about['json_strings']['patterns'])}); "
        f"saving {saving['estimate']:+,} bytes ({saving['low']:+,} to {saving['high']:+,})"
    )
    return int(saving["estimate"])


def convert(client: redis.Redis) -> int:
    """Make each of them a hash, under the same key; return by how much the used memory fell."""
    before = client.info("memory")["used_memory"]
    cursor = 0
    while True:
        cursor, names = client.scan(cursor, count=BATCH, _type="string")
        pipeline = client.pipeline(transaction=False)
        for name, value in zip(names, client.mget(names) if names else [], strict=True):
            found = fields_of(value)
            if found:
                pipeline.delete(name)
                pipeline.hset(name, mapping=found[0])
        pipeline.execute()
        if cursor == 0:
            return int(before - client.info("memory")["used_memory"])


def compare_latency(port: int) -> None:
    """Windows without and with the scan in turn, so that the machine's moods hit both alike."""
    seen: dict[bool, list[float]] = {False: [], True: []}
    for pair in range(PAIRS):
        for scans in (pair % 2 == 0, pair % 2 == 1):  # the one that comes second has a warmer machine
            scan = multiprocessing.get_context("fork").Process(target=sample, args=(port,))
            if scans:
                scan.start()
            seen[scans].append(p99_of_others(port, 5.0))
            if scans:
                scan.terminate()
                scan.join()
    without, beside = (statistics.median(values) for values in seen.values())
    shown = ", ".join(f"{value:.3f}" for value in seen[False]), ", ".join(f"{value:.3f}" for value in seen[True])
    print(f"p99 of others, ms: {without:.3f} without ({shown[0]}), {beside:.3f} beside the scan ({shown[1]})")
    print(f"rise: {beside / without - 1:+.1%}")


def p99_of_others(port: int, seconds: float) -> float:
    """Reads at a steady rate, each counted from when it was due; milliseconds."""
    latencies = []
    with redis.Redis(host=LOOPBACK, port=port) as client:
        start = time.perf_counter()
        for number in range(int(seconds * RATE)):
            due = start + number / RATE
            while (left := due - time.perf_counter()) > 0:
                time.sleep(left)
            client.get(f"lead:{number}")
            latencies.append(time.perf_counter() - due)
    return sorted(latencies)[int(len(latencies) * 0.99)] * 1000


if __name__ == "__main__":
    main()
