#!/usr/bin/python
# Copyright: (c) 2026, Retune maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restart PgBouncer when settings wait for it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pgbouncer_restart
short_description: Restart PgBouncer when settings wait for it
version_added: 0.1.0
description:
  - Drains PgBouncer with C(PAUSE), runs the given command when there is a setting that waits for a restart, and sees that
    another process answers. Clients are disconnected between two transactions.
  - Where it does not come back, the file of before the last change is put back and it is started with that; the run fails
    all the same.
extends_documentation_fragment:
  - leadgen.tuning.pgbouncer
options:
  settings:
    description: The settings that wait, as RV(leadgen.tuning.pgbouncer_config#module:pending_restart) lists them.
    type: list
    elements: str
    required: true
  command:
    description: The program and its arguments that restart PgBouncer.
    type: list
    elements: str
    required: true
  drain_timeout:
    description: Seconds in which transactions have to end; else it is not restarted.
    type: int
    default: 30
  timeout:
    description: Seconds for the command, and then for PgBouncer to answer.
    type: int
    default: 60
attributes:
  check_mode:
    support: full
    description: Reports exactly what a run would change, and changes nothing.
  diff_mode:
    support: full
    description: Names the settings that wait.
author:
  - Retune maintainers (@leadgen)
"""

EXAMPLES = r"""
- name: Restart for what waits
  leadgen.tuning.pgbouncer_restart:
    connection: {host: 127.0.0.1, user: pgbouncer_admin}
    settings: "{{ pgbouncer.pending_restart }}"
    command: [systemctl, restart, pgbouncer]
"""

RETURN = r"""
diff:
  description: The restart and what it is for; empty when nothing waits.
  returned: success
  type: dict
  sample: {before: {restart: awaited by listen_backlog}, after: {restart: done}}
"""

from ansible_collections.leadgen.tuning.plugins.module_utils._module import run_module
from ansible_collections.leadgen.tuning.plugins.module_utils._pgbouncer_restart import ARGUMENT_SPEC, restart


def main() -> None:
    """Run the module."""
    run_module(ARGUMENT_SPEC, restart)


if __name__ == "__main__":
    main()
