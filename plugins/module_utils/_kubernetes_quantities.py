# SPDX-License-Identifier: GPL-3.0-or-later
"""Kubernetes quantities, such as 500m and 1Gi, as numbers. No I/O."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

try:
    from kubernetes.utils.quantity import parse_quantity
except ImportError:  # reported when the cluster is connected to
    parse_quantity = None

_MIB = 1 << 20


def number(quantity: Any) -> Decimal:
    """A quantity in cores, or in bytes.

    :raises ValueError: when it is none, or not finite.
    """
    found: Decimal = parse_quantity(quantity)
    if isinstance(quantity, bool) or not found.is_finite():
        raise ValueError(f"{quantity} is not a quantity, such as 500m or 512Mi")
    return found


def whole_mib(quantity: Any, percent: int = 100) -> int:
    """So many percent of a quantity of bytes, in whole MiB, rounded down.

    :raises ValueError: as ``number``.
    """
    return int(number(quantity) * percent / 100 / _MIB)
