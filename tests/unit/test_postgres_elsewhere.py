# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose value a change goes before, and which session defaults hide it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_elsewhere import hidden, overridden
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_files import Origin, origins_of
from ansible_collections.leadgen.tuning.plugins.module_utils._settings import Configured, Decision, Parameter, decide

MEMORY = Parameter("work_mem", "integer", "user", "4096", "kB", "64", "2147483647", default="4096")
DATA = "/var/lib/db"


def decision(wanted: Any, configured: str | None = None) -> Decision:
    return decide(MEMORY, Configured(effective=configured, manual=configured), wanted)


def row(path: str, line: int, name: str | None = "Work_Mem") -> dict[str, Any]:
    return {"sourcefile": path, "sourceline": line, "name": name, "setting": "64MB", "error": None}


@pytest.mark.parametrize(
    ("path", "directory", "main_file", "shown", "main"),
    [
        (f"{DATA}/conf.d/a.conf", DATA, f"{DATA}/postgresql.conf", "conf.d/a.conf", False),
        (f"{DATA}/conf.d/a.conf", f"{DATA}/", f"{DATA}/postgresql.conf", "conf.d/a.conf", False),
        (f"{DATA}/postgresql.conf", DATA, f"{DATA}/postgresql.conf", "postgresql.conf", True),
        ("/etc/db/main.conf", DATA, "/etc/db/main.conf", "/etc/db/main.conf", True),
        (f"{DATA}-2/a.conf", DATA, None, f"{DATA}-2/a.conf", False),
        # A role that may not read where the files are.
        (f"{DATA}/postgresql.conf", None, None, f"{DATA}/postgresql.conf", True),
    ],
)
def test_the_last_line_that_is_not_alter_systems_is_the_origin(
    path: str, directory: str | None, main_file: str | None, shown: str, main: bool
) -> None:
    files = [row("/first.conf", 1), row(path, 3), row(path, 4, None), row(f"{DATA}/postgresql.auto.conf", 2)]
    assert origins_of(files, directory, main_file) == {"work_mem": Origin(shown, 3, "64MB", main)}


@pytest.mark.parametrize(
    ("wanted", "text", "main", "automatic", "said"),
    [
        ("8MB", "65536kB", False, None, "a.conf line 3 sets 64MB; ALTER SYSTEM goes before it"),
        ("8MB", "64MB", True, None, "a.conf line 3 sets 64MB; ALTER SYSTEM goes before it"),
        ("8MB", "4096", False, None, "a.conf line 3 sets 4MB; ALTER SYSTEM goes before it"),
        ("8MB", "much", False, None, "a.conf line 3 sets much; ALTER SYSTEM goes before it"),
        ("8MB", "4096kB", True, None, None),  # initdb's own
        ("8MB", "8192kB", False, None, None),  # nothing changes
        ("8MB", "64MB", False, "16MB", None),  # ALTER SYSTEM goes before it already
        (None, "64MB", False, "16MB", None),  # and no longer
    ],
)
def test_an_owner_is_named_once(wanted: Any, text: str, main: bool, automatic: str | None, said: str | None) -> None:
    assert overridden(decision(wanted, text), MEMORY, automatic, Origin("a.conf", 3, text, main)) == said
    assert overridden(decision(wanted, text), MEMORY, automatic, None) is None


@pytest.mark.parametrize(
    ("where", "text", "said"),
    [
        (("app", ""), "65536", ["sessions of the role app have 64MB by a default of their own"]),
        (("", "leadgen"), "64MB", ["sessions of the database leadgen have 64MB by a default of their own"]),
        (("app", "leadgen"), "1GB", ["sessions of the role app in the database leadgen have 1GB by a default of their own"]),
        (("app", ""), "8192kB", []),
    ],
)
def test_a_default_that_hides_the_value(where: tuple[str, str], text: str, said: list[str]) -> None:
    assert list(hidden(decision("8MB"), MEMORY, {where: {"work_mem": text}}, "tuning")) == said
    assert list(hidden(decision(None), MEMORY, {where: {"work_mem": text}}, "tuning")) == []
