#!/usr/bin/python
# Copyright: (c) 2026, Retune maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure PostgreSQL over a window."""

from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_counters
short_description: Measure PostgreSQL over a window
version_added: 0.1.0
description:
  - Reads counters, and gives the figures of the time between two readings. Totals since the server's start tell nothing of
    a change.
extends_documentation_fragment:
  - leadgen.tuning.postgres
options:
  databases:
    description: The application's databases.
    type: list
    elements: str
    required: true
  since:
    description:
      - The RV(counters) of an earlier run. With it the module waits until the window since then has passed and returns
        RV(measurements).
    type: dict
  window:
    description: Seconds from the first reading to the second.
    type: float
    default: 10.0
  statements:
    description:
      - Query ids of statements whose means to give. Without it, those of the five that took most time in the window.
    type: list
    elements: str
    default: []
  phase:
    description: Whether the figures are those before or after a change; handed through to the result.
    type: str
    choices: [before, after]
    default: before
attributes:
  check_mode:
    support: full
    description: Reports exactly what a run would change, and changes nothing.
  diff_mode:
    support: none
    description: Nothing is changed.
author:
  - Retune maintainers (@leadgen)
"""

EXAMPLES = r"""
- name: Read the counters
  leadgen.tuning.postgres_counters:
    connection: {host: db.example.com, user: postgres}
    databases: [leadgen]
  register: first

- name: Measure
  leadgen.tuning.postgres_counters:
    connection: {host: db.example.com, user: postgres}
    databases: [leadgen]
    since: "{{ first.counters }}"
    window: 10
"""

RETURN = r"""
counters:
  description: The reading, for the O(since) of a later run.
  returned: when O(since) is not given
  type: dict
measurements:
  description:
    - Transactions a second, cache hit ratio (0 to 1), dead rows, and mean and 95th percentile of the statements in
      milliseconds, and as C(statement_mean_ms/QUERYID) the means of O(statements). Null where the window gave nothing to
      judge by, such as after a restart.
  returned: when O(since) is given
  type: dict
  sample: {commits_per_second: 412.5, cache_hit_ratio: 0.9961, dead_rows: 1203, statement_mean_ms: 0.84}
statements:
  description: The query ids of the statements whose means were given, for the O(statements) of a later run.
  returned: when O(since) is given
  type: list
  elements: str
phase:
  description: As given.
  returned: when O(since) is given
  type: str
"""

from ansible_collections.leadgen.tuning.plugins.module_utils._module import run_module
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_counters import ARGUMENT_SPEC, measure


def main() -> None:
    """Run the module."""
    run_module(ARGUMENT_SPEC, measure)


if __name__ == "__main__":
    main()
