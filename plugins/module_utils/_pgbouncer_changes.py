# SPDX-License-Identifier: GPL-3.0-or-later
"""What a PgBouncer, as it was read, lacks of what is wanted. Nothing is written here.

What is live follows from the file only once it was loaded, and a SET on the console is in no file; so both are compared with
what is wanted, and a RELOAD is due whenever the live values differ.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils import _pgbouncer_ini as ini
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._pgbouncer import Process
from ansible_collections.leadgen.tuning.plugins.module_utils._pgbouncer_dry_start import why_not_readable
from ansible_collections.leadgen.tuning.plugins.module_utils._pgbouncer_values import same, text_of
from ansible_collections.leadgen.tuning.plugins.module_utils._settings import HIDDEN

# The sections of entries, which have parameters, and the names under which SHOW has them.
ENTRIES = ("databases", "users")
# Startup parameters that a client counts on.
_TIMEOUTS = frozenset(
    {
        "statement_timeout",
        "lock_timeout",
        "idle_in_transaction_session_timeout",
        "idle_session_timeout",
        "transaction_timeout",
    }
)
SECRET = "password"  # noqa: S105 - the name of a parameter
# Where SHOW has a parameter of an entry under another name; reserve_pool is called so before 1.24.
_COLUMNS = {
    "databases": {
        "dbname": ("database",),
        "user": ("force_user",),
        "reserve_pool": ("reserve_pool_size", "reserve_pool"),
        "reserve_pool_size": ("reserve_pool_size", "reserve_pool"),
        "max_db_connections": ("max_connections",),
    },
    "users": {},
}
_ANY_DATABASE = "*"


@dataclass
class Pooler:
    """What was read of one PgBouncer, before anything was decided."""

    endpoint: str
    version: tuple[int, int]
    process: Process
    text: str
    in_file: ini.Sections
    config: dict[str, dict[str, Any]]  # SHOW CONFIG by key
    # Rows of SHOW DATABASES and SHOW USERS, by section and name.
    live: dict[str, dict[str, dict[str, Any]]]

    @property
    def file(self) -> Path:
        """Its configuration file."""
        return self.process.file

    def sections(self, text: str) -> ini.Sections:
        """What a file of this text would say, with those that it includes."""
        return ini.read(text, lambda name: self.process.path(name).read_text(encoding="utf-8"))

    def error(self, name: str, reason: object) -> TuningError:
        """An error about one entry of the inventory's dictionaries."""
        return TuningError(f"{name} on {self.endpoint}: {reason}")


@dataclass(frozen=True)
class Change:
    """One value that differs, in the file or live. ``text`` None takes it out of the file."""

    section: str
    entry: str | None  # of a database or a user
    name: str
    before: str
    after: str
    former: str | None
    text: str | None
    write: bool
    reload: bool
    restart: bool

    @property
    def label(self) -> str:
        """As the diff names it."""
        return ".".join(filter(None, (self.section if self.entry else None, self.entry, self.name)))


def changes_of(pooler: Pooler, options: Mapping[str, Any], unwritten: Collection[str]) -> list[Change]:
    """A change for each value of ``settings``, ``databases`` and ``users``, of which those that write or reload differ.

    :param unwritten: names of files that this run would write.
    :raises TuningError: for a wrong name or value.
    """
    return [*_settings(pooler, options["settings"], unwritten), *_of_entries(pooler, options)]


def _settings(pooler: Pooler, settings: Mapping[str, Any], unwritten: Collection[str]) -> Iterator[Change]:
    in_file = pooler.in_file.get(ini.MAIN, {})
    for name, given in settings.items():
        label = f"pgbouncer_settings.{name}"
        if name not in pooler.config or name == "conffile":
            version = ".".join(map(str, pooler.version))
            raise pooler.error(
                label, f"PgBouncer {version} has no such setting; check its spelling, and what came with which version"
            )
        row = pooler.config[name]
        try:
            text = None if given is None else text_of(name, given)
            wanted = (row["default"] or "") if text is None else text
            former = in_file.get(name)
            configured = (row["default"] or "") if former is None else former
            stale = not same(name, row["value"], wanted)
            write = former is not None if text is None else not same(name, configured, wanted)
        except ValueError as error:
            raise pooler.error(label, error) from error
        if name == "ignore_startup_parameters":
            _refuse_to_drop_timeouts(pooler, label, wanted)
        names_file = name.endswith("_file") and wanted and wanted not in unwritten and (write or stale)
        unreadable = names_file and why_not_readable(pooler.process, wanted)
        if unreadable:
            raise pooler.error(label, f"{unreadable}; nothing was changed")
        changeable = row["changeable"] == "yes"
        before = configured if write or not stale else row["value"] or ""
        yield Change(
            ini.MAIN,
            None,
            name,
            before,
            wanted,
            former,
            text,
            write,
            reload=stale and changeable,
            restart=stale and not changeable,
        )


def _refuse_to_drop_timeouts(pooler: Pooler, label: str, wanted: str) -> None:
    dropped = sorted(_TIMEOUTS & {element.strip() for element in wanted.split(",")})
    if dropped:
        raise pooler.error(
            label,
            f"it would drop {', '.join(dropped)} of clients without a word; set it for the role "
            "(postgres_role_settings), and take it out here and from the clients",
        )


def _of_entries(pooler: Pooler, options: Mapping[str, Any]) -> Iterator[Change]:
    for section in ENTRIES:
        for entry, given in options[section].items():
            if not isinstance(given, Mapping):
                raise pooler.error(f"pgbouncer_{section}.{entry}", "has to be a dictionary of its parameters")
            yield from _of_entry(pooler, section, str(entry), given)


def _of_entry(pooler: Pooler, section: str, entry: str, given: Mapping[str, Any]) -> Iterator[Change]:
    label = f"pgbouncer_{section}.{entry}"
    try:
        in_file = ini.read_entry(pooler.in_file.get(section, {}).get(entry, ""))
    except ValueError as error:
        raise pooler.error(label, f"its line in {pooler.file} {error}; mend that first") from error
    row = pooler.live[section].get(entry)
    # A new entry is live after a RELOAD, and so is one that was written and never loaded.
    missing = row is None and entry != _ANY_DATABASE
    if not given and entry not in pooler.in_file.get(section, {}):
        yield Change(section, entry, "", "absent", "present", None, None, write=True, reload=missing, restart=False)
    for name, value in given.items():
        try:
            text = None if value is None else text_of(name, value)
        except ValueError as error:
            raise pooler.error(f"{label}.{name}", error) from error
        former = in_file.get(name)
        write = former is not None if text is None else former is None or not same(name, former, text)
        live = live_value(section, name, row)
        stale = text is not None and (missing or (live is not None and not same(name, live, text)))
        before = (former or "") if write or live is None else live
        shown = [HIDDEN, f"{HIDDEN}, another"] if name == SECRET else [text or "", before]
        yield Change(section, entry, name, shown[1], shown[0], former, text, write, reload=write or stale, restart=False)


def live_value(section: str, name: str, row: Mapping[str, Any] | None) -> str | None:
    """The live value; None where SHOW does not tell it."""
    if row is None or name == SECRET:
        return None
    column = next((column for column in _COLUMNS[section].get(name, (name,)) if column in row), None)
    return None if column is None or row[column] is None else str(row[column])
