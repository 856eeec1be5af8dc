#!/usr/bin/python
# Copyright: (c) 2026, Retune maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the function by which PgBouncer looks passwords up."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pgbouncer_auth
short_description: Make the function by which PgBouncer looks passwords up
version_added: 0.1.0
description:
  - Makes a role for C(auth_user), and in one database the C(SECURITY DEFINER) function C(get_auth) that it alone may call.
    The function's C(search_path) is fixed, and it gives no password of a superuser, of a role that may not log in, or of one
    whose password has expired.
  - PgBouncer's C(auth_query) is C(select username, password from SCHEMA.get_auth($1)), and C(auth_dbname), from 1.19
    on, the database.
extends_documentation_fragment:
  - leadgen.tuning.postgres
options:
  database:
    description: The database that gets the function.
    type: str
    required: true
  role:
    description: The role that may call it; C(auth_user) of PgBouncer.
    type: str
    default: pgbouncer_auth
  password:
    description: The password that a new role gets. That of a role which is there stays.
    type: str
  schema:
    description: The schema that holds the function and nothing else.
    type: str
    default: pgbouncer
attributes:
  check_mode:
    support: full
    description: Reports exactly what a run would change, and changes nothing.
  diff_mode:
    support: full
    description: Names what is missing or differs.
author:
  - Retune maintainers (@leadgen)
"""

EXAMPLES = r"""
- name: Have PgBouncer look passwords up
  leadgen.tuning.pgbouncer_auth:
    connection: {host: db.example.com, user: postgres}
    database: leadgen
    password: "{{ vault_pgbouncer_auth_password }}"
"""

RETURN = r"""
diff:
  description: What is missing or differs, and nothing else.
  returned: success
  type: dict
  sample: {before: {function pgbouncer.get_auth: absent}, after: {function pgbouncer.get_auth: present}}
"""

from ansible_collections.leadgen.tuning.plugins.module_utils._module import run_module
from ansible_collections.leadgen.tuning.plugins.module_utils._pgbouncer_auth import ARGUMENT_SPEC, reconcile


def main() -> None:
    """Run the module."""
    run_module(ARGUMENT_SPEC, reconcile)


if __name__ == "__main__":
    main()
