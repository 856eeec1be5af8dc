# SPDX-License-Identifier: GPL-3.0-or-later
"""What Redis did during a window: operations, hits, evictions, memory."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils._counters import (
    deltas,
    measure_window,
    per_second,
    ratio,
    window_arguments,
)
from ansible_collections.leadgen.tuning.plugins.module_utils._redis import connect, connection_argument

ARGUMENT_SPEC: dict[str, Any] = {
    **connection_argument(),
    **window_arguments(),
}

_COUNTERS = ("total_commands_processed", "keyspace_hits", "keyspace_misses", "evicted_keys", "expired_keys")


def measure(options: Mapping[str, Any], _check_mode: bool) -> dict[str, Any]:
    """Read the counters, or give the figures of the window; see ``measure_window``.

    :raises TuningError: when the server cannot be reached.
    """
    return measure_window(options, lambda: _read(options["connection"]), figures)


def _read(where: Mapping[str, Any]) -> dict[str, Any]:
    with connect(where) as client:
        pipeline = client.pipeline(transaction=False)
        pipeline.info("stats")
        pipeline.info("memory")
        stats, memory = pipeline.execute()
    return {
        "at": time.time(),
        "totals": {name: float(stats[name]) for name in _COUNTERS},
        "used_memory": int(memory["used_memory"]),
    }


def figures(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of the window between two readings; null where it could not be measured."""
    seconds = second["at"] - first["at"]
    grown = deltas(first["totals"], second["totals"])
    return {
        "window_seconds": round(seconds, 1),
        "operations_per_second": grown and per_second(grown["total_commands_processed"], seconds),
        "hit_ratio": grown and ratio(grown["keyspace_hits"], grown["keyspace_hits"] + grown["keyspace_misses"]),
        "evictions_per_second": grown and per_second(grown["evicted_keys"], seconds),
        "expired_per_second": grown and per_second(grown["expired_keys"], seconds),
        "used_memory_bytes": second["used_memory"],
    }
