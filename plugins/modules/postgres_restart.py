#!/usr/bin/python
# Copyright: (c) 2026, Retune maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restart PostgreSQL when parameters wait for it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_restart
short_description: Restart PostgreSQL when parameters wait for it
version_added: 0.1.0
description:
  - Runs the given command when there is a parameter that waits for a restart, and sees that the server is back with a new
    start time.
  - Of a primary and its standbys, each is in sync again before the module ends; one that is not in time is an error.
extends_documentation_fragment:
  - leadgen.tuning.postgres
options:
  parameters:
    description: The parameters that wait, as RV(leadgen.tuning.postgres_settings#module:pending_restart) lists them.
    type: list
    elements: str
    required: true
  command:
    description: The program and its arguments that restart the server.
    type: list
    elements: str
    required: true
  previous:
    description:
      - The former entries of C(postgresql.auto.conf), as RV(leadgen.tuning.postgres_settings#module:previous) gives them.
      - A server that does not come back is put back on them and started, where its file can be written from where the
        module runs; the run fails all the same.
    type: dict
    default: {}
  timeout:
    description: Seconds for the command, then for the server to answer, and then for its replication to be in sync.
    type: int
    default: 60
  turn:
    description:
      - Restart only a server whose turn it is, of a primary and its standbys; without it any.
      - A standby comes before its primary when C(max_connections), C(max_locks_per_transaction),
        C(max_prepared_transactions), C(max_wal_senders) or C(max_worker_processes) rises, and after it otherwise.
    type: str
    choices: [before_primary, primary, after_primary]
  wanted:
    description: Values by parameter that are about to be written, which a plan goes by.
    type: dict
    default: {}
attributes:
  check_mode:
    support: full
    description: Reports exactly what a run would change, and changes nothing.
  diff_mode:
    support: full
    description: Names the parameters that wait.
author:
  - Retune maintainers (@leadgen)
"""

EXAMPLES = r"""
- name: Restart for what waits
  leadgen.tuning.postgres_restart:
    connection: {host: db.example.com, user: postgres}
    parameters: "{{ settings.pending_restart }}"
    command: [systemctl, restart, postgresql@15-main]
"""

RETURN = r"""
diff:
  description: The restart and what it is for; empty when nothing waits.
  returned: success
  type: dict
  sample: {before: {restart: awaited by shared_preload_libraries}, after: {restart: done}}
"""

from ansible_collections.leadgen.tuning.plugins.module_utils._module import run_module
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_restart import ARGUMENT_SPEC, restart


def main() -> None:
    """Run the module."""
    run_module(ARGUMENT_SPEC, restart)


if __name__ == "__main__":
    main()
