# SPDX-License-Identifier: GPL-3.0-or-later
"""The sample of keys and the round trips, on real servers of every release."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from ansible_collections.leadgen.tuning.plugins.module_utils import _redis_keys, _redis_round_trips
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._redis_objects import fields_of

from tests.integration.redis_server import NO_SNAPSHOTS, RELEASES, RedisServer, redis_server

SMALL, NOT_JSON = 12_000, 8_000
RULE = "resetkeys resetchannels -@all %R~* +scan +type +memory|usage +pttl +get +dbsize +info +config|get"


@pytest.fixture(scope="module", params=RELEASES)
def server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    """Objects that a hash would take less for, and keys that are none."""
    with redis_server(request.param, f"{NO_SNAPSHOTS}maxmemory 256mb\nmaxmemory-policy allkeys-lru\n") as made:
        fill(made)
        yield made


def fill(server: RedisServer) -> None:
    chance = random.Random(1)  # noqa: S311 - the same data every time
    with server.client() as client:
        client.flushall()
        pipeline = client.pipeline(transaction=False)
        for number in range(SMALL):
            quote = {f"carrier_{field}": chance.randrange(10**6) for field in range(chance.randrange(8, 20))}
            pipeline.set(f"quote:{number}", json.dumps({"lead": f"lead-{number}", **quote}), ex=3600)
        for number in range(NOT_JSON):
            pipeline.set(f"page:{number}", "<p>" + "x" * chance.randrange(200))
        pipeline.set(b"odd:\xff\xfe", b"{\xff")
        pipeline.rpush("queue", *range(100))
        pipeline.set("big:1", "y" * (2 << 20))
        pipeline.execute()


def look(server: RedisServer, **options: Any) -> dict[str, Any]:
    defaults = {name: about.get("default") for name, about in _redis_keys.ARGUMENT_SPEC.items()}
    return _redis_keys.look({**defaults, "load": 0.9, "connection": server.connection, **options}, False)


def traces(server: RedisServer) -> tuple[Any, ...]:
    """What a write would leave, and whether every key was asked for at once."""
    with server.client() as client:
        keys = {name: about["keys"] for name, about in client.info("keyspace").items()}
        changes = client.info("persistence")["rdb_changes_since_last_save"]
        return keys, changes, "cmdstat_keys" in client.info("commandstats")


def saved_by_conversion(server: RedisServer) -> int:
    """Make each object a hash, and see by how much the used memory falls."""
    with server.client() as client:
        names = list(client.scan_iter("quote:*", count=1000))
        before = client.info("memory")["used_memory"]
        pipeline = client.pipeline(transaction=False)
        for name, value in zip(names, client.mget(names), strict=True):
            found = fields_of(value)
            assert found
            pipeline.delete(name)
            pipeline.hset(name, mapping=found[0])
            pipeline.expire(name, 3600)
        pipeline.execute()
    with server.client() as client:
        return int(before - client.info("memory")["used_memory"])


@pytest.mark.parametrize("scratch", [None, 5])
def test_the_estimate_is_what_conversion_saves(server: RedisServer, scratch: int | None) -> None:
    fill(server)
    before = traces(server)
    found = look(server, keys=5000, scratch_database=scratch)["report"]
    assert scratch is not None or traces(server) == before
    assert (found["sampled"], found["whole"], found["method"]) == (5000, False, "measured" if scratch else "computed")
    objects = found["json_strings"]
    assert list(objects["patterns"]) == ["quote:*"]
    # Twice the width of an interval of 95%: the truth is outside of that in one run of 10,000.
    count = objects["keys"]
    assert abs(count["estimate"] - SMALL) <= 2 * (count["high"] - count["estimate"])
    saving = saved_by_conversion(server)
    assert saving > 0
    assert objects["saving_bytes"]["estimate"] == pytest.approx(saving, rel=0.15)


def test_the_whole_is_counted_exactly_and_judged(server: RedisServer) -> None:
    fill(server)
    found = look(server, min_saving=0.01, keys=10**6)
    report = found["report"]
    assert (report["whole"], report["sampled"]) == (True, SMALL + NOT_JSON + 3)
    assert report["json_strings"]["keys"] == {"estimate": SMALL, "low": SMALL, "high": SMALL}
    assert report["without_ttl"]["estimate"] == NOT_JSON + 3
    assert [key["pattern"] for key in report["big_keys"]] == ["big:*"]
    hashes, eviction = found["audit"]
    assert [(finding["kind"], finding["table"]) for finding in hashes["findings"]] == [
        ("JSON in strings", "quote:*"),
        ("big key", "big:*"),
    ]
    assert (hashes["control"], hashes["verdict"], eviction["control"], eviction["verdict"]) == (
        "redis.hashes",
        "fail",
        "redis.eviction",
        "pass",
    )
    assert look(server, max_without_ttl=0.2, keys=10**6)["audit"][1]["findings"][0]["why"].startswith(
        "40% of the keys have no TTL"
    )


def test_no_key_and_no_value_is_told(server: RedisServer) -> None:
    fill(server)
    told = json.dumps(look(server))
    assert ("lead-1" in told, "quote:1" in told, "carrier_" in told) == (False, False, False)


def test_a_user_who_may_only_read_suffices(server: RedisServer) -> None:
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "auditor", "on", ">s3cret", *RULE.split())
    where = {**server.connection, "username": "auditor", "password": "s3cret"}
    assert look(server, connection=where, keys=100)["report"]["sampled"] == 100
    assert_nothing_is_written(server, connection=where, scratch_database=5)
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "auditor", "+select", "+hset", "+pexpire", "~*")
    assert_nothing_is_written(server, connection=where, scratch_database=5)


def assert_nothing_is_written(server: RedisServer, **options: Any) -> None:
    """In another database than the scratch one it would remove the very keys that it looks at."""
    with server.client() as client:
        before = {name: (client.get(name), client.pttl(name) > 0) for name in client.scan_iter("quote:*", count=1000)}
        with pytest.raises(TuningError) as raised:
            look(server, keys=100, **options)
        assert {name: (client.get(name), client.pttl(name) > 0) for name in before} == before
    assert "quote:" not in str(raised.value)


def test_a_database_that_there_is_not_is_refused(server: RedisServer) -> None:
    fill(server)
    assert_nothing_is_written(server, scratch_database=99)


def test_a_user_who_may_not_remove_keys_makes_none(server: RedisServer) -> None:
    with server.client() as client:
        client.acl_setuser("maker", enabled=True, passwords=["+s3cret"], keys=["*"], commands=["+@all", "-unlink"])
    where = {**server.connection, "username": "maker", "password": "s3cret"}
    assert_nothing_is_written(server, connection=where, scratch_database=5)


def test_a_server_that_is_full_has_nothing_written(server: RedisServer) -> None:
    with server.client() as client:
        limit = client.config_get("maxmemory")["maxmemory"]
        client.config_set("maxmemory", client.info("memory")["used_memory"] + (8 << 20))
        try:
            assert_nothing_is_written(server, scratch_database=5)
        finally:
            client.config_set("maxmemory", limit)


def test_what_is_read_counts_as_idle_still(server: RedisServer) -> None:
    with server.client() as client:
        if server.release == "redis-7.0":
            pytest.skip("CLIENT NO-TOUCH came with Redis 7.2")
        names = [name for name in client.scan(count=100)[1] if client.type(name) == "string"]
        deadline = time.monotonic() + 20
        while client.object("idletime", names[0]) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        look(server, keys=10**6, seconds=60.0)
        assert client.object("idletime", names[0]) >= 2


def test_the_budget_ends_it(server: RedisServer) -> None:
    assert look(server, seconds=0.0)["report"]["sampled"] < 100
    found = look(server, keys=300, load=0.2)["report"]
    assert found["busy_seconds"] <= 0.3 * found["seconds"]


def test_a_scratch_database_that_is_in_use_is_refused(server: RedisServer) -> None:
    with server.client() as client:
        client.execute_command("SELECT", 6)
        client.set("mine", 1)
        client.execute_command("SELECT", 0)
    for database in (0, 6):
        with pytest.raises(TuningError, match=f"redis_scratch_database {database} on .*: it holds keys"):
            look(server, scratch_database=database)
    assert "5 keys" not in str(look(server, keys=50)["audit"][0]["reason"])
    assert "1 keys are in other databases" in look(server, keys=50)["audit"][0]["reason"]
    with server.client() as client:
        client.execute_command("SELECT", 6)
        client.flushdb()
        client.execute_command("SELECT", 0)


def test_a_replica_is_not_written() -> None:
    with (
        redis_server() as primary,
        redis_server(conf=f"replicaof 127.0.0.1 {primary.connection['port']}\n") as replica,
        pytest.raises(TuningError, match="a replica is not written"),
    ):
        look(replica, scratch_database=5)


def test_a_volatile_policy_says_which_keys_go() -> None:
    with redis_server(conf=f"{NO_SNAPSHOTS}maxmemory 64mb\nmaxmemory-policy volatile-lru\n") as server:
        with server.client() as client:
            for number in range(10):
                client.set(f"session:{number}", 1, ex=600 if number < 8 else None)
        (_hashes, eviction) = look(server)["audit"]
        assert (eviction["verdict"], eviction["reason"]) == (
            "pass",
            "volatile-lru evicts the keys that have a TTL and no others, 80% of them",
        )


def test_an_empty_server_is_unknown() -> None:
    with redis_server() as server:
        (verdict,) = look(server)["audit"]
        assert (verdict["control"], verdict["verdict"]) == ("redis.hashes", "unknown")


@pytest.mark.parametrize(("together", "verdict"), [(1, "fail"), (50, "pass")])
def test_round_trips_tell_pipelines_from_single_commands(server: RedisServer, together: int, verdict: str) -> None:
    options = {name: about.get("default") for name, about in _redis_round_trips.ARGUMENT_SPEC.items()}
    options.update(connection=server.connection, min_commands_per_second=1.0)
    first = _redis_round_trips._read(server.connection)
    with server.client() as client:
        send(client, 10_000 // together, together)
    second = _redis_round_trips._read(server.connection)
    pipelines, hits = _redis_round_trips.verdicts(first, second, options)
    assert (pipelines["control"], pipelines["verdict"]) == ("redis.pipelines", verdict)
    assert pipelines["figure"] == pytest.approx(together, rel=0.1)
    assert (hits["control"], hits["verdict"], hits["figure"]) == ("review.redis_hit_ratio", "fail", 0.5)
    if verdict == "fail":
        assert pipelines["findings"][0]["table"].startswith("get")
    with server.client() as client:
        client.config_resetstat()
    again = _redis_round_trips._read(server.connection)
    assert {entry["verdict"] for entry in _redis_round_trips.verdicts(second, again, options)} == {"unknown"}


def send(client: redis.Redis, trips: int, together: int) -> None:
    """Reads of which every other one finds its key."""
    client.set("there", 1)
    for trip in range(trips):
        pipeline = client.pipeline(transaction=False)
        for number in range(together):
            pipeline.get("there" if (trip + number) % 2 else "not there")
        pipeline.execute()
