# SPDX-License-Identifier: GPL-3.0-or-later
"""The restart that brings what waits for one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils import _postgres_memory as memory_of
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres import (
    connect,
    connection_argument,
    endpoint,
    one_row,
)
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_dry_start import reason_not_to_start
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_replication import (
    TURNS,
    streams,
    turn_of,
    wait_until_in_sync,
)
from ansible_collections.leadgen.tuning.plugins.module_utils._replace_file import replace_file
from ansible_collections.leadgen.tuning.plugins.module_utils._restart_command import (
    refuse_without_command,
    restart_result,
    run_restart_command,
    wait_until_back,
)

try:
    import psycopg
except ImportError:  # connect() says so
    pass

ARGUMENT_SPEC: dict[str, Any] = {
    **connection_argument(),
    "parameters": {"type": "list", "elements": "str", "required": True},
    "command": {"type": "list", "elements": "str", "required": True},
    "previous": {"type": "dict", "default": {}},
    "timeout": {"type": "int", "default": 60},
    "turn": {"type": "str", "choices": list(TURNS)},
    "wanted": {"type": "dict", "default": {}},
}
_STARTED = "select pg_postmaster_start_time()::text as at"


def restart(options: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    """Restart the server when ``parameters`` wait for it, and see that it is another process that answers.

    With ``turn``, only when it is this server's turn among a primary and its standbys.

    :raises TuningError: when the server could not start with its files, the command fails, or the server is not back in
        ``timeout`` seconds, or not in sync in as many more.
    """
    waiting = sorted(set(options["parameters"]))
    if not waiting or not _is_its_turn(options, waiting):
        return restart_result([])
    refuse_without_command(_label(options), options["command"], waiting, "the server")
    if not check_mode:
        _restart(options)
    return restart_result(waiting)


def _label(options: Mapping[str, Any]) -> str:
    return f"postgres_restart_command on {endpoint(options['connection'])}"


def _is_its_turn(options: Mapping[str, Any], waiting: list[str]) -> bool:
    if options["turn"] is None:
        return True
    with connect(options["connection"]) as connection:
        turn: bool = turn_of(connection, waiting, options["wanted"]) == options["turn"]
    return turn


def _restart(options: Mapping[str, Any]) -> None:
    """Restart; a server that does not come back is started again with the configuration that it had before this run."""
    with connect(options["connection"]) as connection:
        before: str = one_row(connection.execute(_STARTED))["at"]
        auto_conf, followed = _auto_conf(connection), streams(connection)
    reason = reason_not_to_start(auto_conf.parent) if auto_conf else None
    if reason:
        raise TuningError(
            f"postgres_settings on {endpoint(options['connection'])}: the server could not start with what its files say "
            f"now: {reason}; it was not restarted, mend that first"
        )
    try:
        _run_and_wait(options, before)
    except TuningError as error:
        if _answers(options["connection"]):
            raise
        raise TuningError(f"{error}; {_start_as_before(options, auto_conf)}") from error
    wait_until_in_sync(options["connection"], followed, options["timeout"])


def _auto_conf(connection: psycopg.Connection[Any]) -> Path | None:
    """The path of postgresql.auto.conf, where it can be written from here and is this server's and not another's.

    The server is known by when it started and its port, which are in its postmaster.pid (src/include/utils/pidfile.h).
    """
    try:
        row = one_row(
            connection.execute(
                "select current_setting('data_directory') as folder, current_setting('port') as port,"
                " floor(extract(epoch from pg_postmaster_start_time()))::bigint as started"
            )
        )
        folder = Path(row["folder"])
        _pid, _folder, started, port, *_ = (folder / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError, psycopg.Error):
        return None
    path = folder / "postgresql.auto.conf"
    same = port == row["port"] and abs(int(started) - row["started"]) <= 1  # each reads the clock for itself
    return path if same and os.access(path, os.W_OK) else None


def _start_as_before(options: Mapping[str, Any], auto_conf: Path | None) -> str:
    """Put this run's parameters back in the file of a server that is down, start it, and say what came of it."""
    previous = options["previous"]
    changed = [name for name in previous if name != memory_of.SYSTEM]
    if auto_conf is None or not previous:
        names = ", ".join(changed or sorted(options["parameters"]))
        return f"the server is DOWN: take what was changed ({names}) back in its postgresql.auto.conf, and start it"
    _rewrite(auto_conf, previous)
    put_back = f"{', '.join(changed)} put back in {auto_conf}"
    try:
        _run_and_wait(options, None)
    except TuningError:
        return f"{put_back}, and the server is still DOWN: start it by hand"
    return f"{put_back}, and the server runs again"


def _rewrite(path: Path, values: Mapping[str, str | None]) -> None:
    """Give the file's entries other values, None for none; the old file stands until the new one is whole."""
    names = {name.lower() for name in values}
    lines = path.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if line.partition("=")[0].strip().lower() not in names]
    for name, value in values.items():
        if value is not None:
            quoted = value.replace("\\", "\\\\").replace("'", "''")
            kept.append(f"{name} = '{quoted}'")
    replace_file(path, "\n".join(kept) + "\n")


def _answers(where: Mapping[str, Any]) -> bool:
    try:
        _started(where)
    except TuningError:
        return False
    return True


def _started(where: Mapping[str, Any]) -> str:
    with connect(where) as connection:
        at: str = one_row(connection.execute(_STARTED))["at"]
    return at


def _run_and_wait(options: Mapping[str, Any], before: str | None) -> None:
    """Run the command, and wait for a server that started at another time than ``before``; at any, where that is None."""
    where, label = options["connection"], _label(options)
    run_restart_command(label, options["command"], options["timeout"])
    wait_until_back(label, "the server", lambda: _started(where) != before, options["timeout"])
