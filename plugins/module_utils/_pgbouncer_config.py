# SPDX-License-Identifier: GPL-3.0-or-later
"""PgBouncer's configuration: read the file and the live values, decide, write, RELOAD, prove.

What is live follows from the file only once it was loaded, and a SET on the console is in no file; so both are compared with
what is wanted, and a RELOAD is due whenever the live values differ.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils import _pgbouncer_ini as ini
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._pgbouncer import (
    PREVIOUS,
    Process,
    connect,
    connection_argument,
    find_process,
    show,
    version_of,
)
from ansible_collections.leadgen.tuning.plugins.module_utils._pgbouncer_dry_start import (
    reason_not_to_start,
    why_not_readable,
)
from ansible_collections.leadgen.tuning.plugins.module_utils._pgbouncer_preflight import LIMITS_ARGUMENT, check_limits
from ansible_collections.leadgen.tuning.plugins.module_utils._pgbouncer_values import same, text_of
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres import endpoint
from ansible_collections.leadgen.tuning.plugins.module_utils._replace_file import replace_file

try:
    import psycopg
except ImportError:  # connect() says so
    pass

ARGUMENT_SPEC: dict[str, Any] = {
    **connection_argument(),
    "settings": {"type": "dict", "default": {}},
    "databases": {"type": "dict", "default": {}},
    "users": {"type": "dict", "default": {}},
    "limits": LIMITS_ARGUMENT,
    "verify": {"type": "bool", "default": False},
}
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
HIDDEN = "(hidden)"
_SECRET = "password"  # noqa: S105 - the name of a parameter
_ENTRIES = ("databases", "users")
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
    file: Path
    text: str
    in_file: ini.Sections
    config: dict[str, dict[str, Any]]  # SHOW CONFIG by key
    live: dict[str, dict[str, dict[str, Any]]]  # see _live_entries()

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


def reconcile(options: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    """Bring the settings, databases and users about; in check mode say what that would change.

    :raises TuningError: for a wrong name or value, a console that cannot be reached, or a file that PgBouncer would not
        load; the former configuration is still serving then.
    """
    with connect(options["connection"]) as console:
        pooler = _read(console, options["connection"])
        found = [*_settings(pooler, options["settings"]), *_of_entries(pooler, options)]
        changes = [change for change in found if change.write or change.reload]
        if changes and options["verify"]:
            first = changes[0]
            raise pooler.error(
                f"pgbouncer_{first.section}" if first.entry else f"pgbouncer_settings.{first.name}",
                f"verification found {first.before or 'nothing'} where {first.after or 'nothing'} is wanted",
            )
        text = _new_text(pooler, changes)
        if options["limits"]:
            defaults = {name: row["default"] for name, row in pooler.config.items()}
            check_limits(options["limits"], pooler.version, pooler.sections(text), defaults, pooler.process)
        if changes:
            _carry_out(console, pooler, changes, text, check_mode)
    return _result(pooler, changes, [change.label for change in found if change.restart])


def _read(console: psycopg.Connection[dict[str, Any]], where: Mapping[str, Any]) -> Pooler:
    config = {row["key"]: row for row in show(console, "config")}
    process = find_process(config.values(), endpoint(where))
    file = process.file
    try:
        text = file.read_text(encoding="utf-8")
        in_file = ini.read(text, lambda name: process.path(name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise TuningError(
            f"{file} of the PgBouncer at {endpoint(where)} cannot be read: {reason}; mend that first"
        ) from error
    live = _live_entries(console)
    return Pooler(endpoint(where), version_of(console), process, file, text, in_file, config, live)


def _live_entries(console: psycopg.Connection[dict[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    """The rows of SHOW DATABASES and SHOW USERS, by section of the file and name."""
    return {section: {row["name"]: row for row in show(console, section)} for section in _ENTRIES}


def _settings(pooler: Pooler, settings: Mapping[str, Any]) -> Iterator[Change]:
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
        unreadable = name.endswith("_file") and (write or stale) and wanted and why_not_readable(pooler.process, wanted)
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
    for section in _ENTRIES:
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
        live = _live(section, name, row)
        stale = text is not None and (missing or (live is not None and not same(name, live, text)))
        before = (former or "") if write or live is None else live
        shown = [HIDDEN, f"{HIDDEN}, another"] if name == _SECRET else [text or "", before]
        yield Change(section, entry, name, shown[1], shown[0], former, text, write, reload=write or stale, restart=False)


def _live(section: str, name: str, row: Mapping[str, Any] | None) -> str | None:
    """The live value; None where SHOW does not tell it."""
    if row is None or name == _SECRET:
        return None
    column = next((column for column in _COLUMNS[section].get(name, (name,)) if column in row), None)
    return None if column is None or row[column] is None else str(row[column])


def _carry_out(
    console: psycopg.Connection[dict[str, Any]], pooler: Pooler, changes: list[Change], text: str, check_mode: bool
) -> None:
    """Try the new file, put it in place, load it, and prove it; or leave all as it was."""
    reason = reason_not_to_start(pooler.process, text)
    if reason:
        raise pooler.error(
            "pgbouncer_settings", f"PgBouncer would not load its file as planned: {reason}; nothing was changed"
        )
    if check_mode:
        return
    if text != pooler.text:
        _replace(pooler, text)
    try:
        if any(change.reload for change in changes):
            console.execute("reload")
        _prove(console, pooler, changes)
    except (TuningError, psycopg.Error) as error:
        replace_file(pooler.file, pooler.text)
        if not console.broken:
            console.execute("reload")
        raise TuningError(f"{error}; {pooler.file} is as it was, and loaded again") from error


def _new_text(pooler: Pooler, changes: list[Change]) -> str:
    text = pooler.text
    main = {change.name: change.text for change in changes if change.write and change.entry is None}
    text = ini.write(text, ini.MAIN, main) if main else text
    for section in _ENTRIES:
        entries: dict[str, dict[str, Any]] = {}
        for change in changes:
            if change.section == section and change.write and change.entry is not None:
                entry = entries.setdefault(
                    change.entry, ini.read_entry(pooler.in_file.get(section, {}).get(change.entry, ""))
                )
                if change.text is None:
                    entry.pop(change.name, None)
                else:
                    entry[change.name] = change.text
        if entries:
            text = ini.write(text, section, {name: ini.write_entry(entry) for name, entry in entries.items()})
    found = pooler.sections(text)
    for change in changes:
        if change.write and change.entry is None and found.get(ini.MAIN, {}).get(change.name) != change.text:
            raise pooler.error(
                f"pgbouncer_settings.{change.name}", "a file that pgbouncer.ini includes sets it; change it there"
            )
    return text


def _replace(pooler: Pooler, text: str) -> None:
    """Put a new file in place, and keep the old one beside it."""
    old = pooler.file.with_name(f"{pooler.file.name}{PREVIOUS}")
    try:
        old.unlink(missing_ok=True)
        os.link(pooler.file, old, follow_symlinks=False)
        replace_file(pooler.file, text)
    except OSError as error:
        raise TuningError(
            f"{error.filename or pooler.file} of the PgBouncer at {pooler.endpoint} cannot be written: {error.strerror}; "
            "run as the owner of the file and its folder, or as root"
        ) from error


def _prove(console: psycopg.Connection[dict[str, Any]], pooler: Pooler, changes: list[Change]) -> None:
    """Read the live values back: PgBouncer before 1.25 reports a RELOAD that failed as done."""
    config = {row["key"]: row["value"] for row in show(console, "config")}
    live = _live_entries(console)
    for change in changes:
        if not change.reload or change.text is None:
            continue
        value: str | None = config.get(change.name)
        if change.entry is not None:
            value = _live(change.section, change.name, live[change.section].get(change.entry)) if change.name else None
            if value is None:
                continue
        if not same(change.name, value, change.text):
            raise pooler.error(
                change.label, f"after RELOAD it is {value or 'empty'} where {change.after} is wanted; see PgBouncer's log"
            )


def _result(pooler: Pooler, changes: list[Change], pending: list[str]) -> dict[str, Any]:
    previous: dict[str, Any] = {"settings": {}, "databases": {}, "users": {}}
    for change in changes:
        if change.write and change.name != _SECRET:
            place = previous["settings"] if change.entry is None else previous[change.section].setdefault(change.entry, {})
            place[change.name] = change.former
    return {
        "changed": bool(changes),
        "diff": {
            "before": {change.label: change.before for change in changes},
            "after": {change.label: change.after for change in changes},
        },
        "needs": {change.label: "restart" if change.restart else "reload" for change in changes},
        "restart_required": any(change.restart for change in changes),
        "pending_restart": pending,
        "previous": previous,
        "server_version": ".".join(map(str, pooler.version)),
    }
