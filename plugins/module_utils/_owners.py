# SPDX-License-Identifier: GPL-3.0-or-later
"""Which control of the guide owns a setting, by its name.

All settings of a service are brought about by one call: one connection, one check of everything before anything is
written, one reload. The owners keep the controls apart in what it reports, and in what ``--tags`` selects.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError


def owner_arguments() -> dict[str, Any]:
    """The argument spec of the options ``controls`` and ``only``."""
    return {"controls": {"type": "dict", "default": {}}, "only": {"type": "list", "elements": "str"}}


def owner_of(name: str, controls: Mapping[str, Iterable[str]]) -> str | None:
    """The first control that has a pattern which matches the name, whatever its case; None when none has."""
    for control, patterns in controls.items():
        if any(fnmatchcase(name.lower(), pattern.lower()) for pattern in patterns):
            return control
    return None


def select(options: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of the controls in ``only``; all settings where that is not given.

    :raises TuningError: when a name is there twice, in different cases.
    """
    seen: dict[str, str] = {}
    for name in map(str, options["settings"]):
        other = seen.setdefault(name.lower(), name)
        if other != name:
            raise TuningError(f"the settings name {other} and {name}, which are one parameter; take one of them out")
    return {
        str(name): value
        for name, value in options["settings"].items()
        if options["only"] is None or owner_of(str(name), options["controls"]) in options["only"]
    }


def owners(names: Iterable[str], controls: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """The owner of each name that has one."""
    found = {name: owner_of(name, controls) for name in names}
    return {name: owner for name, owner in found.items() if owner is not None}
