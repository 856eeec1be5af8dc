# SPDX-License-Identifier: GPL-3.0-or-later
"""Every parameter that can be set, in every scope: its present value in another legal spelling is no change.

The spellings are made by type, and the server itself says which of them are legal.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import psycopg
import pytest
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._lists import is_list, split_list
from psycopg import sql

from tests.integration.conftest import Services
from tests.integration.test_postgres_session_defaults import run as run_defaults
from tests.integration.test_postgres_settings import run as run_settings
from tests.integration.test_postgres_settings import traces

Row = dict[str, Any]

MEMORY = {"B": 1, "kB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40}
TIME = {"us": 1, "ms": 10**3, "s": 10**6, "min": 60 * 10**6, "h": 3600 * 10**6, "d": 86400 * 10**6}
WORDS = {"on": ["ON", "true", "True", "yes", "1", "t", True], "off": ["OFF", "false", "no", "0", "f", False]}

# Parameters that ALTER SYSTEM refuses, and those that no role's or database's default can hold.
NOT_IN_FILES = {
    "allow_alter_system": "is not ALTER SYSTEM's to change",
    "config_file": "says where the files are",
    "data_directory": "says where the files are",
    "transaction_deferrable": "is of one transaction",
    "transaction_isolation": "is of one transaction",
    "transaction_read_only": "is of one transaction",
}
NOT_A_DEFAULT = {
    "local_preload_libraries": "empty, it would keep every session from starting",
    "session_preload_libraries": "empty, it would keep every session from starting",
    "transaction_deferrable": "is of one transaction",
}


def present(row: Row) -> str:
    """The server's value, where the view shows another: the session's own, or that a command is not in use."""
    of_the_session = row["source"] in ("client", "session") or row["name"].startswith("tcp_")
    hidden = of_the_session or row["setting"] == "(disabled)"
    return str(row["boot_val"] if hidden else row["setting"])


def spellings(row: Row) -> list[Any]:
    """Other ways to write the row's value."""
    text = present(row)
    if row["vartype"] == "bool":
        return WORDS[text]
    if row["vartype"] == "enum":
        return [text.upper(), text.capitalize(), *WORDS.get(text, [])]
    if row["vartype"] == "integer":
        plain = [int(text), f" {text} ", f"{text}.0", f"{text}e0"]
        return [*plain, *([hex(int(text))] if int(text) >= 0 else []), *in_units(row)]
    if row["vartype"] == "real":
        return [float(text), f"{float(text):.5e}", f"{float(text)}0", f" {text}", *in_units(row)]
    if is_list(row["name"], row["version"]):
        elements = list(split_list(row["name"], text))
        return [elements, ",".join(elements), " , ".join(elements)]
    return [f"{text}"]


def in_units(row: Row) -> Iterator[str]:
    """The value in each unit of its kind in which it has few digits."""
    unit = row["unit"] or ""
    size = unit.lstrip("0123456789")
    table = MEMORY if size in MEMORY else TIME
    if size not in table:
        return
    value = Fraction(present(row)) * int(unit.removesuffix(size) or 1) * table[size]
    for name, factor in table.items():
        number = value / factor
        shown = f"{float(number):.4f}".rstrip("0").rstrip(".")
        if Fraction(shown) == number:
            yield f"{shown}{name}"
            yield f" {shown} {name} "


def written(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value)
    return ("on" if value else "off") if isinstance(value, bool) else str(value)


@pytest.fixture(scope="module")
def rows(services: Services) -> Iterator[list[Row]]:
    """Every parameter that can be set, with its legal spellings; the legality is tried in postgresql.auto.conf."""
    with psycopg.connect(**services.superuser_to("leadgen"), autocommit=True) as connection:
        columns = "name, setting, unit, vartype, context, source, boot_val, current_setting('server_version_num')::int"
        query = f"select {columns} from pg_settings where context <> 'internal' order by name"  # noqa: S608 - a constant
        names = ("name", "setting", "unit", "vartype", "context", "source", "boot_val", "version")
        found = [dict(zip(names, row, strict=True)) for row in connection.execute(query)]
        for row in found:
            row["legal"] = [spelling for spelling in spellings(row) if _takes(connection, row["name"], spelling)]
        connection.execute("alter system reset all")
        connection.execute("select pg_reload_conf()")
    yield found
    services.sql("alter system reset all")
    services.sql("select pg_reload_conf()")


def _takes(connection: psycopg.Connection[Any], name: str, spelling: Any) -> bool:
    statement = sql.SQL("alter system set {} = {}")
    try:
        connection.execute(statement.format(sql.Identifier(*name.split(".")), sql.Literal(written(spelling))))
    except psycopg.Error:
        return False
    return True


def rounds(rows: list[Row]) -> Iterator[dict[str, Any]]:
    """The n-th spelling of every parameter, for each n."""
    for number in range(max(len(row["legal"]) for row in rows)):
        yield {row["name"]: row["legal"][number] for row in rows if number < len(row["legal"])}


def test_spellings_were_found_for_all(rows: list[Row]) -> None:
    without = {row["name"] for row in rows if not row["legal"]}
    assert without == NOT_IN_FILES.keys() & {row["name"] for row in rows}
    assert len(rows) > 300
    assert sum(len(row["legal"]) for row in rows) > 1500


def test_of_the_whole_server(services: Services, rows: list[Row]) -> None:
    before = traces(services)
    wrong = {}
    for wanted in rounds(rows):
        for check in (True, False):
            for name, value, outcome in _changed(services, wanted, check):
                wrong[f"{name} = {value!r}"] = outcome
    assert wrong == {}, wrong
    assert traces(services) == before


def _changed(services: Services, wanted: dict[str, Any], check: bool) -> Iterator[tuple[str, Any, Any]]:
    """The settings that are refused or that would change something: all in one call, and one by one when that tells."""
    for settings in (wanted, *({name: value} for name, value in wanted.items())):
        try:
            result = run_settings(services, settings, check)
        except TuningError as error:
            outcome: Any = str(error)
        else:
            outcome = result["diff"] if result["changed"] or result["pending_restart"] else None
        if settings is wanted and outcome is None:
            return
        if settings is not wanted and outcome is not None:
            yield next(iter(settings)), next(iter(settings.values())), outcome


@pytest.mark.parametrize("scope", ["roles", "databases", "roles_in_databases"])
def test_of_a_session(roles: Services, rows: list[Row], scope: str) -> None:
    mine = [row for row in rows if row["context"] in ("user", "superuser")]
    assert len(mine) > 150

    def run(settings: dict[str, Any], check: bool) -> dict[str, Any]:
        options = {"roles": {"leads_app": settings}, "databases": {"leadgen": settings}}
        options["roles_in_databases"] = {"leadgen": {"leads_app": settings}}
        return run_defaults(roles, check, **{scope: options[scope]})

    refused = {}
    for row in mine:
        try:
            assert len(run({row["name"]: (row["legal"] or [present(row)])[0]}, False)["diff"]["after"]) == 1
        except TuningError as error:
            refused[row["name"]] = str(error)
    assert refused.keys() == NOT_A_DEFAULT.keys(), refused
    mine = [row for row in mine if row["name"] not in refused]
    before = roles.sql("select xmin, * from pg_db_role_setting")
    for wanted in rounds(mine):
        for check in (True, False):
            assert run(wanted, check)["diff"]["after"] == {}
    assert roles.sql("select xmin, * from pg_db_role_setting") == before
