# SPDX-License-Identifier: GPL-3.0-or-later
"""The one exception that the modules turn into a failed result."""

from __future__ import annotations


class TuningError(Exception):
    """What went wrong, where, and what to do about it, in one sentence that carries no secret."""
