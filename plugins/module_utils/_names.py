# SPDX-License-Identifier: GPL-3.0-or-later
"""Which settings of a dictionary a task is for: each control owns some of them, by their names."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any


def name_arguments() -> dict[str, Any]:
    """The argument spec of the options ``names`` and ``except_names``."""
    return {
        "names": {"type": "list", "elements": "str", "default": ["*"]},
        "except_names": {"type": "list", "elements": "str", "default": []},
    }


def select(options: Mapping[str, Any]) -> dict[str, Any]:
    """The settings whose name matches one of ``names`` and none of ``except_names``, whatever its case."""

    def matches(name: str, patterns: list[str]) -> bool:
        return any(fnmatchcase(name.lower(), pattern.lower()) for pattern in patterns)

    return {
        str(name): value
        for name, value in options["settings"].items()
        if matches(str(name), options["names"]) and not matches(str(name), options["except_names"])
    }
