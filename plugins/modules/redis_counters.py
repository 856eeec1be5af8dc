#!/usr/bin/python
# Copyright: (c) 2026, Retune maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure Redis over a window."""

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_counters
short_description: Measure Redis over a window
version_added: 0.1.0
description:
  - Reads counters, and gives the figures of the time between two readings. Totals since the server's start tell nothing of
    a change.
extends_documentation_fragment:
  - leadgen.tuning.redis
  - leadgen.tuning.counters
author:
  - Retune maintainers (@leadgen)
"""

EXAMPLES = r"""
- name: Read the counters
  leadgen.tuning.redis_counters:
    connection: {host: cache.example.com}
  register: first

- name: Measure
  leadgen.tuning.redis_counters:
    connection: {host: cache.example.com}
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
    - Operations a second, hit ratio (0 to 1), evictions and expirations a second, percentiles of the calls' latency in the
      server, delayed syncs of the append-only file, the last fork's milliseconds, fragmentation, memory in bytes. Null where
      the window gave nothing to judge by, such as after a restart.
  returned: when O(since) is given
  type: dict
  sample: {operations_per_second: 5210.4, hit_ratio: 0.8312, evictions_per_second: 0.0, used_memory_bytes: 12600000}
phase:
  description: As given.
  returned: when O(since) is given
  type: str
"""

from ansible_collections.leadgen.tuning.plugins.module_utils._module import run_module
from ansible_collections.leadgen.tuning.plugins.module_utils._redis_counters import ARGUMENT_SPEC, measure


def main() -> None:
    """Run the module."""
    run_module(ARGUMENT_SPEC, measure)


if __name__ == "__main__":
    main()
