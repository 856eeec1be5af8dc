# SPDX-License-Identifier: GPL-3.0-or-later
"""From a sample of keys to all of them. No I/O."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_Z = 1.96  # of 95%


@dataclass(frozen=True)
class Estimate:
    """A total, and between what and what it is with 95% confidence."""

    value: float
    low: float
    high: float

    def rounded(self) -> dict[str, int]:
        """As a report has it."""
        return {"estimate": round(self.value), "low": round(self.low), "high": round(self.high)}


def total_of(sample: Sequence[float], population: int) -> Estimate:
    """The total over a population of which ``sample`` was drawn without replacement.

    Source: the expansion estimator with its finite population correction (W. Cochran, Sampling Techniques, chapter 2).

    :raises ValueError: for an empty sample of a population that is not empty.
    """
    size = len(sample)
    if population <= 0:
        return Estimate(0.0, 0.0, 0.0)
    if not size:
        raise ValueError("there is nothing to judge by")
    mean = math.fsum(sample) / size
    if size < 2:  # noqa: PLR2004
        return Estimate(population * mean, -math.inf, math.inf)
    variance = math.fsum((value - mean) ** 2 for value in sample) / (size - 1)
    left = max(0.0, 1 - size / population)
    margin = _Z * population * math.sqrt(variance / size * left)
    return Estimate(population * mean, population * mean - margin, population * mean + margin)
