# SPDX-License-Identifier: GPL-3.0-or-later
"""``retune audit`` and its playbook, as a person or a schedule runs them, against a real server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.integration.conftest import PROJECT, Retune, Services

DATABASE: dict[str, Any] = {"postgres_databases": ["audited"]}
OF_ANY_AGE = json.dumps({**DATABASE, "postgres_min_statistics_age": 0})


@pytest.fixture
def audited(services: Services) -> Iterator[Services]:
    """A database of its own that has nothing to find."""
    services.sql("create database audited")
    yield services
    services.sql("drop database audited with (force)")


@pytest.fixture
def read(services: Services) -> Iterator[None]:
    """Redis is read while the audit looks, in pipelines: of a server that nobody asks anything nothing can be told."""
    ended = threading.Event()

    def go_on() -> None:
        with services.redis_client() as client:
            client.set("read", 1, ex=600)
            while not ended.wait(0.005):
                pipeline = client.pipeline(transaction=False)
                for _read in range(5):
                    pipeline.get("read")
                pipeline.execute()

    reader = threading.Thread(target=go_on)
    reader.start()
    yield
    ended.set()
    reader.join(10)


@pytest.mark.usefixtures("read")
def test_the_verdicts_are_the_exit_code(audited: Services, retune: Retune, tmp_path: Path) -> None:
    young = retune("audit", "-e", json.dumps(DATABASE))
    assert young.returncode == 1, young.stdout + young.stderr
    assert "unknown" in young.stdout
    assert "are judged from" in " ".join(young.stdout.split())

    passing = retune("audit", "-e", OF_ANY_AGE)
    assert passing.returncode == 0, passing.stdout + passing.stderr

    audited.sql("create table leads (id int primary key, email text)", "audited")
    audited.sql("create index one on leads (email); create index same on leads (email)", "audited")
    failing = retune("audit", "-e", OF_ANY_AGE)
    assert failing.returncode == 2, failing.stdout + failing.stderr
    assert "DROP INDEX CONCURRENTLY" in failing.stdout
    assert "audited: public.same" in failing.stdout
    assert "8 kB" in failing.stdout

    record = json.loads(retune("audit", "--json", "-e", OF_ANY_AGE).stdout)
    jsonschema.validate(record, json.loads((PROJECT / "docs" / "run-record.schema.json").read_text(encoding="utf-8")))
    words = {(entry["host"], entry["control"]): entry["verdict"] for entry in record["audit"]}
    assert words == {
        ("sandbox-postgres", "postgres.index_usage"): "fail",
        ("sandbox-postgres", "review.indexes"): "pass",
        ("sandbox-postgres", "postgres.autovacuum"): "pass",
        ("sandbox-redis", "redis.hashes"): "pass",
        ("sandbox-redis", "redis.pipelines"): "pass",
        ("sandbox-redis", "review.redis_hit_ratio"): "pass",
    }
    assert not (tmp_path / "log").exists()

    for control in ("review.indexes", "postgres.autovacuum"):
        narrowed = retune("audit", "--json", "--tags", control, "-e", OF_ANY_AGE)
        assert narrowed.returncode == 0, narrowed.stderr
        assert [entry["control"] for entry in json.loads(narrowed.stdout)["audit"]] == [control]


def test_a_server_that_cannot_be_read_is_no_pass(audited: Services, retune: Retune) -> None:
    done = retune("audit", "-e", '{"postgres_connection": {"host": "127.0.0.1", "port": 1}}')
    assert done.returncode == 1
    assert "postgres_connection: cannot connect" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_by_ansible_playbook_alone_it_fails_with_a_message_of_its_own(audited: Services, tmp_path: Path) -> None:
    audited.sql("create table leads (id int)", "audited")
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("ansible-playbook")),
            "-i", str(audited.inventory), "playbooks/audit.yml", "-e", OF_ANY_AGE,
        ],
        cwd=PROJECT,
        env={**os.environ, "RETUNE_LOG_DIRECTORY": str(tmp_path), "ANSIBLE_SHOW_CUSTOM_STATS": "true"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "fail: sandbox-postgres postgres.index_usage: no primary key public.leads" in done.stdout
    assert "CUSTOM STATS" in done.stdout
