# SPDX-License-Identifier: GPL-3.0-or-later
"""The action plugin of the module of the same name."""

from __future__ import annotations

from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_workload_audit import ARGUMENT_SPEC, look
from ansible_collections.leadgen.tuning.plugins.plugin_utils._service import ServiceActionModule


class ActionModule(ServiceActionModule):
    """Runs kubernetes_workload_audit in the controller's process when the connection is local."""

    argument_spec = ARGUMENT_SPEC
    work = staticmethod(look)
