#!/usr/bin/python
# Copyright: (c) 2026, Retune maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Create and update PostgreSQL extensions in every application database."""

from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_extensions
short_description: Create and update PostgreSQL extensions in every application database
version_added: 0.1.0
description:
  - Creates what is missing, and updates what is behind the version of the files on the server.
  - An installed version from which no update script leads to that of the files is left as it is.
extends_documentation_fragment:
  - leadgen.tuning.postgres
options:
  databases:
    description: The databases that are to have the extensions.
    type: list
    elements: str
    required: true
  extensions:
    description: The extensions' names.
    type: list
    elements: str
    required: true
  verify:
    description: Fail when something is missing or behind, and change nothing.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description: Reports exactly what a run would change, and changes nothing.
  diff_mode:
    support: full
    description: Names database and extension, and the versions before and after.
author:
  - Retune maintainers (@leadgen)
"""

EXAMPLES = r"""
- name: Create pg_stat_statements
  leadgen.tuning.postgres_extensions:
    connection: {host: db.example.com, user: postgres}
    databases: [leadgen]
    extensions: [pg_stat_statements]
"""

RETURN = r"""
diff:
  description: A key C(database.extension) for each that is missing or behind.
  returned: always
  type: dict
  sample: {before: {leadgen.pg_stat_statements: absent}, after: {leadgen.pg_stat_statements: "1.10"}}
"""

from ansible_collections.leadgen.tuning.plugins.module_utils._module import run_module
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_extensions import ARGUMENT_SPEC, reconcile


def main() -> None:
    """Run the module."""
    run_module(ARGUMENT_SPEC, reconcile)


if __name__ == "__main__":
    main()
