#!/usr/bin/python
# Copyright: (c) 2026, Retune maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Audit whether vacuum keeps up in PostgreSQL."""

from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_vacuum_health
short_description: Audit whether vacuum keeps up in PostgreSQL
version_added: 0.1.0
description:
  - Reads dead rows, estimated bloat of tables and btree indexes, the times of the last vacuum and analyze, the ages of
    transaction ids and multixacts, tables that autovacuum passes over, and the transactions, replication slots and prepared
    transactions that hold vacuum back. Each is an alarm past its threshold.
  - Bloat is estimated from statistics, without reading a page. What has no statistics that the role may read is unknown. The
    statistics of a column are shown to a role that may read it.
extends_documentation_fragment:
  - leadgen.tuning.postgres
options:
  databases:
    description: The application's databases. Ages are judged of every database of the server.
    type: list
    elements: str
    required: true
  max_dead_ratio:
    description: Share of a table's rows, 0 to 1, that may be dead.
    type: float
    default: 0.2
  min_dead_rows:
    description: Dead rows below which a table is no finding.
    type: int
    default: 10000
  max_bloat_ratio:
    description: Estimated share, 0 to 1, of a table's or index's pages that may be superfluous.
    type: float
    default: 0.5
  min_bloat_bytes:
    description: Superfluous bytes below which there is no finding, and size below which missing statistics do not matter.
    type: int
    default: 67108864
  max_freeze_ratio:
    description: Age of a table or database that is an alarm, in multiples of C(autovacuum_freeze_max_age) and its like.
    type: float
    default: 1.5
  max_wraparound_ratio:
    description: Age that is an alarm, as a share of that at which the server stops taking writes.
    type: float
    default: 0.5
  max_transaction_seconds:
    description: Seconds from which an open or prepared transaction is an alarm.
    type: int
    default: 3600
  max_xmin_age:
    description: Transactions from which a transaction, slot or prepared transaction is an alarm for the rows it holds back.
    type: int
    default: 10000000
  worst:
    description: How many tables and indexes of a database to return with their figures.
    type: int
    default: 20
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
- name: Audit vacuum
  leadgen.tuning.postgres_vacuum_health:
    connection: {host: db.example.com, user: tuning}
    databases: [leadgen]
    max_dead_ratio: 0.1
  register: vacuum
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
      description: Share of dead rows over all databases; null where none could be read.
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
databases:
  description:
    - By database C(dead_rows), C(live_rows), C(oldest_xid), and the worst C(tables) and C(indexes) with their figures. Sizes
      are in bytes, ratios from 0 to 1, C(estimated_bloat) is null where there are no statistics.
  returned: success
  type: dict
ages:
  description: Ages of transaction ids and multixacts by database of the server.
  returned: success
  type: dict
  sample: {leadgen: {xid: 1200345, multixact: 12}}
"""

from ansible_collections.leadgen.tuning.plugins.module_utils._module import run_module
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_vacuum_health import ARGUMENT_SPEC, audit


def main() -> None:
    """Run the module."""
    run_module(ARGUMENT_SPEC, audit)


if __name__ == "__main__":
    main()
