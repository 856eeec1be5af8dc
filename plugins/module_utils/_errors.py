# SPDX-License-Identifier: GPL-3.0-or-later
"""The one exception that the modules turn into a failed result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class TuningError(Exception):
    """What went wrong, where, and what to do about it, in one sentence that carries no secret.

    ``result`` is what the run has changed all the same, in the form of a module's result; nearly always nothing.
    """

    def __init__(self, message: str, result: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.result = dict(result or {})
