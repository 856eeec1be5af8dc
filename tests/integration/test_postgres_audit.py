# SPDX-License-Identifier: GPL-3.0-or-later
"""The audits of indexes and of vacuum against a real server. Its second connection stands in for a replica."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.leadgen.tuning.plugins.module_utils import _postgres_index_usage as index_usage
from ansible_collections.leadgen.tuning.plugins.module_utils import _postgres_vacuum_health as vacuum_health

from tests.integration.conftest import Services

OLD, YOUNG = 0.0, 7.0


def options(services: Services, module: Any, **given: Any) -> dict[str, Any]:
    defaults = {name: about.get("default") for name, about in module.ARGUMENT_SPEC.items()}
    return {**defaults, "connection": services.postgres, "databases": ["leadgen"], **given}


def verdict(result: dict[str, Any], control: str) -> dict[str, Any]:
    return next(entry for entry in result["audit"] if entry["control"] == control)


def kinds(entry: dict[str, Any]) -> set[tuple[str, str]]:
    return {(finding["kind"], finding["index"] or finding["table"]) for finding in entry["findings"]}


@pytest.fixture
def audited(services: Services) -> Iterator[Services]:
    """A schema with one of each."""
    services.sql("drop schema if exists audit cascade")
    for statement in (
        "create schema audit authorization leads_app",
        "create table audit.parent (id int primary key, code int unique)",
        "create table audit.child (a int, b int, parent int references audit.parent, other int references audit.parent)",
        "insert into audit.parent select i, i from generate_series(1, 100) as i",
        "insert into audit.child select 1, i, i, i from generate_series(1, 100) as i",
        "create index one on audit.child (a, b)",
        "create index same on audit.child (a, b)",
        "create index prefix on audit.child (a)",
        "create index partly on audit.child (a) where b > 1",
        "create index served on audit.child (parent)",
        "create index descending on audit.child (b desc)",
    ):
        services.sql(statement)
    yield services
    services.sql("drop schema audit cascade")


def test_one_of_each_kind_is_found(audited: Services) -> None:
    result = index_usage.audit(options(audited, index_usage, min_statistics_age=OLD), False)
    found = {(kind, name) for kind, name in kinds(verdict(result, "postgres.index_usage")) if name.startswith("audit.")}
    assert found == {
        ("duplicate", "audit.same"),
        ("overlapping", "audit.prefix"),
        ("unused", "audit.one"),
        ("unused", "audit.partly"),
        ("unused", "audit.descending"),
        ("no primary key", "audit.child"),
    }
    missing = verdict(result, "review.indexes")
    statements = [finding["statement"] for finding in missing["findings"] if finding["table"] == "audit.child"]
    assert statements == ["CREATE INDEX CONCURRENTLY ON audit.child (other);"]


def test_young_statistics_judge_nothing_unused_and_tell_their_age(audited: Services) -> None:
    entry = verdict(
        index_usage.audit(options(audited, index_usage, min_statistics_age=YOUNG), False), "postgres.index_usage"
    )
    assert "unused" not in {kind for kind, _name in kinds(entry)}
    assert "unused indexes not judged: database leadgen: the statistics of the server are 0.0 days old" in entry["reason"]


def test_a_scan_on_a_replica_is_a_use_and_a_replica_that_is_away_judges_nothing(audited: Services) -> None:
    away = {**audited.postgres, "port": 1}
    entry = verdict(
        index_usage.audit(options(audited, index_usage, min_statistics_age=OLD, replicas=[away]), False),
        "postgres.index_usage",
    )
    assert "a replica could not be read" in entry["reason"]
    assert "unused" not in {kind for kind, _name in kinds(entry)}
    scans = index_usage._replica_scans({"replicas": [audited.postgres], "min_statistics_age": OLD}, "leadgen")
    assert scans[1] == []


def test_an_invalid_index_is_found(audited: Services) -> None:
    audited.sql("update pg_index set indisvalid = false where indexrelid = 'audit.partly'::regclass")
    entry = verdict(index_usage.audit(options(audited, index_usage), False), "postgres.index_usage")
    assert ("invalid", "audit.partly") in kinds(entry)


@pytest.mark.parametrize("module", [index_usage, vacuum_health])
def test_a_database_that_refuses_is_unknown_and_named(services: Services, module: Any) -> None:
    result = module.audit(options(services, module, databases=["nowhere"]), False)
    for entry in result["audit"]:
        assert (entry["verdict"], entry["figure"]) == ("unknown", None)
        assert "database nowhere" in entry["reason"]


def test_the_estimate_of_bloat_is_near_what_pgstattuple_measures(audited: Services) -> None:
    for statement in (
        "create table audit.bloated (id int primary key, text text) with (autovacuum_enabled = off)",
        "alter table audit.bloated owner to leads_app",
        "insert into audit.bloated select i, repeat('x', 1 + i % 90) from generate_series(1, 60000) as i",
        "delete from audit.bloated where id % 4 <> 0",
        "vacuum (analyze) audit.bloated",
        "create extension if not exists pgstattuple",
    ):
        audited.sql(statement)
    try:
        result = vacuum_health.audit(options(audited, vacuum_health, worst=1000, min_bloat_bytes=1000000), False)
        figures = result["databases"]["leadgen"]
        table = next(row for row in figures["tables"] if row["name"] == "audit.bloated")
        index = next(row for row in figures["indexes"] if row["name"] == "audit.bloated_pkey")
        ((free,),) = audited.sql("select (free_percent + dead_tuple_percent) / 100 from pgstattuple('audit.bloated')")
        ((density,),) = audited.sql("select avg_leaf_density / 90 from pgstatindex('audit.bloated_pkey')")
    finally:
        audited.sql("drop extension pgstattuple")
    assert abs(table["estimated_bloat"] - free) < 0.1, (table["estimated_bloat"], free)
    assert abs(index["estimated_bloat"] - (1 - density)) < 0.1, (index["estimated_bloat"], density)
    found = kinds(verdict(result, "postgres.autovacuum"))
    assert {("bloat", "audit.bloated"), ("autovacuum off", "audit.bloated")} <= found
