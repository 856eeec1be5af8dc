# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of a measurement over a window."""

from __future__ import annotations


class ModuleDocFragment:
    """What every module that measures documents alike."""

    DOCUMENTATION = r"""
options:
  since:
    description:
      - The RV(counters) of an earlier run. With it the module waits until the window since then has passed and returns
        RV(measurements).
    type: dict
  window:
    description: Seconds from the first reading to the second.
    type: float
    default: 10.0
  phase:
    description: Whether the figures are those before or after a change; handed through to the result.
    type: str
    choices: [before, after]
    default: before
attributes:
  check_mode:
    support: full
    description: Nothing is changed, in check mode or without.
  diff_mode:
    support: none
    description: Nothing is changed.
"""
