# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections to PostgreSQL: their options, once, and their errors in one sentence."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_certificate import why_not_trusted
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_refusals import reason_of, remedy_for

try:
    import psycopg
    from psycopg.rows import dict_row
except ImportError as error:  # reported by connect(), where there is a caller to tell
    PSYCOPG_MISSING: ImportError | None = error
else:
    PSYCOPG_MISSING = None

# The server version that GRANT ... ON PARAMETER came with.
PARAMETER_PRIVILEGES_SINCE = 150000
# Names and meanings are libpq's (PostgreSQL documentation, "Parameter Key Words").
CONNECTION_OPTIONS: dict[str, Any] = {
    "host": {"type": "str"},
    "port": {"type": "int", "default": 5432},
    "user": {"type": "str", "default": "postgres"},
    "password": {"type": "str", "no_log": True},
    "dbname": {"type": "str", "default": "postgres"},
    "passfile": {"type": "path", "no_log": False},
    "sslmode": {
        "type": "str",
        "choices": ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"],
        "default": "prefer",
    },
    "sslrootcert": {"type": "path"},
    "sslcert": {"type": "path"},
    "sslkey": {"type": "path", "no_log": False},
    "connect_timeout": {"type": "int", "default": 10},
}
# Variables of libpq's that lead a connection elsewhere, or through another session, than the inventory says: PGHOSTADDR and
# PGSERVICE do so although the host is given.
_MISLEADING = ("PGHOST", "PGHOSTADDR", "PGLOADBALANCEHOSTS", "PGSERVICE", "PGSERVICEFILE", "PGTARGETSESSIONATTRS")


def connection_argument() -> dict[str, Any]:
    """The argument spec of the option ``connection``."""
    return {"connection": {"type": "dict", "required": True, "options": CONNECTION_OPTIONS}}


def endpoint(connection: Mapping[str, Any]) -> str:
    """Where a connection leads, for messages: host:port, or the local socket."""
    return f"{connection.get('host') or 'the local socket'}:{connection.get('port') or 5432}"


def is_standby(connection: psycopg.Connection[Any]) -> bool:
    """Whether the server is in recovery, which it tells every client at the start (in_hot_standby, PostgreSQL 14)."""
    return connection.info.parameter_status("in_hot_standby") == "on"


def one_row(cursor: psycopg.Cursor[dict[str, Any]]) -> dict[str, Any]:
    """The one row of a query that always has one."""
    row = cursor.fetchone()
    if row is None:
        raise TuningError("PostgreSQL answered without a row; run again")
    return row


def one_line(error: BaseException) -> str:
    """The text of an error on one line, without its traceback or its hints' line breaks."""
    return " ".join(str(error).split()) or type(error).__name__


@contextmanager
def connect(connection: Mapping[str, Any], dbname: str | None = None) -> Iterator[psycopg.Connection[dict[str, Any]]]:
    """Open one autocommitting connection whose rows are dictionaries.

    :raises TuningError: when psycopg is missing, the server cannot be reached, or it goes away in the middle.
    """
    if PSYCOPG_MISSING is not None:
        raise TuningError(
            f"psycopg is missing for {sys.executable} ({one_line(PSYCOPG_MISSING)}); "
            "install the Debian package python3-psycopg, or psycopg[binary] from PyPI"
        )
    options = {name: connection[name] for name in CONNECTION_OPTIONS if connection.get(name) is not None}
    if dbname:
        options["dbname"] = dbname
    try:
        with _without_misleading_environment(options):
            opened: psycopg.Connection[dict[str, Any]] = psycopg.connect(
                **options, autocommit=True, application_name="leadgen.tuning", row_factory=dict_row
            )
    except psycopg.Error as error:
        reason = reason_of(str(error))
        if "certificate verify failed" in reason:
            reason = f"{reason} ({why_not_trusted(options) or 'it does not say why'})"
        raise TuningError(
            f"postgres_connection: cannot connect to PostgreSQL at {endpoint(options)}, database {options['dbname']}, "
            f"as {options['user']}: {reason}; {remedy_for(reason, options, _faults(options))}"
        ) from error
    with opened:
        try:
            yield opened
        except psycopg.Error as error:
            if opened.broken:
                raise TuningError(
                    f"postgres_connection: PostgreSQL at {endpoint(options)} ended the connection: {one_line(error)}; "
                    "run again when it is back, and what is left will be done"
                ) from error
            raise TuningError(
                f"PostgreSQL at {endpoint(options)}, database {options['dbname']}: {one_line(error)}"
            ) from error


@contextmanager
def _without_misleading_environment(options: Mapping[str, Any]) -> Iterator[None]:
    """Have the environment fill in a password or a certificate where none is given, and nothing else."""
    names = (*_MISLEADING, "PGPASSWORD") if options.get("passfile") else _MISLEADING
    taken = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(taken)


def _faults(options: Mapping[str, Any]) -> dict[str, str]:
    """By option what keeps libpq from using its file, which it passes over in silence."""
    found = {}
    for name in {"passfile", "sslcert"} & options.keys():
        path = Path(options[name])
        try:
            about = path.stat()
        except OSError as error:
            found[name] = f"cannot be read ({error.strerror})"
            continue
        if name == "passfile" and about.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            found[name] = "is passed over since others may read it; set its mode to 0600"
        elif not os.access(path, os.R_OK):
            found[name] = "cannot be read (Permission denied)"
    return found
