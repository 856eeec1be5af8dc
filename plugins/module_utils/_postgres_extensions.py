# SPDX-License-Identifier: GPL-3.0-or-later
"""Extensions in every application database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

# The update path is asked for only where the versions differ, since the server works out every pair of versions for it.
_SELECT_EXTENSIONS = """
    select wanted.name, available.default_version, available.installed_version,
           available.installed_version <> available.default_version and exists (
               select from pg_extension_update_paths(wanted.name) as update
               where update.source = available.installed_version and update.target = available.default_version
               and update.path is not null
           ) as behind
    from unnest(%s::text[]) as wanted(name)
    left join pg_available_extensions as available on available.name = wanted.name
"""


def reconcile(options: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    """Create what is missing of ``extensions`` in each of ``databases``, and update what is behind the server's files.

    An installed version from which no update script leads to the default one, such as a newer one, is left.

    :raises TuningError: when a database or an extension's files are not there, or the role may not create or update it.
    """
    before: dict[str, str] = {}
    after: dict[str, str] = {}
    for database in options["databases"]:
        with connect(options["connection"], database) as connection:
            rows = connection.execute(_SELECT_EXTENSIONS, (options["extensions"],)).fetchall()
            changes = [row for row in rows if row["installed_version"] is None or row["behind"]]
            for row in changes:
                _check_available(row, endpoint(options["connection"]))
                before[f"{database}.{row['name']}"] = row["installed_version"] or _ABSENT
                after[f"{database}.{row['name']}"] = row["default_version"]
            if not check_mode and not options["verify"]:
                _write(connection, database, changes)
    if options["verify"] and after:
        found = ", ".join(f"{name} {version}" for name, version in before.items())
        raise TuningError(f"postgres_extensions on {endpoint(options['connection'])}: verification found {found}")
    return {"changed": bool(after), "diff": {"before": before, "after": after}}


def _check_available(row: Mapping[str, Any], where: str) -> None:
    if row["default_version"] is None:
        raise TuningError(
            f"postgres_extensions on {where}: the files of {row['name']} are not on the server; install its package "
            "(postgresql-contrib has pg_stat_statements)"
        )


def _write(connection: psycopg.Connection[Any], database: str, changes: Sequence[Mapping[str, Any]]) -> None:
    for row in changes:
        if row["behind"]:
            verb, statement = "update", sql.SQL("alter extension {} update")
        else:
            verb, statement = "create", sql.SQL("create extension if not exists {} cascade")
        try:
            connection.execute(statement.format(sql.Identifier(row["name"])))
        except psycopg.errors.InsufficientPrivilege as error:
            raise TuningError(
                f"postgres_databases: the role may not {verb} {row['name']} in {database}: {one_line(error)}; "
                f"connect as a superuser, or have one {verb} it"
            ) from error
        except psycopg.Error as error:
            raise TuningError(
                f"postgres_extensions: cannot {verb} {row['name']} in {database}: {one_line(error)}"
            ) from error
