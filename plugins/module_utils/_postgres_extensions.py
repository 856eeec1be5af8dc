# SPDX-License-Identifier: GPL-3.0-or-later
"""Extensions in every application database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres import (
    connect,
    connection_argument,
    endpoint,
    one_line,
)

try:
    import psycopg
    from psycopg import sql
except ImportError:  # connect() says so
    pass

ARGUMENT_SPEC: dict[str, Any] = {
    **connection_argument(),
    "databases": {"type": "list", "elements": "str", "required": True},
    "extensions": {"type": "list", "elements": "str", "required": True},
    "verify": {"type": "bool", "default": False},
}
_ABSENT = "absent"


def reconcile(options: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    """Create what is missing of ``extensions`` in each of ``databases``; an installed one is left at its version.

    :raises TuningError: when a database or an extension's files are not there, or the role may not create it.
    """
    before: dict[str, str] = {}
    after: dict[str, str] = {}
    for database in options["databases"]:
        with connect(options["connection"], database) as connection:
            rows = connection.execute(
                "select wanted.name, available.default_version, available.installed_version"
                " from unnest(%s::text[]) as wanted(name)"
                " left join pg_available_extensions as available on available.name = wanted.name",
                (options["extensions"],),
            ).fetchall()
            missing = [row for row in rows if row["installed_version"] is None]
            for row in missing:
                _check_available(row, endpoint(options["connection"]))
                before[f"{database}.{row['name']}"] = _ABSENT
                after[f"{database}.{row['name']}"] = row["default_version"]
            if not check_mode and not options["verify"]:
                _create(connection, database, [row["name"] for row in missing])
    if options["verify"] and after:
        raise TuningError(
            f"postgres_extensions on {endpoint(options['connection'])}: verification misses {', '.join(after)}"
        )
    return {"changed": bool(after), "diff": {"before": before, "after": after}}


def _check_available(row: Mapping[str, Any], where: str) -> None:
    if row["default_version"] is None:
        raise TuningError(
            f"postgres_extensions on {where}: the files of {row['name']} are not on the server; install its package "
            "(postgresql-contrib has pg_stat_statements)"
        )


def _create(connection: psycopg.Connection[Any], database: str, names: list[str]) -> None:
    for name in names:
        try:
            connection.execute(sql.SQL("create extension if not exists {} cascade").format(sql.Identifier(name)))
        except psycopg.errors.InsufficientPrivilege as error:
            raise TuningError(
                f"postgres_databases: the role may not create {name} in {database}: {one_line(error)}; "
                "connect as a superuser, or have one create it"
            ) from error
        except psycopg.Error as error:
            raise TuningError(f"postgres_extensions: {name} cannot be created in {database}: {one_line(error)}") from error
