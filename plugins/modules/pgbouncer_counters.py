#!/usr/bin/python
# Copyright: (c) 2026, Retune maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure PgBouncer over a window."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pgbouncer_counters
short_description: Measure PgBouncer over a window
version_added: 0.1.0
description:
  - Reads counters, and gives the figures of the time between two readings. Totals since the server's start tell nothing of
    a change.
extends_documentation_fragment:
  - leadgen.tuning.pgbouncer
  - leadgen.tuning.counters
author:
  - Retune maintainers (@leadgen)
"""

EXAMPLES = r"""
- name: Read the counters
  leadgen.tuning.pgbouncer_counters:
    connection: {host: pool.example.com}
  register: first

- name: Measure
  leadgen.tuning.pgbouncer_counters:
    connection: {host: pool.example.com}
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
    - Transactions a second, mean milliseconds of a query and of a transaction, and mean milliseconds that a transaction
      waited for a server connection; at the end of the window, clients, those that wait, the longest wait and server
      connections. Null where the window gave nothing to judge by.
  returned: when O(since) is given
  type: dict
  sample: {transactions_per_second: 812.4, mean_query_ms: 1.2, mean_wait_ms: 0.004, server_connections: 20}
phase:
  description: As given.
  returned: when O(since) is given
  type: str
"""

from ansible_collections.leadgen.tuning.plugins.module_utils._module import run_module
from ansible_collections.leadgen.tuning.plugins.module_utils._pgbouncer_counters import ARGUMENT_SPEC, measure


def main() -> None:
    """Run the module."""
    run_module(ARGUMENT_SPEC, measure)


if __name__ == "__main__":
    main()
