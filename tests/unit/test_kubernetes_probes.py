# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with probes."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_probes import database_client, findings

GET = {"httpGet": {"path": "/ready", "port": 3000}}


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (["psql", "-c", "select 1"], "psql"),
        (["/usr/bin/pg_isready", "-h", "db"], "pg_isready"),
        (["sh", "-c", "redis-cli ping | grep PONG"], "redis-cli"),
        (["bash", "-ec", "exec /opt/bin/mysqladmin --host=db ping"], "mysqladmin"),
        (["npx", "prisma", "db", "execute"], "prisma"),
        (["node_modules/.bin/prisma", "migrate", "status"], "prisma"),
        (["node", "-e", "new (require('pg').Client)().connect()"], "pg"),
        (["node", "-e", "const {PrismaClient} = require('@prisma/client')"], "PrismaClient"),
        (["node", "-e", 'require("redis").createClient()'], "redis"),
        (["mongosh", "--eval", "db.adminCommand('ping')"], "mongosh"),
        (["cat", "/run/ready"], ""),
        (["curl", "-f", "http://localhost:3000/ready"], ""),
        (["sh", "-c", "test -e /run/psql-was-here"], ""),
        (["wget", "-qO-", "http://localhost/pg"], ""),
        ([], ""),
    ],
)
def test_a_client_of_a_database(command: list[str], expected: str) -> None:
    assert database_client({"exec": {"command": command}}) == expected


@pytest.mark.parametrize(
    ("container", "expected"),
    [
        ({"readinessProbe": GET}, []),
        ({}, []),  # a worker, of which nobody asks anything
        ({"ports": [{"containerPort": 3000}]}, ["no readiness probe"]),
        ({"ports": [{"containerPort": 3000}], "livenessProbe": GET}, ["no readiness probe"]),
        ({"readinessProbe": {"exec": {"command": ["psql"]}}}, ["probe opens a database"]),
        ({"readinessProbe": GET, "livenessProbe": {"exec": {"command": ["pg_isready"]}}}, ["probe opens a database"]),
        ({"readinessProbe": GET, "livenessProbe": {**GET, "periodSeconds": 30}}, ["readiness is liveness"]),
        ({"readinessProbe": GET, "livenessProbe": {"httpGet": {"path": "/alive", "port": 3000}}}, []),
        ({"readinessProbe": {**GET, "timeoutSeconds": 10}}, ["probe overlaps itself"]),
        ({"readinessProbe": {**GET, "timeoutSeconds": 9}}, []),
        ({"readinessProbe": {**GET, "periodSeconds": 1}}, ["probe overlaps itself"]),
        (
            {"readinessProbe": GET, "livenessProbe": {"tcpSocket": {"port": 1}, "initialDelaySeconds": 30}},
            ["no startup probe"],
        ),
        (
            {
                "readinessProbe": GET,
                "livenessProbe": {"tcpSocket": {"port": 1}, "initialDelaySeconds": 90},
                "startupProbe": {"tcpSocket": {"port": 1}},
            },
            [],
        ),
    ],
)
def test_a_containers_probes(container: dict[str, Any], expected: list[str]) -> None:
    assert [kind for kind, _why in findings(container)] == expected
