# SPDX-License-Identifier: GPL-3.0-or-later
"""Node.js in the versions that applications run on."""

from __future__ import annotations

import functools
import subprocess

import pytest

from tests.integration.conftest import PROJECT

VERSIONS = (20, 22, 24)


@functools.cache
def _made(major: int) -> tuple[str, str]:
    """The program and, where there is none, the reason; the first time on a machine, it may be downloaded."""
    made = subprocess.run(
        [PROJECT / "tools" / "node.sh", str(major)], capture_output=True, text=True, timeout=150, check=False
    )
    return made.stdout.strip(), made.stderr.strip()


def node(major: int) -> str:
    """The program of that version; a test that cannot have it is skipped."""
    program, why = _made(major)
    if not program:
        pytest.skip(why.splitlines()[-1] if why else f"there is no Node.js {major}")
    return program
