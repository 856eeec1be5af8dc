#!/usr/bin/python
# Copyright: (c) 2026, Retune maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Report PostgreSQL's slow queries."""

from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_queries
short_description: Report PostgreSQL's slow queries
version_added: 0.1.0
description:
  - Reports, for each database, the statements that took most time, with their plans, and suggests indexes for scans of whole
    large tables. No index is created.
  - An index is suggested when the planner takes it and the statement's cost falls to half or less. The extension HypoPG,
    where a database has it, lets the planner try the index; without it the cost is reckoned from the statistics.
extends_documentation_fragment:
  - leadgen.tuning.postgres
options:
  databases:
    description: The application's databases. Each needs the extension pg_stat_statements.
    type: list
    elements: str
    required: true
  top:
    description: How many statements of each database.
    type: int
    default: 5
  large_table_rows:
    description: Rows from which it matters that a table is read whole.
    type: int
    default: 10000
  explain_analyze:
    description:
      - Whether to run a statement once by EXPLAIN ANALYZE, in a read-only transaction that is rolled back, for 5 seconds at
        most, as the role that runs it.
      - Only a statement that a session of its role is seen to run with its values in its text, whose grammar is a read's, in
        which every function is known to only compute, in a database without functions of its own. The report says why
        another was not run.
    type: bool
    default: false
requirements:
  - pglast, without which no statement is explained
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
- name: Report the slow queries
  leadgen.tuning.postgres_queries:
    connection: {host: db.example.com, user: tuning}
    databases: [leadgen]
  register: queries
"""

RETURN = r"""
report:
  description: The report.
  returned: success
  type: dict
  contains:
    databases:
      description: Each with C(database), C(statements), and the suggested C(postgres_indexes) as the inventory takes them.
      type: list
      elements: dict
      contains:
        statements:
          description:
            - The slowest first, with C(queryid), the normalised C(statement), C(calls), C(total_ms), C(mean_ms), C(rows),
              C(share) of the database's time from 0 to 1, C(temp_blocks_written), and C(n_plus_one), whether it looks like
              one that is run for each row of another's result.
            - C(plan) as EXPLAIN gives it and C(plan_kind), both null where C(not_explained) says why. It is the C(generic)
              plan, or where there is none the plan with the values that a session was seen to use, C(sampled), without its
              conditions.
            - C(analyzed), with C(planning_ms), C(execution_ms), and the C(plan) with what was counted and without its
              conditions; null where C(not_analyzed) says why.
            - C(sequential_scans) of large tables, each with C(table), C(rows) and C(filter).
            - C(suggestions), each with C(table), C(columns), C(confirmed_by) (C(hypopg) or C(arithmetic)), C(cost_before),
              C(cost_after), C(bytes), and of its upkeep C(rows_written_per_second) and C(indexes_on_table).
          type: list
          elements: dict
    unread:
      description: Databases that could not be read, each with C(database) and C(reason).
      type: list
      elements: dict
  sample:
    databases:
      - database: leadgen
        statements:
          - queryid: "-6114652303713441310"
            statement: SELECT id FROM events WHERE lead_id = $1
            calls: 1200
            mean_ms: 41.2
            plan_kind: generic
        postgres_indexes:
          events_lead_id_idx: {table: public.events, columns: [lead_id]}
    unread: []
"""

from ansible_collections.leadgen.tuning.plugins.module_utils._module import run_module
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_queries import ARGUMENT_SPEC, report


def main() -> None:
    """Run the module."""
    run_module(ARGUMENT_SPEC, report)


if __name__ == "__main__":
    main()
