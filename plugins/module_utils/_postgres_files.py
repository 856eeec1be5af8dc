# SPDX-License-Identifier: GPL-3.0-or-later
"""What the configuration files of a server say, as pg_file_settings shows it. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils._settings import Configured

Rows = Sequence[Mapping[str, Any]]

# The columns that these functions take, in reading order.
SELECT_FILES = "select sourcefile, sourceline, name, setting, error from pg_file_settings order by seqno"
_AUTO_FILE = "/postgresql.auto.conf"
_MAIN_FILE = "/postgresql.conf"
# What the view says of a value that only waits for a restart, among other things.
_NOT_APPLIED = "setting could not be applied"


@dataclass(frozen=True)
class Origin:
    """The line that has the last word on a parameter, but for ALTER SYSTEM's own file."""

    path: str
    line: int
    text: str
    main: bool = False  # whether it is in the server's main file, which initdb fills with lines of its own

    def __str__(self) -> str:
        """The place, as it is said in a message."""
        return f"{self.path} line {self.line}"


def configured_by(files: Rows) -> dict[str, Configured]:
    """Fold the rows to one entry a parameter, by lower-case name: the last one wins."""
    found: dict[str, Configured] = {}
    for row in files:
        if row["name"] is None:
            continue
        before = found.get(row["name"].lower(), Configured())
        if row["sourcefile"].endswith(_AUTO_FILE):
            entry = Configured(row["setting"], row["setting"], before.manual)
        else:
            entry = Configured(row["setting"], before.automatic, row["setting"])
        found[row["name"].lower()] = entry
    return found


def origins_of(files: Rows, directory: str | None, main_file: str | None) -> dict[str, Origin]:
    """By lower-case name the origin of each parameter; a path inside ``directory`` is shown from there.

    ``main_file`` is the parameter config_file. Both are None where the role may not read them.
    """
    found = {}
    for row in files:
        path = row["sourcefile"]
        if row["name"] is not None and path and not path.endswith(_AUTO_FILE):
            main = path == main_file if main_file else path.endswith(_MAIN_FILE)
            shown = path.removeprefix(f"{directory.rstrip('/')}/") if directory else path
            found[row["name"].lower()] = Origin(shown, row["sourceline"], row["setting"], main)
    return found


def broken_in(files: Rows) -> list[str]:
    """Lines with an error that keeps the server from loading its files; a value that awaits a restart is not one."""
    return [
        f"{row['sourcefile']} line {row['sourceline']}: {row['error']}"
        for row in files
        # A row without a file is about a parameter that was taken out of the files and waits for a restart to go.
        if row["error"] and row["error"] != _NOT_APPLIED and row["sourcefile"]
    ]
