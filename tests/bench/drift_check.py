# SPDX-License-Identifier: GPL-3.0-or-later
"""What a drift check of an environment in sync costs: CPU and wall seconds of the whole process tree, medians.

usage: drift_check.py [ROUNDS]      starts a sandbox of its own, tunes it, and ends it
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from retune.sandbox import Sandbox, grant

PROJECT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent


def main() -> None:
    """Print one line for each way to run the check."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    with tempfile.TemporaryDirectory(prefix="retune-bench-") as base:
        inventory = Path(base) / "bench"
        shutil.copytree(PROJECT / "inventories" / "sandbox" / "group_vars", inventory / "group_vars")
        os.environ["RETUNE_LOG_DIRECTORY"] = str(Path(base) / "log")
        sandbox = Sandbox(Path(base) / "sandbox", inventory)
        try:
            sandbox.up(
                events=20_000,
                leads=2_000,
                keys=500,
                services=("postgres", "pgbouncer", "redis"),
                grant=lambda: grant(PROJECT, inventory),
            )
            measure(inventory, rounds)
        finally:
            sandbox.down()


def measure(inventory: Path, rounds: int) -> None:
    """Tune the sandbox, then run each command in turn, round by round, so that the machine's moods hit them alike."""
    retune = [str(BIN / "retune")]
    playbook = [str(BIN / "ansible-playbook"), "-i", str(inventory)]
    commands = {
        "retune drift": [*retune, "drift", str(inventory)],
        "ansible-playbook drift.yml": [*playbook, "playbooks/drift.yml"],
        "retune plan": [*retune, "plan", str(inventory)],
    }
    run([*retune, "apply", str(inventory), "--yes", "--allow-restart", "-e", '{"tuning_measurement_window": 0.1}'])
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _round in range(rounds):
        for name, command in commands.items():
            seen[name].append(run(command))
    for name, figures in seen.items():
        cpu, wall = (statistics.median(values) for values in zip(*figures, strict=True))
        print(f"{name:28} cpu {cpu:5.2f} s  wall {wall:5.2f} s  (medians of {rounds})")


def run(command: list[str]) -> tuple[float, float]:
    """CPU and wall seconds of a command and its children."""
    before, start = os.times(), time.monotonic()
    subprocess.run(command, cwd=PROJECT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return cpu, time.monotonic() - start


if __name__ == "__main__":
    main()
