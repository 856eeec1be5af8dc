# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether PostgreSQL and the process have room for what a configuration of PgBouncer allows, before it is written."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils import _pgbouncer_ini as ini
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._pgbouncer import Process
from ansible_collections.leadgen.tuning.plugins.module_utils._pgbouncer_arithmetic import (
    Database,
    Pooler,
    User,
    check_descriptors,
    check_server_connections,
    server_connections,
)
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres import CONNECTION_OPTIONS, connect, one_row

LIMITS_ARGUMENT: dict[str, Any] = {
    "type": "dict",
    "options": {
        "connection": {"type": "dict", "required": True},
        "logins": {"type": "list", "elements": "str", "required": True},
        "other_connections": {"type": "int", "default": 10},
        "processes": {"type": "int", "default": 1},
        "unit": {"type": "str"},
    },
}
_READ = """
    select current_setting('max_connections')::int as max_connections,
           current_setting('superuser_reserved_connections')::int as superuser_reserved,
           coalesce(current_setting('reserved_connections', true), '0')::int as reserved
"""


def check_limits(
    limits: Mapping[str, Any],
    version: tuple[int, int],
    sections: ini.Sections,
    defaults: Mapping[str, str | None],
    process: Process,
) -> None:
    """Hold what the file allows against PostgreSQL's connections and the process's file descriptors.

    :param sections: of the file as it would be; what it is silent about is in ``defaults``.
    :raises TuningError: with the numbers and a remedy where one is too small, and for a number that is none.
    """
    pooler = _pooler(version, sections, defaults, limits)
    found = server_connections(pooler)
    defaults_of = {name: about.get("default") for name, about in CONNECTION_OPTIONS.items()}
    with connect({**defaults_of, **limits["connection"]}) as server:
        room = one_row(server.execute(_READ))
    check_server_connections(found, **room, other_users=limits["other_connections"])
    unit = _limit_of_unit(limits["unit"]) if limits["unit"] else None
    check_descriptors(pooler, found, process.descriptors, unit, "pgbouncer_limit_nofile")


def _limit_of_unit(unit: str) -> int | None:
    """LimitNOFILE of a systemd unit, the soft one; None for no limit."""
    command = ["systemctl", "show", "--property=LoadState,LimitNOFILESoft", unit]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
        about = dict(line.split("=", 1) for line in said.splitlines())
        if about["LoadState"] != "loaded":
            raise ValueError(f"it is {about['LoadState']}")
        return None if about["LimitNOFILESoft"] == "infinity" else int(about["LimitNOFILESoft"])
    except (OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
        reason = (error.stderr.strip() if isinstance(error, subprocess.CalledProcessError) else "") or error
        raise TuningError(
            f"pgbouncer_limits.unit: systemd does not tell LimitNOFILE of {unit}: {reason}; "
            "leave it out where PgBouncer is no unit of systemd on this host"
        ) from error


def _pooler(
    version: tuple[int, int],
    sections: ini.Sections,
    defaults: Mapping[str, str | None],
    limits: Mapping[str, Any],
) -> Pooler:
    main = {**defaults, **sections.get(ini.MAIN, {})}

    def number(name: str) -> int:
        return _number(f"pgbouncer_settings.{name}", main.get(name)) or 0

    return Pooler(
        version=version,
        databases=[_database(name, text) for name, text in sections.get("databases", {}).items()],
        logins=limits["logins"],
        users={name: _user(name, text) for name, text in sections.get("users", {}).items()},
        default_pool_size=number("default_pool_size"),
        reserve_pool_size=number("reserve_pool_size"),
        reserve_pool_timeout=float(main.get("reserve_pool_timeout") or 0),
        max_db_connections=number("max_db_connections"),
        max_user_connections=number("max_user_connections"),
        max_client_conn=number("max_client_conn"),
        auth_user=main.get("auth_user") or None,
        auth_dbname=main.get("auth_dbname") or None,
        processes=limits["processes"],
    )


def _database(name: str, text: str) -> Database:
    given = ini.read_entry(text)
    label = f"pgbouncer_databases.{name}"
    return Database(
        name,
        user=given.get("user"),
        pool_size=_number(f"{label}.pool_size", given.get("pool_size")),
        reserve_pool_size=_number(f"{label}.reserve_pool", given.get("reserve_pool_size", given.get("reserve_pool"))),
        max_db_connections=_number(f"{label}.max_db_connections", given.get("max_db_connections")),
    )


def _user(name: str, text: str) -> User:
    given, label = ini.read_entry(text), f"pgbouncer_users.{name}"
    names = ("pool_size", "reserve_pool_size", "max_user_connections")
    return User(**{each: _number(f"{label}.{each}", given.get(each)) for each in names})


def _number(label: str, text: str | None) -> int | None:
    if text is None or text == "":
        return None
    try:
        return int(text)
    except ValueError as error:
        raise TuningError(f"{label} is {text!r}, and has to be a whole number") from error
