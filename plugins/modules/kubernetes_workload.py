#!/usr/bin/python
# Copyright: (c) 2026, Retune maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tune Kubernetes workloads by server-side apply."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kubernetes_workload
short_description: Tune Kubernetes workloads by server-side apply
version_added: 0.1.0
description:
  - Brings Deployments, StatefulSets, DaemonSets and Argo Rollouts to what is wished of them, with the smallest server-side
    apply under the field manager C(leadgen-tuning), and their HorizontalPodAutoscalers and PodDisruptionBudgets with them.
  - What differs is found by comparing the live object. Only then is the server asked, by a dry run, what the apply would
    change; that is the plan. Where nothing differs nothing is sent, so no C(resourceVersion) changes.
  - Every dry run of every workload, and what LimitRanges and ResourceQuotas would say of its pods, comes before the first
    change. Then one workload after another is applied and waited for. One whose rollout fails gets its former fields back.
  - A field that another manager has set to another value is left alone, and the manager is named, unless
    O(workloads[].take) names the field. A field that is as wished and another's stays the other's.
extends_documentation_fragment:
  - leadgen.tuning.kubernetes
options:
  workloads:
    description: What is wished of each workload. Only what is named here is ever changed.
    type: list
    elements: dict
    default: []
    suboptions:
      kind:
        description: Kind of the workload; V(Rollout) is that of Argo Rollouts.
        type: str
        choices: [Deployment, StatefulSet, DaemonSet, Rollout]
        default: Deployment
      namespace:
        description: Its namespace.
        type: str
        required: true
      name:
        description: Its name.
        type: str
        required: true
      node_containers:
        description: The containers that run Node.js, native sidecars among them.
        type: list
        elements: str
        default: []
      heap_percent:
        description:
          - The share of each Node container's memory limit that its old space may take, as C(--max-old-space-size) in MiB,
            merged into C(NODE_OPTIONS). What comes from a ConfigMap or a Secret is reported instead.
        type: int
        default: 75
      heap_snapshots:
        description: Let a signal write a heap snapshot, into a volume of its own unless one is mounted at that directory.
        type: dict
        suboptions:
          signal:
            description: The signal.
            type: str
            default: SIGUSR2
          directory:
            description: The directory in the container.
            type: str
            default: /var/diagnostics
          size_limit:
            description: Size of the volume, no smaller than the container's memory.
            type: str
            default: 2Gi
      event_loop_monitor:
        description: Load the monitor of O(monitor_script) into each Node container, on a port of its own from this on.
        type: dict
        suboptions:
          port:
            description: The first container's port.
            type: int
            default: 9465
      resources:
        description: By container, C(cpu) and C(memory), each of them the request and the limit.
        type: dict
        default: {}
      pod_resources:
        description: The same of the pod as a whole; takes Kubernetes 1.34.
        type: dict
      guaranteed_qos:
        description:
          - Whether the requests of each container, of init containers and sidecars too, are to be its limits. The pods'
            own C(status.qosClass) proves it after the rollout.
        type: bool
        default: false
      readiness_probes:
        description:
          - By container, C(path) and C(port) of a light endpoint, and C(scheme), C(initial_delay_seconds),
            C(period_seconds), C(timeout_seconds), C(success_threshold) and C(failure_threshold).
        type: dict
        default: {}
      environment:
        description: By container, variables and their values, such as the size of a pool. No secrets, and no NODE_OPTIONS.
        type: dict
        default: {}
      keep_alive:
        description:
          - The same for the variables by which the application is told how long it keeps idle connections, which has to be
            longer than the ingress does.
        type: dict
        default: {}
      secrets:
        description:
          - By Secret, keys and their values, such as a C(DATABASE_URL) with its C(connection_limit). They are never shown.
            Another value makes the pods anew, by an annotation of theirs.
          - A Secret that an ExternalSecret or a SealedSecret writes is left to it, and a warning says what it has to hold.
        type: dict
        default: {}
      connection_pool:
        description:
          - Each pod's share of so many connections, counted over the most pods that there can be, those of the autoscaler's
            maximum and of a rollout; at least 1, with a warning where that is more than there are.
        type: dict
        suboptions:
          connections:
            description: What all pods of the workload may hold together.
            type: int
            required: true
          pool_timeout:
            description: Seconds that a query waits for a connection.
            type: int
            default: 10
          containers:
            description: Those that get it as variables, for a driver adapter of Prisma 7.
            type: list
            elements: str
            default: []
          prefix:
            description: The beginning of the variables' names, before C(MAX) and C(TIMEOUT_MS).
            type: str
            default: DATABASE_POOL_
          secret:
            description: The Secret with the URL that gets it as parameters, for Prisma 6 and before.
            type: str
          key:
            description: The key of the URL in that Secret.
            type: str
            default: DATABASE_URL
      autoscaling:
        description:
          - The HorizontalPodAutoscaler. One that scales the workload already is changed, whatever its name, and keeps its
            metrics of other kinds.
        type: dict
        suboptions:
          name:
            description: Name of one that is made; the workload's where left out.
            type: str
          min_replicas:
            description: The fewest pods.
            type: int
            required: true
          max_replicas:
            description: The most pods.
            type: int
            required: true
          cpu_percent:
            description: The target, of the pods' requests; at most 72, since 80 would act above 88 only.
            type: int
            default: 70
          behavior:
            description: C(scaleUp) and C(scaleDown) as the autoscaler has them, in the place of this module's own.
            type: dict
      disruption_budget:
        description: The PodDisruptionBudget. One that selects the pods already is changed, whatever its name.
        type: dict
        suboptions:
          name:
            description: Name of one that is made; the workload's where left out.
            type: str
          max_unavailable:
            description: Pods, or a percentage. V(1) where neither is given.
            type: raw
          min_available:
            description: Pods, or a percentage.
            type: raw
      take:
        description:
          - Patterns of fields that are taken from their present managers, in the plan's own spelling, such as
            V(containers.*.resources.*).
        type: list
        elements: str
        default: []
  defaults:
    description: Options that hold for the workloads that do not give them.
    type: dict
    default: {}
  monitor_script:
    description: The text of the event-loop monitor's file.
    type: str
    default: ""
  only:
    description: Only what these controls ask for is looked at. Left out, the action plugin takes those that C(--tags) names.
    type: list
    elements: str
  render_directory:
    description:
      - For GitOps, a folder that gets what is asked for as a Kustomize component, with patches of what is there and objects
        that are not; the cluster is only read then. Secrets are left out.
    type: path
    default: ""
  rollout_timeout:
    description: Seconds that each rollout may take.
    type: float
    default: 600.0
  verify:
    description: Fail when something differs, and change nothing.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description: Reports exactly what a run would change, by the server's own dry run, and changes nothing.
  diff_mode:
    support: full
    description: Holds only what differs, by object and field, without what the server fills in by default.
author:
  - Retune maintainers (@leadgen)
"""

EXAMPLES = r"""
- name: Tune the API of the leads
  leadgen.tuning.kubernetes_workload:
    connection: {kubeconfig: /etc/retune/kubeconfig, context: staging}
    workloads:
      - namespace: leads
        name: lead-api
        node_containers: [api]
        guaranteed_qos: true
        resources: {api: {cpu: 500m, memory: 512Mi}}
        readiness_probes: {api: {path: /ready, port: 3000}}
        autoscaling: {min_replicas: 3, max_replicas: 12}
        disruption_budget: {max_unavailable: 1}
"""

RETURN = r"""
diff:
  description: What differs and nothing else, by object and field.
  returned: always
  type: dict
  sample:
    before: {leads/Deployment/lead-api containers.api.resources.requests.cpu: 100m}
    after: {leads/Deployment/lead-api containers.api.resources.requests.cpu: 500m}
owners:
  description: The control that asks for each field that is reported.
  returned: success
  type: dict
most_pods:
  description: By workload, how many pods there can be at most, those of a rollout included; for the formula of the pools.
  returned: success
  type: dict
  sample: {leads/Deployment/lead-api: 15}
"""

from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_workload import ARGUMENT_SPEC, reconcile
from ansible_collections.leadgen.tuning.plugins.module_utils._module import run_module


def main() -> None:
    """Run the module."""
    run_module(ARGUMENT_SPEC, reconcile)


if __name__ == "__main__":
    main()
