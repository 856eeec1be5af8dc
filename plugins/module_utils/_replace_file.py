# SPDX-License-Identifier: GPL-3.0-or-later
"""A file that is replaced at once, in a folder that may belong to a user who is less trusted than this run's."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

_MADE_BY_MKSTEMP = re.compile(r"\.[a-z0-9_]{8}$")


def replace_file(path: Path, text: str) -> None:
    """Give the file another text; owner and mode stay, and the old file stands until the new one is whole.

    :raises OSError: when it cannot be written; it is as it was then.
    """
    about = path.lstat()
    _put(path, text, about.st_uid, about.st_gid, about.st_mode & 0o7777)


def new_file(path: Path, text: str, uid: int, gid: int) -> None:
    """Make a file that its owner alone may read, whole or not at all; the owner is this run's user unless that is root.

    :raises OSError: when it cannot be written.
    """
    _put(path, text, uid, gid, 0o600)


def remove_leftovers(path: Path) -> None:
    """Remove what runs that were killed had begun to write for the file."""
    for left in path.parent.glob(f".{path.name}.*"):
        if _MADE_BY_MKSTEMP.search(left.name):
            left.unlink(missing_ok=True)


def _put(path: Path, text: str, uid: int, gid: int, mode: int) -> None:
    # A new file under a name that nobody could have made a link of before.
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            if os.geteuid() == 0:
                os.fchown(descriptor, uid, gid)
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        os.replace(name, path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
