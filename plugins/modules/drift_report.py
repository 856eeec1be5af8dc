#!/usr/bin/python
# Copyright: (c) 2026, Retune maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Publish the drift that the roles found. The work is done by the action plugin."""

from __future__ import annotations

DOCUMENTATION = r"""
module: drift_report
short_description: Publish the drift that the roles found
version_added: 0.1.0
description:
  - Gathers from all hosts of the play what the modules of this collection would change, and publishes it as run
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
- name: Publish the drift
  leadgen.tuning.drift_report:
  run_once: true
  register: drift
"""

RETURN = r"""
drift:
  description: By host, control and parameter what is and what is wanted.
  returned: always
  type: dict
errors:
  description: By host why it could not be compared.
  returned: always
  type: dict
summary:
  description: All of it as one line of text; empty when there is nothing to tell.
  returned: always
  type: str
"""
