#!/usr/bin/python
# Copyright: (c) 2026, Retune maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Grant a role without superuser what it needs to tune PostgreSQL."""

from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_grants
short_description: Grant a role without superuser what it needs to tune PostgreSQL
version_added: 0.1.0
description:
  - Creates the role where it is missing, and grants it what the other modules need for just these settings, and no more.
  - Takes nothing away. A server before PostgreSQL 15 has no privileges on parameters, and is refused.
  - The role becomes a member of the roles that own the databases and their tables, since only an owner may alter a table.
    An object that a superuser owns is an error, for that role is not to be shared.
  - Defaults of other roles take CREATEROLE, and from PostgreSQL 16 the ADMIN option on each of them.
extends_documentation_fragment:
  - leadgen.tuning.postgres
options:
  role:
    description: The role that is to tune.
    type: str
    required: true
  password:
    description: Password of the role where it has to be created. One that is there is left as it is.
    type: str
  databases:
    description: The application's databases.
    type: list
    elements: str
    default: []
  settings:
    description: What O(settings) of M(leadgen.tuning.postgres_settings) is to be given.
    type: dict
    default: {}
  role_settings:
    description: What O(roles) of M(leadgen.tuning.postgres_session_defaults) is to be given.
    type: dict
    default: {}
  database_settings:
    description: What O(databases) of M(leadgen.tuning.postgres_session_defaults) is to be given.
    type: dict
    default: {}
  role_in_database_settings:
    description: What O(roles_in_databases) of M(leadgen.tuning.postgres_session_defaults) is to be given.
    type: dict
    default: {}
attributes:
  check_mode:
    support: full
    description: Reports exactly what a run would change, and changes nothing.
  diff_mode:
    support: full
    description: Names each privilege that is missing.
author:
  - Retune maintainers (@leadgen)
"""

EXAMPLES = r"""
- name: Let the role tuning set work_mem, and the defaults of leads_app
  leadgen.tuning.postgres_grants:
    connection: {host: db.example.com, user: postgres}
    role: tuning
    databases: [leadgen]
    settings: {work_mem: 16MB}
    role_settings: {leads_app: {statement_timeout: 5s}}
"""

RETURN = r"""
diff:
  description: A key for each thing that the role lacks.
  returned: always
  type: dict
  sample:
    before: {ALTER SYSTEM on work_mem: absent, pg_monitor: absent}
    after: {ALTER SYSTEM on work_mem: granted, pg_monitor: granted}
"""

from ansible_collections.leadgen.tuning.plugins.module_utils._module import run_module
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_grants import ARGUMENT_SPEC, reconcile


def main() -> None:
    """Run the module."""
    run_module(ARGUMENT_SPEC, reconcile)


if __name__ == "__main__":
    main()
