# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be told about an environment without talking to its services."""

from __future__ import annotations

import importlib.metadata
import os
import re
import sys
from pathlib import Path
from typing import NamedTuple

from retune.project import find_environment, log_directory

_NEEDED = {
    "ansible-core": ("2.16", "2.22"),
    "ansible-runner": ("2.4", ""),
    "psycopg": ("3.1", ""),
    "redis": ("5", ""),
    "kubernetes": ("31", ""),
}


class Finding(NamedTuple):
    """One line of the report."""

    ok: bool
    text: str


def examine(project: Path, environment: str) -> list[Finding]:
    """Look at this interpreter, the inventory and the log's folder.

    :raises RetuneError: when there is no such environment.
    """
    found = find_environment(project, environment)
    return [
        Finding(sys.version_info >= (3, 11), f"Python {sys.version.split()[0]} at {sys.executable} (3.11 or later)"),
        *(_package(name, low, below) for name, (low, below) in _NEEDED.items()),
        Finding(True, f"inventory {found.inventory}"),
        _log(log_directory(project)),
    ]


def _package(name: str, low: str, below: str) -> Finding:
    wanted = f"{low} or later" + (f", below {below}" if below else "")
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Finding(False, f"{name} is missing ({wanted}); run `make setup`")
    fits = _numbers(version) >= _numbers(low) and (not below or _numbers(version) < _numbers(below))
    return Finding(fits, f"{name} {version} ({wanted})")


def _numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)[:2]]


def _log(folder: Path) -> Finding:
    standing = next(path for path in (folder, *folder.parents) if path.exists())
    if os.access(standing, os.W_OK):
        return Finding(True, f"performance log in {folder}")
    return Finding(
        False, f"the performance log's folder {folder} cannot be written; set RETUNE_LOG_DIRECTORY to one that can"
    )
