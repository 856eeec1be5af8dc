# SPDX-License-Identifier: GPL-3.0-or-later
"""The restart of PgBouncer that brings what waits for one: drained first, and taken back where it fails."""

from __future__ import annotations

import select
from collections.abc import Mapping
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._pgbouncer import (
    PREVIOUS,
    Process,
    connect,
    connection_argument,
    find_process,
    show,
)
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres import endpoint
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
    "settings": {"type": "list", "elements": "str", "required": True},
    "command": {"type": "list", "elements": "str", "required": True},
    "drain_timeout": {"type": "int", "default": 30},
    "timeout": {"type": "int", "default": 60},
}


def restart(options: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    """Restart when ``settings`` wait for it, and see that it is another process that answers.

    :raises TuningError: when transactions do not end in ``drain_timeout`` seconds, the command fails, or PgBouncer is not
        back in ``timeout`` seconds; its former file is put back then and it is started again.
    """
    waiting = sorted(set(options["settings"]))
    if waiting:
        label = f"pgbouncer_restart_command on {endpoint(options['connection'])}"
        refuse_without_command(label, options["command"], waiting, "PgBouncer")
        if not check_mode:
            _restart(options, label)
    return restart_result(waiting)


def _restart(options: Mapping[str, Any], label: str) -> None:
    where = options["connection"]
    before = _process(where)
    _drain(where, options["drain_timeout"])
    try:
        _run_and_wait(options, before, label)
    except TuningError as error:
        raise TuningError(f"{error}; {_start_as_before(options, before, label)}") from error


def _process(where: Mapping[str, Any]) -> Process:
    with connect(where) as console:
        return find_process(show(console, "config"), endpoint(where))


def _drain(where: Mapping[str, Any], seconds: int) -> None:
    """Let transactions end and hold new ones back, which clients see as a wait (PAUSE in PgBouncer's documentation).

    :raises TuningError: when they do not end in time; clients are served again then.
    """
    with connect(where) as console:
        # Sent without waiting for the answer, since PAUSE answers once the last transaction has ended.
        console.pgconn.send_query(b"pause")
        answered = bool(select.select([console.pgconn.socket], [], [], seconds)[0])
        result = console.pgconn.get_result() if answered else None
        console.close()  # it is still waiting for its answer, or was used behind its back
    if result is not None and result.status == psycopg.pq.ExecStatus.COMMAND_OK:
        return
    if result is not None:
        raise TuningError(
            f"pgbouncer_connection: PgBouncer at {endpoint(where)} cannot be paused for its restart: "
            f"{result.error_message.decode().strip()}; RESUME it, and run again"
        )
    with connect(where) as console:
        pools = show(console, "pools")
        console.execute("resume")
    busy = sum(row["sv_active"] for row in pools)
    raise TuningError(
        f"pgbouncer_drain_timeout on {endpoint(where)}: {busy} transactions did not end in {seconds} s, so PgBouncer was "
        "not restarted and serves again; run when it is quieter, or allow more time"
    )


def _run_and_wait(options: Mapping[str, Any], before: Process, label: str) -> None:
    """Run the command, and wait until another process answers."""
    run_restart_command(label, options["command"], options["timeout"])
    wait_until_back(label, "PgBouncer", lambda: _process(options["connection"]).pid != before.pid, options["timeout"])


def _start_as_before(options: Mapping[str, Any], before: Process, label: str) -> str:
    """Put the former file back where PgBouncer does not answer, start it, and say what came of it."""
    try:
        with connect(options["connection"]) as console:
            console.execute("resume")
        return "the old process serves again"
    except TuningError:
        file = before.file
        previous = file.with_name(f"{file.name}{PREVIOUS}")
    if not previous.exists():
        return f"PgBouncer is DOWN: mend {file} and start it"
    replace_file(file, previous.read_text(encoding="utf-8"))
    try:
        _run_and_wait(options, before, label)
    except TuningError:
        return f"its former file was put back, and PgBouncer is still DOWN: start it by hand with {file}"
    return "its former file was put back, and PgBouncer runs again"
