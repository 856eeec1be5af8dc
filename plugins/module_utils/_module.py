# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole body of a module whose work is one function of its options and of check mode."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._redis_parameters import SECRETS
from ansible_collections.leadgen.tuning.plugins.module_utils._settings import SECRET_PARAMETERS

_SECRETS = SECRETS | SECRET_PARAMETERS | {"password"}
Work = Callable[[Mapping[str, Any], bool], dict[str, Any]]


def run_module(argument_spec: dict[str, Any], work: Work) -> None:
    """Run ``work(options, check_mode)`` on the managed host and exit with its result."""
    # A setting can be a password: no_log keeps the options out of the host's journal.
    module = AnsibleModule(argument_spec=argument_spec, supports_check_mode=True, no_log=True)
    module.no_log_values.update(secret_values(module.params))
    try:
        result = work(module.params, module.check_mode)
    except TuningError as error:
        module.fail_json(msg=str(error), **error.result)
    module.exit_json(**result)


def secret_values(options: Any) -> set[str]:
    """The values of settings that can hold a password, at any depth, which a result shows with its options."""
    if isinstance(options, list):
        return {secret for element in options for secret in secret_values(element)}
    found: set[str] = set()
    for name, value in options.items() if isinstance(options, Mapping) else ():
        if name == "secrets" and isinstance(value, Mapping):  # of Kubernetes: by Secret and key
            found |= {
                str(secret) for keys in value.values() if isinstance(keys, Mapping) for secret in keys.values() if secret
            }
        found |= {str(value)} if value and str(name).lower() in _SECRETS else secret_values(value)
    return found
