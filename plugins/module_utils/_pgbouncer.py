# SPDX-License-Identifier: GPL-3.0-or-later
"""PgBouncer's admin console, and its process on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils import _postgres
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError

try:
    import psycopg
except ImportError:  # connect() says so
    pass

# libpq's names, with the defaults of the console.
CONNECTION_OPTIONS: dict[str, Any] = {
    **_postgres.CONNECTION_OPTIONS,
    "port": {"type": "int", "default": 6432},
    "user": {"type": "str", "default": "pgbouncer"},
    "dbname": {"type": "str", "default": "pgbouncer"},
}
_PROGRAM = "pgbouncer"
# What the name of its file ends with when a run has replaced it, and the old one is kept.
PREVIOUS = ".previous"


@dataclass(frozen=True)
class Process:
    """PgBouncer's process on this machine, and its file."""

    pid: int
    conffile: str  # as it was named at the start
    program: Path
    folder: Path  # in which it was started
    uid: int
    gid: int
    descriptors: int | None  # soft limit of open files; None for none

    @property
    def file(self) -> Path:
        """Its configuration file."""
        return self.path(self.conffile)

    def path(self, name: str) -> Path:
        """A path of its configuration, as the process sees it."""
        return Path(os.path.normpath(self.folder / name))


def connection_argument() -> dict[str, Any]:
    """The argument spec of the option ``connection``."""
    return {"connection": {"type": "dict", "required": True, "options": CONNECTION_OPTIONS}}


@contextmanager
def connect(connection: Mapping[str, Any]) -> Iterator[psycopg.Connection[dict[str, Any]]]:
    """Open the admin console. It knows the simple protocol alone, so no command may have parameters.

    :raises TuningError: when the console cannot be reached, refuses the user, or goes away.
    """
    console = None
    try:
        with _postgres.connect(connection) as console:
            yield console
    except TuningError as error:
        if console is not None and not console.broken:
            raise  # about what the console was used for
        text = str(error).replace("postgres_connection", "pgbouncer_connection").replace("PostgreSQL", "PgBouncer")
        if "not allowed" in text or "no such user" in text:
            text = f"{text}; the console is for admin_users of pgbouncer.ini"
        raise TuningError(text) from error


def show(console: psycopg.Connection[dict[str, Any]], what: str) -> list[dict[str, Any]]:
    """The rows of a SHOW command."""
    return console.execute(f"show {what}".encode()).fetchall()


def version_of(console: psycopg.Connection[dict[str, Any]]) -> tuple[int, int]:
    """The version, such as (1, 24)."""
    major, minor = show(console, "version")[0]["version"].split()[1].split(".")[:2]
    return int(major), int(minor)


def find_process(config: Iterable[Mapping[str, Any]], where: str) -> Process:
    """The process on this machine that was started with the file which the rows of SHOW CONFIG name.

    :raises TuningError: when there is none: the file of that name here, if any, is another's.
    """
    conffile = next(row["value"] for row in config if row["key"] == "conffile")
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="surrogateescape").split("\0")
            if os.path.basename(words[0]) == _PROGRAM and conffile in words[1:]:
                return _process(entry, conffile)
        except OSError:
            continue  # it has ended, or is not ours to look at
    raise TuningError(
        f"pgbouncer_connection: no process of this machine runs with {conffile}, the file of the PgBouncer at {where}; "
        "manage the host on which it runs (ansible_connection: ssh), as its user or as root"
    )


def _process(entry: Path, conffile: str) -> Process:
    about = entry.stat()
    limit = next(
        line.split()[3] for line in (entry / "limits").read_text().splitlines() if line.startswith("Max open files")
    )
    return Process(
        pid=int(entry.name),
        conffile=conffile,
        program=Path(os.readlink(entry / "exe")),
        folder=Path(os.readlink(entry / "cwd")),
        uid=about.st_uid,
        gid=about.st_gid,
        descriptors=None if limit == "unlimited" else int(limit),
    )
