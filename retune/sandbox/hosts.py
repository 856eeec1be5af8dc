# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory of the sandbox: hosts.yml."""

from collections.abc import Iterable
from pathlib import Path

import yaml

from . import files
from .processes import SandboxError
from .service import Service

HEADER = "# Written by `retune sandbox up`, removed by `retune sandbox down`.\n"


def write(path: Path, services: Iterable[Service]) -> None:
    """Describes these services; replaces only a file of its own."""
    check(path)
    children = {each.name: {"hosts": {f"sandbox-{each.name}": each.host_variables()}} for each in services}
    text = yaml.safe_dump({"all": {"children": children}}, sort_keys=False, width=1000)
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write(path, f"{HEADER}---\n{text}")


def check(path: Path) -> None:
    if path.exists() and not _is_ours(path):
        raise SandboxError(f"{path} was not written by 'retune sandbox up': move it away")


def remove(path: Path) -> None:
    if path.exists() and _is_ours(path):
        path.unlink()


def _is_ours(path: Path) -> bool:
    return path.read_text(encoding="utf-8").startswith(HEADER)
