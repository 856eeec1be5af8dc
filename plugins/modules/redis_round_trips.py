#!/usr/bin/python
# Copyright: (c) 2026, Retune maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Audit how many commands a round trip to Redis carries, and how many lookups find their key."""

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_round_trips
short_description: Audit how many commands a round trip to Redis carries, and how many lookups find their key
version_added: 0.1.0
description:
  - Reads the counters of C(INFO stats) and C(INFO commandstats) twice. The commands of a pipeline reach the server in one
    read of the socket, so commands by reads tell how much is pipelined.
  - Judges the controls C(redis.pipelines) and C(review.redis_hit_ratio).
extends_documentation_fragment:
  - leadgen.tuning.redis
options:
  window:
    description: Seconds between the two readings.
    type: float
    default: 10.0
  min_commands_per_second:
    description: Below this rate single commands are no finding, since they cost little.
    type: float
    default: 1000.0
  min_commands_per_read:
    description: Commands for each read, below which a busy server has a finding. Without any pipeline it is 1.
    type: float
    default: 1.1
  min_hit_ratio:
    description: The share of lookups, from 0 to 1, of which more have to find their key.
    type: float
    default: 0.8
attributes:
  check_mode:
    support: full
    description: Nothing is changed, in check mode or without.
  diff_mode:
    support: none
    description: Nothing is changed.
notes:
  - An ACL user needs C(+info).
author:
  - Retune maintainers (@leadgen)
"""

EXAMPLES = r"""
- name: See whether commands come together
  leadgen.tuning.redis_round_trips:
    connection: {host: cache.example.com}
    window: 60
  register: found
"""

RETURN = r"""
audit:
  description: A verdict for each control, with its findings. The figures are commands a read, and the hit ratio (0 to 1).
  returned: success
  type: list
  elements: dict
"""

from ansible_collections.leadgen.tuning.plugins.module_utils._module import run_module
from ansible_collections.leadgen.tuning.plugins.module_utils._redis_round_trips import ARGUMENT_SPEC, look


def main() -> None:
    """Run the module."""
    run_module(ARGUMENT_SPEC, look)


if __name__ == "__main__":
    main()
