# SPDX-License-Identifier: GPL-3.0-or-later
"""One session default: whose it is, its value, and the statement that changes it (ALTER ROLE and ALTER DATABASE)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ansible_collections.leadgen.tuning.plugins.module_utils import _postgres_memory as memory_of
from ansible_collections.leadgen.tuning.plugins.module_utils._settings import Parameter, Value, show, written

try:
    from psycopg import sql
except ImportError:  # connect() says so
    pass

UNSET = "unset"
# The inventory's variables, by whether they are for a role and for a database.
VARIABLES = {
    (True, False): "postgres_role_settings",
    (False, True): "postgres_database_settings",
    (True, True): "postgres_role_in_database_settings",
    (False, False): "postgres_settings",
}

Present = Mapping[tuple[str, str], Mapping[str, str]]  # texts by role and database, each empty where it is for all
# Every default that is set, the columns that present_of() takes.
SELECT_DEFAULTS = (
    "select coalesce(r.rolname, '') as role, coalesce(d.datname, '') as database, entry"
    " from pg_db_role_setting as s left join pg_roles as r on r.oid = s.setrole"
    " left join pg_database as d on d.oid = s.setdatabase, unnest(s.setconfig) as entry"
)


def present_of(rows: Iterable[Mapping[str, str]]) -> Present:
    """The texts in rows of SELECT_DEFAULTS."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for row in rows:
        name, _equals, value = row["entry"].partition("=")
        found.setdefault((row["role"], row["database"]), {})[name.lower()] = value
    return found


@dataclass(frozen=True)
class Target:
    """Whose default: a role's, a database's, or with both a role's in that database; and the inventory's variable."""

    role: str
    database: str
    variable: str

    @property
    def label(self) -> str:
        """As it is shown: leads_app, leadgen (database), leads_app in leadgen."""
        if self.role and self.database:
            return f"{self.role} in {self.database}"
        return self.role or f"{self.database} (database)"

    def key(self, name: str) -> str:
        """The key of its parameter in the memory; the case of a parameter's name says nothing."""
        return f"{self.label}: {name.lower()}"

    def alter(self) -> sql.Composed:
        """The beginning of the statement that changes it."""
        if not self.role:
            return sql.SQL("alter database {}").format(sql.Identifier(self.database))
        role = sql.SQL("alter role {}").format(sql.Identifier(self.role))
        return role if not self.database else role + sql.SQL(" in database {}").format(sql.Identifier(self.database))


@dataclass(frozen=True)
class Change:
    """One default that differs; ``value`` None takes it out, ``present`` is its text now, None where there is none."""

    target: Target
    parameter: Parameter
    value: Value
    present: str | None

    @property
    def name(self) -> str:
        """The key in the diff."""
        return f"{self.target.label}: {self.parameter.name}"

    @property
    def key(self) -> str:
        """The key in the memory."""
        return self.target.key(self.parameter.name)

    @property
    def entry(self) -> str:
        """The entry of the inventory, for messages."""
        return f"{self.target.variable}.{self.target.role or self.target.database}.{self.parameter.name}"

    @property
    def wanted(self) -> str:
        """The value as it is shown."""
        return UNSET if self.value is None else show(self.parameter, self.value)

    @property
    def text(self) -> str | None:
        """The wanted value as memory_of.plain() will read it back; None where it is to be taken out."""
        if isinstance(self.value, tuple):
            return memory_of.plain_list(self.value)
        return None if self.value is None else written(self.parameter, self.value)

    def statement(self) -> sql.Composed:
        """The statement that brings it about."""
        name = sql.Identifier(*self.parameter.name.split("."))
        if self.value is None:
            return self.target.alter() + sql.SQL(" reset {}").format(name)
        elements = (self.value or ("",)) if isinstance(self.value, tuple) else (written(self.parameter, self.value),)
        return self.target.alter() + sql.SQL(" set {} = {}").format(name, sql.SQL(", ").join(map(sql.Literal, elements)))
