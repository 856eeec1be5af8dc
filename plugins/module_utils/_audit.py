# SPDX-License-Identifier: GPL-3.0-or-later
"""What an audit says of a control: a verdict, a figure, and the findings behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def finding(kind: str, where: str, why: str, size: int | None = None) -> dict[str, Any]:
    """One thing that is wrong at a place that is no relation, in the form that the audit shows; ``size`` is in bytes."""
    return {"kind": kind, "database": "", "table": where, "index": "", "bytes": size, "why": why, "statement": ""}


def audited(
    control: str, figure: float | None, findings: Sequence[Mapping[str, Any]], unknown: Sequence[str]
) -> dict[str, Any]:
    """One verdict: fail with findings, else unknown with reasons, else pass. What could not be measured never passes."""
    return {
        "control": control,
        "verdict": "fail" if findings else "unknown" if unknown or figure is None else "pass",
        "figure": figure,
        "reason": "; ".join(unknown) or ("" if figure is not None else "nothing was measured"),
        "findings": [dict(finding) for finding in findings],
    }
