#!/usr/bin/python
# Copyright: (c) 2026, Retune maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configure PgBouncer, in its file and live."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pgbouncer_config
short_description: Configure PgBouncer, in its file and live
version_added: 0.1.0
description:
  - Compares C(pgbouncer.ini), what the admin console says is live, and what is wanted. A C(SET) on the console is seen, and
    so is a file that was written and never loaded; a C(RELOAD) follows whenever the live values differ.
  - The new file is tried by PgBouncer itself, on no port, before it replaces the old one, which is kept beside it with the
    ending C(.previous). After the C(RELOAD) the live values are read again; where they are not the wanted ones the old file
    is put back and loaded.
  - Runs on PgBouncer's host, as its user or as root. What the dictionaries do not name stays as it is, comments included.
extends_documentation_fragment:
  - leadgen.tuning.pgbouncer
options:
  settings:
    description: Settings of the section C([pgbouncer]). Null takes one out of the file, so that the default holds.
    type: dict
    default: {}
  databases:
    description:
      - Entries of the section C([databases]) by name, each with its parameters. Parameters that are not named stay, and null
        takes one out.
    type: dict
    default: {}
  users:
    description: Entries of the section C([users]) by name, in the same way.
    type: dict
    default: {}
  hba:
    description:
      - The rules of C(auth_hba_file), in their order; they replace the present ones. C(auth_type) has to be V(hba).
      - Another content gets a file of another name beside C(pgbouncer.ini), such as C(pgbouncer-auth_hba-2.conf), so that
        C(SHOW CONFIG) tells which one is in force. The former file stays until the next one is made.
    type: list
    elements: dict
    suboptions:
      type:
        description: How the client connects.
        type: str
        choices: [local, host, hostssl, hostnossl]
        default: host
      databases:
        description: Databases by name, or V(all).
        type: list
        elements: str
        default: [all]
      users:
        description: Users by name, or V(all).
        type: list
        elements: str
        default: [all]
      address:
        description: Addresses in CIDR notation, for all types but V(local).
        type: str
      method:
        description: The method, such as V(scram-sha-256), V(cert) or V(reject).
        type: str
        required: true
      options:
        description: Options of the method by name, such as C(map) from PgBouncer 1.23 on.
        type: dict
        default: {}
  passwords:
    description:
      - Passwords, or their SCRAM secrets, in C(auth_file) by user. Users that are not named stay, and null takes one out.
      - Another content gets a file of another name, as with O(hba). Only the user of PgBouncer may read it.
    type: dict
  limits:
    description:
      - The PostgreSQL server behind PgBouncer. Where it is given, the most server connections that PgBouncer could open are
        held against what the server leaves, and the file descriptors that it could need against its limit, before anything
        is written.
    type: dict
    suboptions:
      connection:
        description: How to reach PostgreSQL; see O(leadgen.tuning.postgres_settings#module:connection).
        type: dict
        required: true
      logins:
        description: The users whom clients log in as.
        type: list
        elements: str
        required: true
      other_connections:
        description: Connections that others than PgBouncer use, such as migrations, backups and monitoring.
        type: int
        default: 10
      processes:
        description: How many PgBouncers have this configuration, by C(so_reuseport) or on more hosts.
        type: int
        default: 1
      unit:
        description: The systemd unit that runs PgBouncer, whose LimitNOFILE has to suffice, and not the process's alone.
        type: str
  verify:
    description: Fail when something differs, and change nothing.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description: Reports exactly what a run would change, and changes nothing. The new file is tried too.
  diff_mode:
    support: full
    description: Holds only what differs. A password is not shown.
author:
  - Retune maintainers (@leadgen)
"""

EXAMPLES = r"""
- name: Pool by transaction
  leadgen.tuning.pgbouncer_config:
    connection: {host: 127.0.0.1, user: pgbouncer_admin}
    settings:
      pool_mode: transaction
      max_client_conn: 2000
      default_pool_size: 20
    databases:
      leadgen: {host: db.example.com, pool_size: 40}
"""

RETURN = r"""
diff:
  description: What differs and nothing else. Entries are named C(databases.NAME.PARAMETER) and C(users.NAME.PARAMETER).
  returned: always
  type: dict
  sample: {before: {pool_mode: session}, after: {pool_mode: transaction}}
needs:
  description: For each change V(reload) or V(restart).
  returned: success
  type: dict
restart_required:
  description: Whether what this run changes (in check mode, would change) takes a restart to come into force.
  returned: success
  type: bool
pending_restart:
  description: Settings of this call which, once it is done, still wait for a restart.
  returned: success
  type: list
  elements: str
previous:
  description: The former C(settings), C(databases) and C(users) of what was written, as the options take them. No password.
  returned: success
  type: dict
server_version:
  description: PgBouncer's version.
  returned: success
  type: str
"""

from ansible_collections.leadgen.tuning.plugins.module_utils._module import run_module
from ansible_collections.leadgen.tuning.plugins.module_utils._pgbouncer_config import ARGUMENT_SPEC, reconcile


def main() -> None:
    """Run the module."""
    run_module(ARGUMENT_SPEC, reconcile)


if __name__ == "__main__":
    main()
