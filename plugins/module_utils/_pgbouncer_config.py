# SPDX-License-Identifier: GPL-3.0-or-later
"""PgBouncer's configuration: read the file and the live values, decide, write, RELOAD, prove."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils import _pgbouncer_ini as ini
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._pgbouncer import (
    PREVIOUS,
    connect,
    connection_argument,
    find_process,
    show,
    version_of,
)
from ansible_collections.leadgen.tuning.plugins.module_utils._pgbouncer_changes import (
    ENTRIES,
    SECRET,
    Change,
    Pooler,
    changes_of,
    live_value,
)
from ansible_collections.leadgen.tuning.plugins.module_utils._pgbouncer_dry_start import reason_not_to_start
from ansible_collections.leadgen.tuning.plugins.module_utils._pgbouncer_files import (
    HBA_ARGUMENT,
    NamedFile,
    not_writable,
    remove_files,
    remove_former_files,
    wanted_files,
    write_files,
)
from ansible_collections.leadgen.tuning.plugins.module_utils._pgbouncer_preflight import LIMITS_ARGUMENT, check_limits
from ansible_collections.leadgen.tuning.plugins.module_utils._pgbouncer_values import same
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
    "hba": HBA_ARGUMENT,
    "passwords": {"type": "dict", "no_log": True},
    "limits": LIMITS_ARGUMENT,
    "verify": {"type": "bool", "default": False},
}


@dataclass(frozen=True)
class Plan:
    """What would be done, and what pgbouncer.ini would say then."""

    changes: list[Change]
    files: list[NamedFile]
    text: str


def reconcile(options: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    """Bring the settings, databases and users about; in check mode say what that would change.

    :raises TuningError: for a wrong name or value, a console that cannot be reached, or a file that PgBouncer would not
        load; the former configuration is still serving then.
    """
    with connect(options["connection"]) as console:
        pooler = _read(console, options["connection"])
        files = wanted_files(pooler, options)
        settings = {**options["settings"], **{file.setting: str(file.path) for file in files}}
        found = changes_of(pooler, {**options, "settings": settings}, [str(file.path) for file in files if file.is_new])
        found += [change for file in files for change in file.changes]
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
            _carry_out(console, pooler, Plan(changes, files, text), check_mode)
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
    return Pooler(endpoint(where), version_of(console), process, text, in_file, config, live)


def _live_entries(console: psycopg.Connection[dict[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    """The rows of SHOW DATABASES and SHOW USERS, by section of the file and name."""
    return {section: {row["name"]: row for row in show(console, section)} for section in ENTRIES}


def _carry_out(console: psycopg.Connection[dict[str, Any]], pooler: Pooler, plan: Plan, check_mode: bool) -> None:
    """Try the new file, put it in place, load it, and prove it; or leave all as it was."""
    new_files = {file.setting: file.text for file in plan.files if file.is_new}
    reason = reason_not_to_start(pooler.process, plan.text, pooler.sections(plan.text).get(ini.MAIN, {}), new_files)
    if reason:
        raise pooler.error(
            "pgbouncer_settings", f"PgBouncer would not load its file as planned: {reason}; nothing was changed"
        )
    if pooler.file.is_symlink():
        raise pooler.error(
            "pgbouncer_connection",
            f"{pooler.file} is a link, which a new file would replace; start PgBouncer with the file itself",
        )
    if not os.access(pooler.file.parent, os.W_OK):
        raise not_writable(pooler, PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(pooler.file.parent)))
    if check_mode:
        return
    write_files(pooler, plan.files)
    try:
        if plan.text != pooler.text:
            _replace(pooler, plan.text)
    except TuningError:
        remove_files(plan.files)
        raise
    try:
        if any(change.reload for change in plan.changes):
            console.execute("reload")
        _prove(console, pooler, plan.changes)
    except (TuningError, psycopg.Error) as error:
        raise TuningError(f"{error}; {_put_back(console, pooler, plan.files)}") from error
    remove_former_files(pooler, plan.files, plan.text)


def _put_back(console: psycopg.Connection[dict[str, Any]], pooler: Pooler, files: list[NamedFile]) -> str:
    """Put the former file back and load it; return what came of it."""
    try:
        replace_file(pooler.file, pooler.text)
    except OSError as error:
        kept = pooler.file.with_name(f"{pooler.file.name}{PREVIOUS}")
        return f"and {pooler.file} could not be put back ({error.strerror}): copy {kept} over it, and RELOAD"
    remove_files(files)
    if console.broken:
        return f"{pooler.file} is as it was, and not loaded, since the console is gone"
    console.execute("reload")
    return f"{pooler.file} is as it was, and loaded again"


def _new_text(pooler: Pooler, changes: list[Change]) -> str:
    text = pooler.text
    main = {change.name: change.text for change in changes if change.write and change.entry is None}
    text = ini.write(text, ini.MAIN, main) if main else text
    for section in ENTRIES:
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
        raise not_writable(pooler, error) from error


def _prove(console: psycopg.Connection[dict[str, Any]], pooler: Pooler, changes: list[Change]) -> None:
    """Read the live values back: PgBouncer before 1.25 reports a RELOAD that failed as done."""
    config = {row["key"]: row["value"] for row in show(console, "config")}
    live = _live_entries(console)
    for change in changes:
        if not change.reload or change.text is None:
            continue
        value: str | None = config.get(change.name)
        if change.entry is not None:
            value = live_value(change.section, change.name, live[change.section].get(change.entry)) if change.name else None
            if value is None:
                continue
        if not same(change.name, value, change.text):
            raise pooler.error(
                change.label, f"after RELOAD it is {value or 'empty'} where {change.after} is wanted; see PgBouncer's log"
            )


def _result(pooler: Pooler, changes: list[Change], pending: list[str]) -> dict[str, Any]:
    previous: dict[str, Any] = {"settings": {}, "databases": {}, "users": {}}
    for change in changes:
        if change.write and change.name != SECRET:
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
