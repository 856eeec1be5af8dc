#!/usr/bin/python
# Copyright: (c) 2026, Retune maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take the lock of an environment. The work is done by the action plugin."""

from __future__ import annotations

DOCUMENTATION = r"""
module: environment_lock
short_description: Take the lock of an environment
version_added: 0.1.0
description:
  - Takes the lock that keeps two applies of one environment apart, for as long as the playbook runs. A run in check
    mode takes none.
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
- name: Keep other applies out
  leadgen.tuning.environment_lock:
  run_once: true
"""

RETURN = r"""
"""
