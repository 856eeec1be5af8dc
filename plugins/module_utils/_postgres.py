# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections to PostgreSQL: their options, once, and their errors in one sentence."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError

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
        opened: psycopg.Connection[dict[str, Any]] = psycopg.connect(
            **options, autocommit=True, application_name="leadgen.tuning", row_factory=dict_row
        )
    except psycopg.Error as error:
        raise TuningError(
            f"postgres_connection: cannot connect to PostgreSQL at {endpoint(options)}, database {options['dbname']}, "
            f"as {options['user']}: {one_line(error)}; check that the server runs and that the values are right"
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
