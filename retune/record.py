# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the records that the callback writes; docs/performance-log.md is the schema."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from retune.errors import RetuneError

SCHEMA = 1


class Row(NamedTuple):
    """One line of a plan."""

    control: str
    host: str
    parameter: str
    now: str
    then: str
    needs: str


class Record:
    """One run."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        if data.get("schema") != SCHEMA:
            raise RetuneError(f"a record of schema {data.get('schema')}, and this version reads {SCHEMA}; upgrade retune")
        self.data = data

    @classmethod
    def parse(cls, text: str, where: str) -> Record:
        """Read one line of JSON.

        :raises RetuneError: when it is not a record.
        """
        try:
            data = json.loads(text)
        except ValueError as error:
            raise RetuneError(f"{where} is not JSON ({error}); it was passed over") from error
        if not isinstance(data, dict):
            raise RetuneError(f"{where} is not a record; it was passed over")
        try:
            return cls(data)
        except RetuneError as error:
            raise RetuneError(f"{where}: {error}") from error

    def rows(self) -> list[Row]:
        """What changed, or in check mode would change, a parameter a row; a task that names none is a row by itself."""
        return [row for decision in self.data["decisions"] if decision["changed"] for row in _rows(decision)]

    def waiting(self) -> dict[str, list[str]]:
        """Parameters that still wait for a restart, by host."""
        waiting: dict[str, set[str]] = {}
        for decision in self.data["decisions"]:
            found = waiting.setdefault(decision["host"], set())
            # A restart comes after the tasks whose parameters wait for it, and so does what puts a parameter back.
            if "restart" in decision["after"]:
                found.clear()
            found.difference_update(decision["after"])
            found.update(decision["pending_restart"])
        return {host: sorted(names) for host, names in waiting.items() if names}

    def warnings(self) -> list[tuple[str, str]]:
        """Host and text of each warning, once."""
        found = [(decision["host"], text) for decision in self.data["decisions"] for text in decision["warnings"]]
        return list(dict.fromkeys(found))

    def effects(self) -> Iterator[tuple[str, str, Any, Any]]:
        """Host, figure, before and after, of each host that was measured."""
        for host, phases in self.data["measurements"].items():
            before, after = phases.get("before", {}), phases.get("after", {})
            for figure in after or before:
                if figure != "window_seconds":
                    yield host, figure, before.get(figure), after.get(figure)

    @property
    def failures(self) -> list[dict[str, Any]]:
        """Controls, host, task and message of each failed task."""
        return list(self.data["failures"])


def _rows(decision: dict[str, Any]) -> list[Row]:
    where = (_controls(decision["controls"]), decision["host"])
    if not decision["after"]:
        return [Row(*where, decision["task"], "", "done", "")]
    before, needs = decision["before"], decision["needs"]
    return [
        Row(*where, name, _text(before.get(name)), _text(after), needs.get(name, ""))
        for name, after in decision["after"].items()
    ]


def _controls(names: list[str]) -> str:
    """One control by its id; several by their area, since they are told apart in the rows beside this one."""
    return names[0] if len(names) == 1 else f"{names[0].split('.')[0]} ({len(names)} controls)"


def _text(value: Any) -> str:
    return value if isinstance(value, str) and value else json.dumps(value if value is not None else "")


def read_log(path: Path) -> tuple[list[Record], list[str]]:
    """All records of an environment, oldest first, and what is wrong with lines that are not one, such as a torn line."""
    if not path.is_file():
        return [], []
    records, problems = [], []
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        if line.strip():
            try:
                records.append(Record.parse(line, f"{path} line {number}"))
            except RetuneError as error:
                problems.append(str(error))
    return records, problems
