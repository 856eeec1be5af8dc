# SPDX-License-Identifier: GPL-3.0-or-later
"""What the extensions of one database need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_steps import Step

try:
    from psycopg import sql
except ImportError:  # connect() says so
    pass

_ABSENT = "absent"

# The update path is asked for only where the versions differ, since the server works out every pair of versions for it.
SELECT_EXTENSIONS = """
    select wanted.name, available.default_version, available.installed_version,
           case when available.installed_version <> available.default_version then exists (
               select from pg_extension_update_paths(wanted.name) as update
               where update.source = available.installed_version and update.target = available.default_version
               and update.path is not null
           ) else false end as behind,
           coalesce(
               pg_has_role(installed.extowner, 'USAGE'),
               (select rolsuper from pg_roles where rolname = current_user)
               or has_database_privilege(current_database(), 'CREATE') and exists (
                   select from pg_available_extension_versions as version
                   where version.name = wanted.name and version.version = available.default_version and version.trusted
               )
           ) as allowed
    from unnest(%s::text[]) as wanted(name)
    left join pg_available_extensions as available on available.name = wanted.name
    left join pg_extension as installed on installed.extname = wanted.name
"""


def extension_steps(rows: Sequence[Mapping[str, Any]], database: str, where: str) -> Iterator[Step]:
    """Create what is missing, and update what is behind the server's files.

    An installed version from which no update script leads to the default one, such as a newer one, is left.

    :raises TuningError: when an extension's files are not on the server, or the role may not create or update it.
    """
    for row in rows:
        if row["installed_version"] is not None and not row["behind"]:
            continue
        verb, statement = "create", sql.SQL("create extension if not exists {} cascade")
        if row["behind"]:
            verb, statement = "update", sql.SQL("alter extension {} update")
        _check(row, verb, database, where)
        name = f"{database}.{row['name']}"
        yield Step(
            entry=f"postgres_extensions.{row['name']}",
            before={name: row["installed_version"] or _ABSENT},
            after={name: row["default_version"]},
            statements=[statement.format(sql.Identifier(row["name"]))],
        )


def _check(row: Mapping[str, Any], verb: str, database: str, where: str) -> None:
    if row["default_version"] is None:
        raise TuningError(
            f"postgres_extensions on {where}: the files of {row['name']} are not on the server; install its package "
            "(postgresql-contrib has pg_stat_statements)"
        )
    if not row["allowed"]:
        raise TuningError(
            f"postgres_extensions on {where}: the role may not {verb} {row['name']} in {database}; have a superuser "
            f"{verb} it once (playbooks/grants.yml does), or connect as one"
        )
