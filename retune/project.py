# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things are: the checkout, its inventories, its performance log."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from retune.errors import RetuneError

_MARK = Path("playbooks/apply.yml")


@dataclass(frozen=True)
class Environment:
    """An environment by name, and the folder of its inventory."""

    name: str
    inventory: Path


def find_project() -> Path:
    """The checkout: the one around the working directory, else the one that this package stands in.

    :raises RetuneError: when neither is a checkout.
    """
    here = Path.cwd()
    for folder in (here, *here.parents, Path(__file__).resolve().parent.parent):
        if (folder / _MARK).is_file() and (folder / "galaxy.yml").is_file():
            return folder
    raise RetuneError(f"no {_MARK} here or above; change to a checkout of leadgen.tuning")


def find_environment(project: Path, given: str) -> Environment:
    """An environment by the name of its folder in inventories/, or by the path of an inventory folder.

    :raises RetuneError: when there is none, naming those there are.
    """
    folder = Path(given).resolve() if os.sep in given else project / "inventories" / given
    if not folder.is_dir():
        known = ", ".join(sorted(path.name for path in (project / "inventories").iterdir() if path.is_dir()))
        raise RetuneError(f"there is no inventory for {given!r}; there is: {known}")
    if not (folder / "hosts.yml").is_file():
        remedy = "run `retune sandbox up` first" if folder.name == "sandbox" else "write the environment's hosts there"
        raise RetuneError(f"{folder / 'hosts.yml'} is missing; {remedy}")
    return Environment(folder.name, folder)


def log_directory(project: Path) -> Path:
    """Where the performance log is: ``RETUNE_LOG_DIRECTORY``, else ``performance-log`` in the checkout."""
    return Path(os.environ.get("RETUNE_LOG_DIRECTORY") or project / "performance-log")
