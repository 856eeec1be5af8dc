# SPDX-License-Identifier: GPL-3.0-or-later
"""What the drift check costs for each Redis beyond the first: CPU seconds of the whole process tree, medians.

usage: redis_instances.py [INSTANCES [ROUNDS]]      starts as many Redis servers of its own, and ends them
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import redis
import yaml

from retune.sandbox.processes import LOOPBACK, find_program, free_ports

PROJECT = Path(__file__).resolve().parents[2]
PLAYBOOK = Path(sys.executable).parent / "ansible-playbook"
WANTED = {"maxmemory": "64mb", "maxmemory-policy": "allkeys-lru", "maxmemory-samples": 10, "save": "", "appendonly": False}
CONF = (
    "bind {host}\nport {port}\ndir {folder}\nhz 1\nmaxmemory 64mb\nmaxmemory-policy allkeys-lru\nmaxmemory-samples 10\n"
    'save ""\n'
)


def main() -> None:
    """Print the cost of one, of all, and of each beyond the first."""
    instances, rounds = (int(sys.argv[at]) if len(sys.argv) > at else usual for at, usual in ((1, 200), (2, 3)))
    program = find_program("redis-server") or "redis-server"
    servers: list[subprocess.Popen[bytes]] = []
    with tempfile.TemporaryDirectory(prefix="retune-bench-") as base:
        try:
            ports = free_ports(instances)
            for port in ports:
                conf = Path(base) / f"{port}.conf"
                conf.write_text(CONF.format(host=LOOPBACK, port=port, folder=base), encoding="utf-8")
                servers.append(subprocess.Popen([program, conf], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            for port in ports:
                wait_for(port)
            measure(Path(base), ports, rounds)
        finally:
            for server in servers:
                server.terminate()
            for server in servers:
                server.wait(10)


def wait_for(port: int) -> None:
    """Wait until the server answers."""
    deadline = time.monotonic() + 30
    with redis.Redis(host=LOOPBACK, port=port) as client:
        while True:
            try:
                client.ping()
            except redis.ConnectionError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return


def measure(base: Path, ports: list[int], rounds: int) -> None:
    """Check one and all in turn, so that the machine's moods hit them alike."""
    commands = {number: drift_check(base, ports[:number]) for number in (1, len(ports))}
    seen: dict[int, list[tuple[float, float]]] = {number: [] for number in commands}
    for _round in range(rounds):
        for number, command in commands.items():
            seen[number].append(run(command, base))
    cpu = {}
    for number, figures in seen.items():
        cpu[number], wall = (statistics.median(values) for values in zip(*figures, strict=True))
        print(f"{number:4} Redis: cpu {cpu[number]:5.2f} s  wall {wall:5.2f} s  (medians of {rounds})")
    print(f"each beyond the first: {(cpu[len(ports)] - cpu[1]) / (len(ports) - 1):.4f} s of CPU")


def drift_check(base: Path, ports: list[int]) -> list[str]:
    """The command that checks these, on an inventory of their own."""
    hosts: dict[str, Any] = {f"redis-{port}": {"redis_connection": {"host": LOOPBACK, "port": port}} for port in ports}
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "redis_settings": WANTED,
        "tuning_environment": "bench",
    }
    inventory = base / f"{len(ports)}.yml"
    inventory.write_text(
        yaml.safe_dump({"all": {"vars": variables, "children": {"redis": {"hosts": hosts}}}}), encoding="utf-8"
    )
    return [str(PLAYBOOK), "-i", str(inventory), "playbooks/drift.yml"]


def run(command: list[str], base: Path) -> tuple[float, float]:
    """CPU and wall seconds of a command and its children."""
    before, start = os.times(), time.monotonic()
    environment = {**os.environ, "RETUNE_LOG_DIRECTORY": str(base / "log")}
    subprocess.run(command, cwd=PROJECT, env=environment, check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return cpu, time.monotonic() - start


if __name__ == "__main__":
    main()
