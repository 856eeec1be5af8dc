# SPDX-License-Identifier: GPL-3.0-or-later
"""The action plugin of the module of the same name."""

from __future__ import annotations

from ansible_collections.leadgen.tuning.plugins.module_utils._https_probe import ARGUMENT_SPEC, probe
from ansible_collections.leadgen.tuning.plugins.plugin_utils._service import ServiceActionModule


class ActionModule(ServiceActionModule):
    """Runs https_probe in the controller's process when the connection is local."""

    argument_spec = ARGUMENT_SPEC
    work = staticmethod(probe)
