# SPDX-License-Identifier: GPL-3.0-or-later
"""Arithmetic of measurements: figures are differences between two readings, never totals since a server's start."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Counters = Mapping[str, float]


def window_arguments() -> dict[str, Any]:
    """The argument spec of the options ``since``, ``window`` and ``phase``."""
    return {
        "since": {"type": "dict"},
        "window": {"type": "float", "default": 10.0},
        "phase": {"type": "str", "choices": ["before", "after"], "default": "before"},
    }


def measure_window(
    options: Mapping[str, Any],
    read: Callable[[], dict[str, Any]],
    figures: Callable[[Mapping[str, Any], Mapping[str, Any]], dict[str, Any]],
) -> dict[str, Any]:
    """Read the counters; with ``since``, an earlier reading, wait for the window to pass and give the figures of it."""
    since = options["since"]
    if not since:
        return {"changed": False, "counters": read()}
    wait_for_window(since, options["window"])
    return {"changed": False, "measurements": figures(since, read()), "phase": options["phase"]}


def wait_for_window(since: Mapping[str, Any], window: float) -> None:
    """Sleep for what is left of ``window`` seconds since the first reading was taken.

    All hosts are read once before any is read again, so that one window serves them all.
    """
    time.sleep(min(window, max(0.0, since["at"] + window - time.time())))


def deltas(first: Counters, second: Counters) -> dict[str, float] | None:
    """The growth of each counter; None when one of them fell, since the server was restarted or its statistics reset."""
    grown = {name: second[name] - first[name] for name in first if name in second}
    return None if any(value < 0 for value in grown.values()) else grown


def ratio(part: float, whole: float) -> float | None:
    """``part`` of ``whole``, from 0 to 1; None when there was nothing to judge by."""
    return round(part / whole, 4) if whole > 0 else None


def per_second(count: float, seconds: float) -> float:
    """A rate, to two digits after the point."""
    return round(count / seconds, 2) if seconds > 0 else 0.0


def weighted_percentile(values: Iterable[tuple[float, float]], share: float) -> float | None:
    """The smallest value that at least ``share`` of the weight does not exceed; ``values`` are (value, weight) pairs."""
    ordered = sorted((value, weight) for value, weight in values if weight > 0)
    total = math.fsum(weight for _value, weight in ordered)
    reached = 0.0
    for value, weight in ordered:
        reached += weight
        if reached >= share * total * (1 - 1e-12):  # the sums are floating point
            return value
    return None
