#!/usr/bin/python
# Copyright: (c) 2026, Retune maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Set session defaults of PostgreSQL roles and databases."""

from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_session_defaults
short_description: Set session defaults of PostgreSQL roles and databases
version_added: 0.1.0
description:
  - Brings the defaults of C(ALTER ROLE ... SET), C(ALTER DATABASE ... SET) and C(ALTER ROLE ... IN DATABASE ... SET) to
    their wanted values, all in one transaction. They come into force with the next session.
  - Every role, database, name and value is checked before the first write, in check mode too.
extends_documentation_fragment:
  - leadgen.tuning.postgres
options:
  roles:
    description: By role, its parameters and their wanted values. V(null) takes a default out.
    type: dict
    default: {}
  databases:
    description: By database, its parameters and their wanted values.
    type: dict
    default: {}
  roles_in_databases:
    description: By database and then by role, parameters and their wanted values.
    type: dict
    default: {}
  exempt_roles:
    description: Roles that no timeout may stop, such as those of migrations and backups. To give one a timeout is an error.
    type: list
    elements: str
    default: []
  controls:
    description:
      - Patterns of the keys of RV(diff), by the control of the guide that owns them; the first that matches counts, and case
        does not.
    type: dict
    default: {}
  only:
    description:
      - Only what these controls own is looked at. Left out, the action plugin takes those that C(--tags) names.
    type: list
    elements: str
  remember:
    description:
      - Keep in mind what is written, in the server itself, as the default C(leadgen_tuning.session) of the role that
        connects, and take out what an earlier run wrote and the options no longer name. What somebody else wrote or changed
        is never taken out.
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
    description: Holds only what differs, in the spelling of SHOW.
author:
  - Retune maintainers (@leadgen)
"""

EXAMPLES = r"""
- name: Stop the application's runaway queries
  leadgen.tuning.postgres_session_defaults:
    connection: {host: db.example.com, user: postgres}
    roles:
      leads_app: {statement_timeout: 5s, idle_in_transaction_session_timeout: 30s}
    exempt_roles: [leads_migrate]
"""

RETURN = r"""
diff:
  description: What differs and nothing else. A key names whose default it is, and the parameter.
  returned: always
  type: dict
  sample: {before: {"leads_app: statement_timeout": unset}, after: {"leads_app: statement_timeout": 5s}}
owners:
  description: The control that owns each key of the diff.
  returned: success
  type: dict
previous:
  description: The former values, in the shape of O(roles), O(databases) and O(roles_in_databases).
  returned: success
  type: dict
"""

from ansible_collections.leadgen.tuning.plugins.module_utils._module import run_module
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_session_defaults import ARGUMENT_SPEC, reconcile


def main() -> None:
    """Run the module."""
    run_module(ARGUMENT_SPEC, reconcile)


if __name__ == "__main__":
    main()
