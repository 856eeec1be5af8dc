#!/usr/bin/python
# Copyright: (c) 2026, Retune maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Set server-wide PostgreSQL parameters."""

from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_settings
short_description: Set server-wide PostgreSQL parameters
version_added: 0.1.0
description:
  - Brings parameters to their wanted values through C(ALTER SYSTEM), with one connection and at most one reload.
  - Compares what the configuration files say, what the server runs with and what is wanted, in the parameter's own type
    and unit. A value that was written and waits for a restart is reported in RV(pending_restart) and not changed again.
  - Every name, value, privilege and library is checked before the first write, in check mode too.
  - A line of a configuration file that a change goes before, and a session default of a role or database that hides the
    value, belong to somebody else. They are left alone, and named in a warning.
  - Nothing is restarted by this module.
extends_documentation_fragment:
  - leadgen.tuning.postgres
options:
  settings:
    description:
      - Parameters and their wanted values, in any spelling that PostgreSQL takes.
      - A list-valued parameter takes a list, or a dictionary of the lists C(ensure) and C(absent), which is merged into
        what the server has.
      - V(null) removes the entry that C(ALTER SYSTEM) wrote.
    type: dict
    required: true
  controls:
    description:
      - Patterns of parameter names, by the control of the guide that owns them; the first that matches counts, and case
        does not. They tell the controls apart in what is reported.
    type: dict
    default: {}
  only:
    description:
      - Only what these controls own is looked at. Left out, the action plugin takes those that C(--tags) names.
    type: list
    elements: str
  remember:
    description:
      - Keep in mind what is written, in the server itself, as the placeholder parameter C(leadgen_tuning.owned), and take
        out what an earlier run wrote and O(settings) no longer names. What somebody else wrote or changed is never taken
        out.
    type: bool
    default: false
  verify:
    description:
      - Fail when something differs, and change nothing. With V(configured) what waits for a restart is in order; with
        V(running) it is not.
    type: str
    choices: [configured, running]
attributes:
  check_mode:
    support: full
    description: Reports exactly what a run would change, and changes nothing.
  diff_mode:
    support: full
    description: Holds only what differs, in the spelling of SHOW.
author:
  - Retune maintainers (@leadgen)
"""

EXAMPLES = r"""
- name: Load pg_stat_statements and vacuum more often
  leadgen.tuning.postgres_settings:
    connection: {host: db.example.com, user: tuning, dbname: leadgen}
    settings:
      shared_preload_libraries: {ensure: [pg_stat_statements]}
      autovacuum_naptime: 30s
      autovacuum_vacuum_scale_factor: 0.05
"""

RETURN = r"""
diff:
  description: What differs and nothing else, in the service's own canonical spelling.
  returned: always
  type: dict
  sample: {before: {autovacuum_naptime: 1min}, after: {autovacuum_naptime: 30s}}
needs:
  description: For each changed parameter what brings it into force, V(reload) or V(restart). A reload is part of this run.
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
    - For each parameter written its former entry in C(postgresql.auto.conf), V(null) where there was none.
    - A secret has none, since results are shown; it is the one thing that a failed run does not put back.
  returned: success
  type: dict
server_version:
  description: The version that the server gives.
  returned: success
  type: raw
"""

from ansible_collections.leadgen.tuning.plugins.module_utils._module import run_module
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_settings import ARGUMENT_SPEC, reconcile


def main() -> None:
    """Run the module."""
    run_module(ARGUMENT_SPEC, reconcile)


if __name__ == "__main__":
    main()
