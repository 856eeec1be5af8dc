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
  - leadgen.tuning.counters
options:
  databases:
    description: The application's databases.
    type: list
    elements: str
    required: true
  statements:
    description:
      - Query ids of statements whose means to give. Without it, those of the five that took most time in the window.
    type: list
    elements: str
    default: []
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
