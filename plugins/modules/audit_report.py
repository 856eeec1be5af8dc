#!/usr/bin/python
# Copyright: (c) 2026, Retune maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Publish the verdicts of an audit. The work is done by the action plugin."""

from __future__ import annotations

DOCUMENTATION = r"""
module: audit_report
short_description: Publish the verdicts of an audit
version_added: 0.1.0
description:
  - Gathers from all hosts of the play the verdicts of the audit's modules, and publishes them as run
    statistics, which AWX shows as the job's artifacts.
options: {}
attributes:
  action:
    support: full
    description: Runs on the controller.
  check_mode:
    support: full
    description: Changes nothing on the hosts in either mode.
  diff_mode:
    support: none
    description: Nothing is changed.
author:
  - Retune maintainers (@leadgen)
"""

EXAMPLES = r"""
- name: Publish the verdicts
  leadgen.tuning.audit_report:
  run_once: true
  register: verdicts
"""

RETURN = r"""
audited:
  description: By host the verdicts with their findings.
  returned: always
  type: dict
errors:
  description: By host why it could not be audited.
  returned: always
  type: dict
summary:
  description: What is not a pass, as one line of text; empty when all pass.
  returned: always
  type: str
"""
