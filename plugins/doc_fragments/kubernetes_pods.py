# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of what looks at the pods of workloads."""

from __future__ import annotations


class ModuleDocFragment:
    """What every module that reads pods documents alike."""

    DOCUMENTATION = r"""
options:
  workloads:
    description: The workloads, with what is wished of them; see M(leadgen.tuning.kubernetes_workload).
    type: list
    elements: dict
    default: []
  defaults:
    description: Options that hold for the workloads that do not give them.
    type: dict
    default: {}
"""
