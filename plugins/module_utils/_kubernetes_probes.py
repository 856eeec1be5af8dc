# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with the probes of a container. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

# Of databases and caches, and Node programs that open one.
_CLIENTS = frozenset(
    "cqlsh mariadb mariadb-admin mongo mongosh mysql mysqladmin pg_isready prisma psql redis-cli sqlcmd valkey-cli".split()
)
_LIBRARIES = re.compile(
    r"\b(ioredis|knex|mongodb|mongoose|mysql2?|PrismaClient|sequelize|typeorm)\b|require\(['\"](pg|redis)['\"]\)"
)
_WORD = re.compile(r"[\w./@-]+")
_HANDLERS = ("exec", "grpc", "httpGet", "tcpSocket")
# What the API server fills in (Kubernetes's documentation, Probe).
_PERIOD, _TIMEOUT, _FAILURES = 10, 1, 3
# A container that may take longer than this to start is killed on the way, or its failure is noticed late.
_SLOW_SECONDS = 30


def findings(container: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What kind of thing is wrong, and why it matters."""
    readiness, liveness = container.get("readinessProbe"), container.get("livenessProbe")
    if readiness is None and container.get("ports"):
        yield "no readiness probe", "it gets requests before it can serve them"
    for kind, probe in (("readiness", readiness), ("liveness", liveness)):
        if probe is None:
            continue
        client = database_client(probe)
        if client:
            yield "probe opens a database", f"the {kind} probe runs {client}, at every period of every pod"
        period, timeout = probe.get("periodSeconds", _PERIOD), probe.get("timeoutSeconds", _TIMEOUT)
        if timeout >= period:
            yield "probe overlaps itself", f"the {kind} probe may take {timeout} s, and the next is due after {period} s"
    if readiness is not None and liveness is not None and handler(readiness) == handler(liveness):
        yield "readiness is liveness", "what only cannot serve for the moment is restarted"
    if liveness is not None and "startupProbe" not in container:
        delay = liveness.get("initialDelaySeconds", 0)
        if delay >= _SLOW_SECONDS:
            yield "no startup probe", f"liveness waits {delay} s for a slow start; a startup probe ends when it has started"


def handler(probe: Mapping[str, Any]) -> dict[str, Any]:
    """How the probe asks."""
    return {name: probe[name] for name in _HANDLERS if name in probe}


def database_client(probe: Mapping[str, Any]) -> str:
    """The database client that an exec probe runs, by itself or in a shell; empty where it runs none."""
    for argument in (probe.get("exec") or {}).get("command") or ():
        library = _LIBRARIES.search(str(argument))
        for word in _WORD.findall(str(argument)):
            name = PurePosixPath(word).name
            if name in _CLIENTS:
                return name
        if library:
            return library[1] or library[2]
    return ""
