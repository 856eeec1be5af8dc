#!/usr/bin/python
# Copyright: (c) 2026, Retune maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Audit how Redis's data are kept, from a sample of the keys."""

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_keys
short_description: Audit how Redis's data are kept, from a sample of the keys
version_added: 0.1.0
description:
  - Looks at a bounded sample of the keys of one database with C(SCAN), a few at a time, and waits after each so that the
    server is busy with it for at most a share of the time. C(KEYS) is never sent.
  - Finds objects that are kept as strings of JSON, what they would take as hashes, and what all of them would save, with 95%
    confidence; big keys; and how many keys have no TTL. An object whose values are long takes I(more) as a hash, since that
    is no listpack then; the report has what a larger C(hash-max-listpack-value) would make of it.
  - Values are read and not reported. Keys are reported as patterns, their ids taken out.
  - Judges the controls C(redis.hashes) and, where the server evicts keys, C(redis.eviction).
extends_documentation_fragment:
  - leadgen.tuning.redis
options:
  keys:
    description: How many keys to look at.
    type: int
    default: 10000
  seconds:
    description: How long to go on, at most.
    type: float
    default: 30.0
  load:
    description:
      - The share of the time, from 0 to 1, in which the server may be busy with this. Below 0.01 it is not what makes the
        slowest hundredth of the other clients' commands.
    type: float
    default: 0.008
  scratch_database:
    description:
      - An empty database in which each sampled object is made as a hash, measured, and removed at once. Left out, the sizes
        are computed from how Redis and its allocator lay hashes out.
      - Never on a replica.
    type: int
  big_key_bytes:
    description: From how many bytes on a key is big.
    type: int
    default: 1048576
  min_saving:
    description: The share of the used memory, from 0 to 1, which hashes have to save to be a finding.
    type: float
    default: 0.05
  max_without_ttl:
    description: The share of keys, from 0 to 1, that may have no TTL where the server evicts keys.
    type: float
    default: 0.5
attributes:
  check_mode:
    support: full
    description: Nothing is changed, in check mode or without, but what O(scratch_database) says.
  diff_mode:
    support: none
    description: Nothing is changed.
notes:
  - An ACL user needs C(+scan +type +memory|usage +pttl +get +dbsize +info +config|get) and read access to the keys, C(%R~*);
    with O(scratch_database) C(+select +hset +pexpire +unlink) and C(~*) too.
author:
  - Retune maintainers (@leadgen)
"""

EXAMPLES = r"""
- name: Look at ten thousand keys
  leadgen.tuning.redis_keys:
    connection: {host: cache.example.com}
  register: found
"""

RETURN = r"""
report:
  description:
    - What was found. Each figure of C(json_strings) and C(without_ttl) is an estimate over all keys of the database, with
      C(low) and C(high) of 95% confidence. C(method) is V(measured) or V(computed).
  returned: success
  type: dict
audit:
  description: A verdict for each control, with its findings.
  returned: success
  type: list
  elements: dict
"""

from ansible_collections.leadgen.tuning.plugins.module_utils._module import run_module
from ansible_collections.leadgen.tuning.plugins.module_utils._redis_keys import ARGUMENT_SPEC, look


def main() -> None:
    """Run the module."""
    run_module(ARGUMENT_SPEC, look)


if __name__ == "__main__":
    main()
