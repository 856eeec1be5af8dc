# SPDX-License-Identifier: GPL-3.0-or-later
"""How an audit reads a database: without writing, without waiting for long, and passing over what is not its owner's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError

if TYPE_CHECKING:
    import psycopg

Read = TypeVar("Read")
# Connections at once: most of the time goes by while the server starts a session and plans the queries.
_CONNECTIONS = 4

# A condition on a row of pg_class, with pg_namespace as n: tables of the system, of sessions and of extensions are left out.
USER_RELATION = (
    "n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and {alias}.relpersistence <> 't' and not exists (select from"
    " pg_depend as d where d.classid = 'pg_class'::regclass and d.objid = {alias}.oid and d.deptype = 'e')"
)


def make_readonly(connection: psycopg.Connection[Any]) -> None:
    """See to it that this session writes nothing, and gives up rather than wait behind a lock or run for long."""
    connection.execute(
        "select set_config('default_transaction_read_only', 'on', false), set_config('lock_timeout', '2s', false),"
        " set_config('statement_timeout', '30s', false), set_config('jit', 'off', false)"
    )


def days(age: float) -> str:
    """An age in days as a person says it."""
    return f"{age:.1f} days" if age < 10 else f"{age:.0f} days"  # noqa: PLR2004 - where a tenth is worth telling


def read_each(databases: Sequence[str], read: Callable[[str], Read]) -> Iterator[tuple[str, Read | TuningError]]:
    """Each database in its order with what ``read`` returns of it, or the TuningError that it raises; some at a time."""

    def attempt(database: str) -> Read | TuningError:
        try:
            return read(database)
        except TuningError as error:
            return error

    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        yield from zip(databases, pool.map(attempt, databases), strict=True)
