#!/usr/bin/python
# Copyright: (c) 2026, Retune maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Audit the indexes of PostgreSQL's databases."""

from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_index_usage
short_description: Audit the indexes of PostgreSQL's databases
version_added: 0.1.0
description:
  - Finds indexes that are never scanned, duplicate, overlapping or invalid, tables without a primary key, foreign keys
    without an index, and large tables that are often read whole. Every database is read over a connection, four at a time.
  - An index behind a constraint, a replica identity or CLUSTER is never dead weight. A unique index is so only beside a
    unique one of the same keys. An index that alone serves a foreign key is not called unused.
extends_documentation_fragment:
  - leadgen.tuning.postgres
options:
  databases:
    description: The application's databases.
    type: list
    elements: str
    required: true
  replicas:
    description:
      - Connections to the standby servers. An index counts as used when any of them has scanned it, and where one cannot be
        read no index is judged unused.
    type: list
    elements: dict
    default: []
    suboptions:
      host:
        description: Name, address, or folder of the local socket. Left out, the local socket is used.
        type: str
      port:
        description: Port of the server.
        type: int
        default: 5432
      user:
        description: Role to connect as.
        type: str
        default: postgres
      password:
        description: Password of the role. A O(connection.passfile) or a client certificate keeps it out of the inventory.
        type: str
      dbname:
        description: Database to connect to for what is not a matter of one database.
        type: str
        default: postgres
      passfile:
        description: Password file in the format of C(.pgpass).
        type: path
      sslmode:
        description: How TLS is used.
        type: str
        choices: [disable, allow, prefer, require, verify-ca, verify-full]
        default: prefer
      sslrootcert:
        description: File with the certificates of the authorities that are trusted.
        type: path
      sslcert:
        description: File with the client's certificate.
        type: path
      sslkey:
        description: File with the client's private key.
        type: path
      connect_timeout:
        description: Seconds to wait for a connection.
        type: int
        default: 10
  min_statistics_age:
    description: Days of statistics from which an index can be judged unused, and a table not to be scanned whole.
    type: float
    default: 7.0
  large_table_rows:
    description: Rows from which it matters that a table is read whole.
    type: int
    default: 10000
  min_sequential_scans:
    description: Scans of a whole large table that are no finding; a nightly dump is one each.
    type: int
    default: 1000
  max_sequential_share:
    description: Share of a large table's scans, 0 to 1, that may read all of it.
    type: float
    default: 0.05
attributes:
  check_mode:
    support: full
    description: Nothing is changed, in check mode or without.
  diff_mode:
    support: none
    description: Nothing is changed.
author:
  - Retune maintainers (@leadgen)
"""

EXAMPLES = r"""
- name: Audit the indexes
  leadgen.tuning.postgres_index_usage:
    connection: {host: db.example.com, user: tuning}
    databases: [leadgen]
    replicas:
      - {host: db-replica.example.com, user: tuning}
  register: indexes
"""

RETURN = r"""
audit:
  description:
    - A verdict for each control. C(fail) with findings; else C(unknown) with the RV(audit[].reason); else C(pass).
  returned: success
  type: list
  elements: dict
  contains:
    control:
      description: Id of the guide's control.
      type: str
    verdict:
      description: C(pass), C(fail) or C(unknown).
      type: str
    figure:
      description: Number of findings; null where no database could be read.
      type: float
    reason:
      description: What could not be judged, and why. Empty when all was.
      type: str
    findings:
      description:
        - Each with C(kind), C(database), C(table) and C(index) as schema.name, C(bytes), C(why), and the C(statement) that a
          person would run. It is never run here.
      type: list
      elements: dict
  sample:
    - control: postgres.index_usage
      verdict: fail
      figure: 1
      reason: ""
      findings:
        - kind: duplicate
          database: leadgen
          table: public.leads
          index: public.leads_user_id_idx1
          bytes: 245760
          why: public.leads_user_id_idx has the same keys
          statement: DROP INDEX CONCURRENTLY public.leads_user_id_idx1;
statistics_age_days:
  description: Days of statistics by database; one that could not be read is left out.
  returned: success
  type: dict
  sample: {leadgen: 32.5}
"""

from ansible_collections.leadgen.tuning.plugins.module_utils._module import run_module
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_index_usage import ARGUMENT_SPEC, audit


def main() -> None:
    """Run the module."""
    run_module(ARGUMENT_SPEC, audit)


if __name__ == "__main__":
    main()
