# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of hypothesis for all unit tests: the same examples in every run, whatever the machine's speed."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("unit", deadline=None, derandomize=True, database=None)
settings.load_profile("unit")
