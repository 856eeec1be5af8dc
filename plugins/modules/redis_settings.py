#!/usr/bin/python
# Copyright: (c) 2026, Retune maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Set Redis parameters, in the server and in its file."""

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_settings
short_description: Set Redis parameters, in the server and in its file
version_added: 0.1.0
description:
  - Brings parameters to their wanted values with one C(CONFIG SET) for all of them, then C(CONFIG REWRITE).
  - Persistence is changed so that the data are always on the disk in one way or the other. The append-only file is switched
    on live, and the server's file says so only once it is whole. It is switched off after a snapshot, where snapshots are
    wanted.
    What no restart would bring back any more is a warning, with the number of keys.
  - Serves standalone and replicated Redis and Valkey, each node for itself. Sentinel, Cluster and managed services are told
    by name and refused.
  - Every legal spelling of a value is the same value. Sizes have Redis's own meaning, V(256mb) being 268435456 bytes and
    V(256m) 256000000.
  - Where the server's file can be read from where the module runs, a file that no longer says what the server runs with is
    seen and written again.
extends_documentation_fragment:
  - leadgen.tuning.redis
options:
  settings:
    description:
      - Parameters and their wanted values. Words may be given as a list. The value of C(client-output-buffer-limit) may be
        a dictionary by class of client, and classes that are not named are left alone.
      - C(maxmemory) may be a share of the memory, such as V(60%). It has to fit together with what forks copy and what waits
        for replicas.
    type: dict
    default: {}
  profile:
    description:
      - What the data are for. The profile's parameters hold where O(settings) names no others; empty, there is none.
      - V(cache) evicts by V(allkeys-lru), takes a C(maxmemory), and keeps nothing on the disk. V(sessions) evicts nothing
        and keeps an append-only file that is synced each second, and no snapshots. V(durable) is the same with snapshots as
        they are. V(queue) evicts nothing.
    type: str
    default: ""
  profiles:
    description: More profiles, or others in the place of those of that name, each with its parameters.
    type: dict
    default: {}
  replica_settings:
    description: Parameters that hold before those of O(settings) while the server follows another.
    type: dict
    default: {}
  controls:
    description:
      - Patterns of parameter names, by the control of the guide that owns them; the first that matches counts, and case
        does not. They tell the controls apart in what is reported.
    type: dict
    default:
      redis.eviction: [lfu-*, maxmemory, maxmemory-*]
      redis.persistence:
        - aof-*
        - appendfsync
        - appendonly
        - auto-aof-*
        - no-appendfsync-on-rewrite
        - rdb*
        - save
        - stop-writes-on-bgsave-error
        - vm.*
        - transparent_hugepage
      redis.parameters: ["*"]
  only:
    description:
      - Only what these controls own is looked at. Left out, the action plugin takes those that C(--tags) names.
    type: list
    elements: str
  persist:
    description: Whether the values are to outlive a restart of the server, by C(CONFIG REWRITE) or O(include_file).
    type: bool
    default: true
  include_file:
    description:
      - A file of this module's own, written instead of C(CONFIG REWRITE). The last line of C(redis.conf) has to include it.
      - For a C(redis.conf) that the server may not write, or that others write. Takes running on the server's host.
    type: path
    default: ""
  memory:
    description:
      - The memory that the server may use, such as V(4gb). Left out, it is the limit of its control group where the module
        runs on its host, else the host's memory.
    type: str
    default: ""
  manage_host:
    description:
      - Whether the host is the module's to set up too, where it runs as root. C(vm.overcommit_memory) is set to V(1) and
        transparent huge pages to V(madvise), at once and for each start. Otherwise what hurts a server that forks is a
        warning.
    type: bool
    default: false
  verify:
    description: Fail when something differs, and change nothing.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description: Reports exactly what a run would change, and changes nothing.
  diff_mode:
    support: full
    description: Holds only what differs; sizes in the largest unit that is exact.
author:
  - Retune maintainers (@leadgen)
"""

EXAMPLES = r"""
- name: Bound the cache
  leadgen.tuning.redis_settings:
    connection: {host: cache.example.com}
    settings:
      maxmemory: 2gb
      maxmemory-policy: allkeys-lru
      save: ""
      appendonly: false

- name: Keep what must not be lost, and no more than fits
  leadgen.tuning.redis_settings:
    connection: {host: sessions.example.com}
    settings: {maxmemory: 60%, maxmemory-policy: noeviction, appendonly: true, appendfsync: everysec}
    include_file: /etc/redis/retune.conf
"""

RETURN = r"""
diff:
  description: What differs and nothing else, in the service's own canonical spelling.
  returned: always
  type: dict
  sample: {before: {maxmemory: "0"}, after: {maxmemory: 2gb}}
needs:
  description: Parameters which the server has and only its file lacks, with the value V(rewrite).
  returned: success
  type: dict
restart_required:
  description: Whether what this run changes (in check mode, would change) takes a restart to come into force.
  returned: success
  type: bool
pending_restart:
  description: Parameters of this call which, once it is done, still wait for a restart.
  returned: success
  type: list
  elements: str
owners:
  description: The control that owns each parameter that is reported.
  returned: success
  type: dict
previous:
  description:
    - For each parameter set its former value.
    - A secret has none, since results are shown; it is the one thing that a failed run does not put back.
  returned: success
  type: dict
server_version:
  description: The version that the server gives.
  returned: success
  type: raw
"""

from ansible_collections.leadgen.tuning.plugins.module_utils._module import run_module
from ansible_collections.leadgen.tuning.plugins.module_utils._redis_settings import ARGUMENT_SPEC, reconcile


def main() -> None:
    """Run the module."""
    run_module(ARGUMENT_SPEC, reconcile)


if __name__ == "__main__":
    main()
