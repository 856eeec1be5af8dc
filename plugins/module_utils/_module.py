# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole body of a module whose work is one function of its options and of check mode."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._redis_parameters import SECRETS
from ansible_collections.leadgen.tuning.plugins.module_utils._settings import SECRET_PARAMETERS

Work = Callable[[Mapping[str, Any], bool], dict[str, Any]]


def run_module(argument_spec: dict[str, Any], work: Work) -> None:
    """Run ``work(options, check_mode)`` on the managed host and exit with its result."""
    # A setting can be a password: no_log keeps the options out of the host's journal.
    module = AnsibleModule(argument_spec=argument_spec, supports_check_mode=True, no_log=True)
    module.no_log_values.update(secret_values(module.params.get("settings") or {}))
    try:
        result = work(module.params, module.check_mode)
    except TuningError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


def secret_values(settings: Mapping[str, Any]) -> set[str]:
    """The values of settings that can hold a password, which a result shows with its options."""
    return {str(value) for name, value in settings.items() if str(name).lower() in SECRETS | SECRET_PARAMETERS and value}
