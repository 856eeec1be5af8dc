# SPDX-License-Identifier: GPL-3.0-or-later
"""What Redis did during a window: operations, their latency, hits, evictions, and what memory and disk gave."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils._counters import (
    deltas,
    measure_window,
    per_second,
    ratio,
    weighted_percentile,
    window_arguments,
)
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._redis import connect, connection_argument, endpoint

ARGUMENT_SPEC: dict[str, Any] = {
    **connection_argument(),
    **window_arguments(),
}

_SECTIONS = ("stats", "memory", "persistence")
# The last one is there only while the append-only file is.
_COUNTERS = (
    "total_commands_processed",
    "keyspace_hits",
    "keyspace_misses",
    "evicted_keys",
    "expired_keys",
    "aof_delayed_fsync",
)
_OWN_COMMANDS = frozenset({"config", "info", "latency"})
_SHARES = {"latency_p50_ms": 0.5, "latency_p99_ms": 0.99, "latency_p999_ms": 0.999}


def measure(options: Mapping[str, Any], _check_mode: bool) -> dict[str, Any]:
    """Read the counters, or give the figures of the window; see ``measure_window``.

    :raises TuningError: when the server cannot be reached.
    """
    return measure_window(options, lambda: _read(options["connection"]), figures)


def _read(where: Mapping[str, Any]) -> dict[str, Any]:
    with connect(where) as client:
        pipeline = client.pipeline(transaction=False)
        for section in _SECTIONS:
            pipeline.info(section)
        pipeline.execute_command("LATENCY", "HISTOGRAM")
        *answers, histograms = pipeline.execute(raise_on_error=False)
    refused = next((answer for answer in answers if isinstance(answer, Exception)), None)
    if refused:
        raise TuningError(f"redis_connection on {endpoint(where)}: {refused}; the user needs INFO") from refused
    about = {name: value for answer in answers for name, value in answer.items()}
    return {
        "at": time.time(),
        "totals": {name: float(about[name]) for name in _COUNTERS if name in about},
        # A user may lack the command, and a server before 7.0 does.
        "latencies": None if isinstance(histograms, Exception) else calls_by_latency(histograms),
        "used_memory": int(about["used_memory"]),
        "fragmentation": float(about["mem_fragmentation_ratio"]),
        "fork": int(about["latest_fork_usec"]),
    }


def calls_by_latency(answer: Sequence[Any]) -> list[tuple[int, int]]:
    """Calls of all commands by the microseconds that they took at most, of the answer to LATENCY HISTOGRAM.

    Its counts are cumulative: each is of the calls that took no longer. The commands by which this reads are left out.
    """
    calls: Counter[int] = Counter()
    for name, about in zip(answer[::2], answer[1::2], strict=True):
        if name.partition("|")[0] in _OWN_COMMANDS:
            continue
        buckets = about[about.index("histogram_usec") + 1]
        below = 0
        for bound, count in zip(buckets[::2], buckets[1::2], strict=True):
            calls[int(bound)] += int(count) - below
            below = int(count)
    return sorted(calls.items())


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
        **_percentiles(first["latencies"], second["latencies"]),
        "delayed_fsyncs": grown and grown.get("aof_delayed_fsync"),
        "last_fork_ms": round(second["fork"] / 1000, 1) or None,
        "fragmentation_ratio": second["fragmentation"],
        "used_memory_bytes": second["used_memory"],
    }


def _percentiles(
    first: Sequence[tuple[int, int]] | None, second: Sequence[tuple[int, int]] | None
) -> dict[str, float | None]:
    """How long 50%, 99% and 99.9% of the window's calls took in the server at most, in milliseconds."""
    grown: list[tuple[float, float]] = []
    if first is not None and second is not None:
        before = dict(first)
        grown = [(bound / 1000, count - before.pop(bound, 0)) for bound, count in second]
        if before or any(count < 0 for _bound, count in grown):
            grown = []  # restarted, or its statistics reset
    return {name: weighted_percentile(grown, share) for name, share in _SHARES.items()}
