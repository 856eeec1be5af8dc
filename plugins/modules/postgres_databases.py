#!/usr/bin/python
# Copyright: (c) 2026, Retune maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring about extensions, storage parameters of tables, and indexes, in every application database."""

from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_databases
short_description: Bring about extensions, storage parameters of tables, and indexes in PostgreSQL databases
version_added: 0.1.0
description:
  - Reads every database over one connection, decides everything before it writes anything, and writes only what differs.
  - Creates the extensions that are missing, and updates those that are behind the version of the files on the server. An
    installed version from which no update script leads to that of the files is left as it is.
  - Sets the storage parameters that decide when tables are vacuumed, of tables given by name or chosen by rule.
  - Creates indexes with CREATE INDEX CONCURRENTLY, and again where an earlier attempt left an invalid one. An index that is
    no longer named is never dropped.
  - A statement that cannot have its lock in 2 seconds, or 60 for an index, is left for the next run, with a warning.
  - On a standby nothing is changed, since all of it comes from its primary; what differs is a warning.
extends_documentation_fragment:
  - leadgen.tuning.postgres
options:
  databases:
    description: The databases that are to have the extensions, and whose tables the rules are for.
    type: list
    elements: str
    required: true
  extensions:
    description: The extensions' names.
    type: list
    elements: str
    default: []
  table_settings:
    description:
      - By database, and by table as C(schema.table), storage parameters and their values; C(null) takes one out.
      - They go before those of a rule.
    type: dict
    default: {}
  table_rules:
    description:
      - Rules that choose tables by their figures; the first that a table reaches is the table's.
      - A table stays chosen until its rows fall below half of O(table_rules[].rows), or the rule goes.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The rule's name, which the diff shows as the reason.
        type: str
        required: true
      databases:
        description: The databases that it is for; all of O(databases) without it.
        type: list
        elements: str
      rows:
        description: Least number of rows, by the last vacuum or analyze or by the counters.
        type: float
      dead_rows:
        description: Least number of dead rows.
        type: float
      writes_per_second:
        description: Least number of rows inserted, updated and deleted in a second, on average since the counters began.
        type: float
      settings:
        description: Storage parameters and their values.
        type: dict
        required: true
  indexes:
    description:
      - By database and by name, the indexes to be created, each with C(table) and C(columns), and optionally C(include),
        C(method), C(unique) and C(where), in the terms of CREATE INDEX. An index has the schema of its table.
      - An entry of C(columns) is a column with what may follow it, such as an order, or an expression.
    type: dict
    default: {}
  controls:
    description: By control, patterns of names in the diff; the first control that has one which matches owns it.
    type: dict
    default: {}
  only:
    description: The controls whose names are selected; all without it.
    type: list
    elements: str
  remember:
    description:
      - Whether to keep in mind which storage parameters were written, as a default of the role that connects in each
        database, and to reset those that nothing names any more and that are still as they were written.
    type: bool
    default: false
  table_memory:
    description: By database, what to keep in mind instead, as an earlier run returned it.
    type: dict
    default: {}
  deferred:
    description: Names in the diff that O(verify) is to pass over, as the run before it returned them.
    type: list
    elements: str
    default: []
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
    description: Names database and object, with the values before and after, and why a rule chose a table.
author:
  - Retune maintainers (@leadgen)
"""

EXAMPLES = r"""
- name: Create pg_stat_statements, vacuum large tables sooner, and create an index
  leadgen.tuning.postgres_databases:
    connection: {host: db.example.com, user: postgres}
    databases: [leadgen]
    extensions: [pg_stat_statements]
    table_settings:
      leadgen:
        public.sessions: {autovacuum_vacuum_scale_factor: 0.01, toast.autovacuum_enabled: true}
    table_rules:
      - name: large
        rows: 1000000
        settings: {autovacuum_vacuum_scale_factor: 0.02, autovacuum_analyze_scale_factor: 0.01}
    indexes:
      leadgen:
        events_lead_id_idx: {table: public.events, columns: [lead_id, created_at desc]}
"""

RETURN = r"""
diff:
  description: A key for each thing that differs.
  returned: always
  type: dict
  sample:
    before:
      leadgen.pg_stat_statements: absent
      "leadgen.public.events: autovacuum_vacuum_scale_factor": unset
      "leadgen.public.events_lead_id_idx (index)": absent
    after:
      leadgen.pg_stat_statements: "1.10"
      "leadgen.public.events: autovacuum_vacuum_scale_factor": "0.02 (rule large: 1,200,000 rows of 1,000,000)"
      "leadgen.public.events_lead_id_idx (index)": on public.events (lead_id, created_at desc)
needs:
  description: Always empty; nothing here waits for a reload or a restart.
  returned: always
  type: dict
owners:
  description: The control that owns each name in the diff.
  returned: always
  type: dict
deferred:
  description: Names in the diff that are left for the next run, since their lock could not be had.
  returned: always
  type: list
  elements: str
previous:
  description: What was there, as the options C(table_settings) and C(table_memory) take it.
  returned: always
  type: dict
"""

from ansible_collections.leadgen.tuning.plugins.module_utils._module import run_module
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_databases import ARGUMENT_SPEC, reconcile


def main() -> None:
    """Run the module."""
    run_module(ARGUMENT_SPEC, reconcile)


if __name__ == "__main__":
    main()
