# SPDX-License-Identifier: GPL-3.0-or-later
"""How many commands each read from a client's socket brings, over a window: those of a pipeline come together."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils._audit import audited, finding
from ansible_collections.leadgen.tuning.plugins.module_utils._counters import deltas, ratio
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._redis import connect, connection_argument, endpoint

ARGUMENT_SPEC: dict[str, Any] = {
    **connection_argument(),
    "window": {"type": "float", "default": 10.0},
    "min_commands_per_second": {"type": "float", "default": 1000.0},
    "min_commands_per_read": {"type": "float", "default": 1.1},
    "min_hit_ratio": {"type": "float", "default": 0.8},
}
_COUNTERS = ("total_commands_processed", "total_reads_processed", "keyspace_hits", "keyspace_misses")
_NAMED = 3
# What this itself sends between the readings: one pipeline of two commands, in one read.
_OWN_COMMANDS, _OWN_READS = 2, 1


def look(options: Mapping[str, Any], _check_mode: bool) -> dict[str, Any]:
    """Read the counters twice, and judge the window between.

    :raises TuningError: when the server cannot be reached, or is older than 6.0, which counts no reads.
    """
    first = _read(options["connection"])
    time.sleep(options["window"])
    second = _read(options["connection"])
    return {"changed": False, "audit": verdicts(first, second, options)}


def _read(where: Mapping[str, Any]) -> dict[str, Any]:
    with connect(where) as client:
        pipeline = client.pipeline(transaction=False)
        pipeline.info("stats")
        pipeline.info("commandstats")
        stats, commands = pipeline.execute()
    if "total_reads_processed" not in stats:
        raise TuningError(
            f"redis_connection: the Redis at {endpoint(where)} is older than 6.0, and does not count its reads"
        )
    return {
        "at": time.time(),
        "totals": {name: float(stats[name]) for name in _COUNTERS},
        "commands": {name.removeprefix("cmdstat_"): float(about["calls"]) for name, about in commands.items()},
    }


def verdicts(first: Mapping[str, Any], second: Mapping[str, Any], options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Of redis.pipelines and review.redis_hit_ratio; unknown where the counters were reset or nothing happened."""
    seconds = second["at"] - first["at"]
    grown = deltas(first["totals"], second["totals"])
    if grown is None:
        reason = ["the server was restarted, or its statistics reset, within the window"]
        return [audited("redis.pipelines", None, [], reason), audited("review.redis_hit_ratio", None, [], reason)]
    hits = grown["keyspace_hits"]
    found = ratio(hits, hits + grown["keyspace_misses"])
    low = (
        []
        if found is None or found > options["min_hit_ratio"]
        else [finding("low hit ratio", "", f"{found:.1%} of lookups", 0)]
    )
    commands = max(0.0, grown["total_commands_processed"] - _OWN_COMMANDS)
    reads = max(0.0, grown["total_reads_processed"] - _OWN_READS)
    per_read = round(commands / reads, 2) if reads and commands else None
    single = []
    if per_read is not None and per_read < options["min_commands_per_read"]:
        rate = commands / seconds
        if rate >= options["min_commands_per_second"]:
            why = f"{rate:,.0f} commands/s, {per_read} in a round trip"
            single = [finding("one command a round trip", _busiest(first["commands"], second["commands"]), why, 0)]
    return [
        audited("redis.pipelines", per_read, single, []),
        audited("review.redis_hit_ratio", found, low, []),
    ]


def _busiest(first: Mapping[str, float], second: Mapping[str, float]) -> str:
    grown = {name: calls - first.get(name, 0) for name, calls in second.items()}
    return ", ".join(sorted(grown, key=lambda name: -grown[name])[:_NAMED])
