#!/usr/bin/python
# Copyright: (c) 2026, Retune maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure the pods of Kubernetes workloads over a window."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kubernetes_counters
short_description: Measure the pods of Kubernetes workloads over a window
version_added: 0.1.0
description:
  - Reads how the pods of the named workloads fare, and gives the figures of the time between two readings.
extends_documentation_fragment:
  - leadgen.tuning.kubernetes
  - leadgen.tuning.kubernetes_pods
  - leadgen.tuning.counters
options:
  scrape:
    description:
      - Whether the event-loop monitors of a few pods of each workload are asked, through the API server. It takes the right
        to C(get) C(pods/proxy).
    type: bool
    default: true
author:
  - Retune maintainers (@leadgen)
"""

EXAMPLES = r"""
- name: Read the pods
  leadgen.tuning.kubernetes_counters:
    connection: {kubeconfig: /etc/retune/kubeconfig}
    workloads: [{namespace: leads, name: lead-api}]
  register: first

- name: Measure
  leadgen.tuning.kubernetes_counters:
    connection: {kubeconfig: /etc/retune/kubeconfig}
    workloads: [{namespace: leads, name: lead-api}]
    since: "{{ first.counters }}"
    window: 10
"""

RETURN = r"""
counters:
  description: The reading, for the O(since) of a later run.
  returned: when O(since) is not given
  type: dict
measurements:
  description:
    - Pods, those that are ready and those of the QoS class Guaranteed at the end of the window; restarts of containers and
      kills for want of memory within it; the CPU utilization of the requests that the autoscalers saw last, and the event
      loop's lag, of both the highest. Null where there was nothing to measure.
  returned: when O(since) is given
  type: dict
  sample: {pods: 6, ready_pods: 6, guaranteed_pods: 6, container_restarts: 0, oom_kills: 0, event_loop_lag_p99_ms: 3.1}
phase:
  description: As given.
  returned: when O(since) is given
  type: str
"""

from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_counters import ARGUMENT_SPEC, measure
from ansible_collections.leadgen.tuning.plugins.module_utils._module import run_module


def main() -> None:
    """Run the module."""
    run_module(ARGUMENT_SPEC, measure)


if __name__ == "__main__":
    main()
