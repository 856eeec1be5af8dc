# SPDX-License-Identifier: GPL-3.0-or-later
"""tests/prisma/exercise.mjs, an application on Prisma, as its operating system would run it."""

from __future__ import annotations

import functools
import json
import subprocess
from pathlib import Path
from typing import Any

from tests.integration.conftest import PROJECT

VERSIONS = (6, 7)

# As the models in tests/prisma/*/schema.prisma have them: what `prisma migrate` would make.
TABLES = """
create table leads (
    id serial primary key,
    run text not null,
    email text not null unique,
    status text not null default 'new',
    score integer not null default 0
);
create table events (
    id serial primary key,
    lead_id integer not null references leads (id) on delete restrict on update cascade,
    kind text not null
);
"""


class ExerciseError(Exception):
    """The application ended with an error, which it names."""


@functools.cache
def packages() -> Path:
    """The folder with both versions; the first time on a machine, it is made, which takes a minute or more."""
    made = subprocess.run([PROJECT / "tools" / "prisma.sh"], capture_output=True, text=True, timeout=900, check=False)
    assert made.returncode == 0, made.stderr
    return Path(made.stdout.strip())


def exercise(version: int, url: str, *, timeout: float = 90, **env: str) -> dict[str, Any]:
    """Run the application on this version of Prisma against the database at that address, and return what it counted.

    ``env`` is what exercise.mjs reads from the environment, which holds nothing else: no PGUSER of this machine's.
    """
    folder = packages() / str(version)
    ended = subprocess.run(
        [folder / "node", PROJECT / "tests" / "prisma" / "exercise.mjs"],
        cwd=folder,
        env={"DATABASE_URL": url, **env},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if ended.returncode != 0:
        raise ExerciseError(ended.stderr.strip())
    counts: dict[str, Any] = json.loads(ended.stdout)
    return counts
