#!/usr/bin/python
# Copyright: (c) 2026, Retune maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Audit Kubernetes workloads by their live objects and their pods."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kubernetes_workload_audit
short_description: Audit Kubernetes workloads by their live objects and their pods
version_added: 0.1.0
description:
  - Judges the named workloads - the QoS class that their pods have, probes that open a database or restart what only
    cannot serve, autoscalers that act late or are at their end, budgets that let no node be drained, heaps off their
    limit, and the lag that event-loop monitors tell.
  - A workload is judged by what is wished of it, so that one without O(workloads[].autoscaling) needs no autoscaler. Probes
    are judged of all.
extends_documentation_fragment:
  - leadgen.tuning.kubernetes
  - leadgen.tuning.kubernetes_pods
options:
  scrape:
    description:
      - Whether the event-loop monitors of the pods are asked, through the API server. It takes the right
        to C(get) C(pods/proxy). Without it their verdicts are unknown.
    type: bool
    default: true
  max_event_loop_lag_ms:
    description: The p99 of the event-loop lag, in milliseconds, below which it has to be.
    type: float
    default: 50.0
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
- name: See how the workloads stand
  leadgen.tuning.kubernetes_workload_audit:
    connection: {kubeconfig: /etc/retune/kubeconfig}
    workloads:
      - {namespace: leads, name: lead-api, node_containers: [api], guaranteed_qos: true, event_loop_monitor: {}}
  register: found
"""

RETURN = r"""
audit:
  description:
    - A verdict for each control, with its findings. The figures are the lowest share of pods that are Guaranteed (0 to 1),
      how many probes are wrong, the highest CPU target in percent, the highest share of a heap in its limit (0 to 1), and
      the longest lag in milliseconds.
  returned: success
  type: list
  elements: dict
"""

from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_workload_audit import ARGUMENT_SPEC, look
from ansible_collections.leadgen.tuning.plugins.module_utils._module import run_module


def main() -> None:
    """Run the module."""
    run_module(ARGUMENT_SPEC, look)


if __name__ == "__main__":
    main()
