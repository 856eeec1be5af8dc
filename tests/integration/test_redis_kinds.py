# SPDX-License-Identifier: GPL-3.0-or-later
"""Every way to reach a server of one's own, and the kinds that are refused by name."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError

from retune.sandbox.processes import free_ports, service_account
from tests.integration.redis_server import NO_SNAPSHOTS, RELEASES, RedisServer, redis_server
from tests.integration.test_redis_persistence import run
from tests.integration.tls import issue

WANTED: dict[str, Any] = {"maxmemory": "64mb", "maxmemory-policy": "allkeys-lru", "save": "3600 1", "hz": 20}
# What the module needs and no more; docs/redis.md has this line.
RULE = "resetkeys resetchannels -@all +info +config|get +config|set +config|rewrite +latency|histogram"


@pytest.fixture(params=RELEASES)
def server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    with redis_server(request.param) as made:
        yield made


def brought_about(server: RedisServer, **options: Any) -> None:
    """Plan, apply, and a plan that finds nothing; then the same after a restart."""
    planned = run(server, WANTED, check=True, **options)
    assert run(server, WANTED, **options)["diff"] == planned["diff"]
    assert sorted(planned["diff"]["after"]) == sorted(WANTED)
    run(server, WANTED, verify=True, **options)
    server.kill()
    server.start()
    assert run(server, WANTED, check=True, **options)["changed"] is False


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_user_with_the_rule_of_the_documentation_suffices(server: RedisServer) -> None:
    assert RULE in (Path(__file__).parents[2] / "docs" / "redis.md").read_text(encoding="utf-8")
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "retune", "on", ">s3cret", *RULE.split())
    server.connection.update(username="retune", password="s3cret")
    planned = run(server, WANTED, check=True)
    assert run(server, WANTED)["diff"] == planned["diff"]
    assert run(server, WANTED, check=True)["changed"] is False


@pytest.mark.parametrize("missing", ["info", "config|get", "config|set", "config|rewrite"])
def test_what_a_user_may_not_is_said(server: RedisServer, missing: str) -> None:
    rule = [word for word in RULE.split() if word != f"+{missing}"]
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "retune", "on", ">s3cret", *rule)
        before = client.config_get("*")
    server.connection.update(username="retune", password="s3cret")
    with pytest.raises(
        TuningError, match=r"Redis refused the user retune: .*; check its password and its ACL rule"
    ) as raised:
        run(server, WANTED)
    assert missing in str(raised.value).lower()
    with server.client() as client:
        after = client.config_get("*")
    assert after == before or missing == "config|rewrite"


def test_a_renamed_config(server: RedisServer) -> None:
    renamed = server.conf.read_text(encoding="utf-8") + "rename-command CONFIG Set_up\n"
    server.conf.write_text(renamed, encoding="utf-8")
    server.kill()
    server.start()
    with pytest.raises(
        TuningError, match=r"CONFIG is renamed there, and redis_connection\.config_command has to name it, or this is a man"
    ):
        run(server, WANTED)
    server.connection.update(config_command="Set_up")
    brought_about(server)


@pytest.mark.parametrize("release", RELEASES)
def test_a_title_of_its_own(release: str) -> None:
    with redis_server(release, "set-proc-title no\n") as server:
        server.conf.write_text(f"{server.conf.read_text(encoding='utf-8')}hz 50\n", encoding="utf-8")
        assert run(server, {"hz": 10})["needs"] == {"hz": "rewrite"}


@pytest.mark.parametrize("release", RELEASES)
def test_a_unix_socket(release: str) -> None:
    with redis_server(release, "unixsocket {folder}/s\n", port=0, where={"unix_socket_path": "{folder}/s"}) as server:
        brought_about(server)


@pytest.mark.parametrize("release", RELEASES)
def test_tls_with_a_certificate_of_the_client(release: str, tmp_path: Path) -> None:
    authority = issue(tmp_path, "authority", "Authority of the test")
    own = issue(tmp_path, "server", "localhost", authority, host="localhost")
    client = issue(tmp_path, "client", "retune", authority)
    account = service_account()
    for path in (*tmp_path.parents[:2], tmp_path):  # pytest's folders are closed to the server's user
        path.chmod(0o711)
    for path in (own.path, own.key_path, authority.path):
        os.chown(path, account.uid, account.gid)
    (port,) = free_ports(1)
    conf = (
        f"tls-port {port}\ntls-cert-file {own.path}\ntls-key-file {own.key_path}\ntls-ca-cert-file {authority.path}\n"
        "tls-auth-clients yes\n"
    )
    where = {"host": "localhost", "port": port, "ssl": True, "ssl_ca_certs": str(authority.path)}
    certificate = {"ssl_certfile": str(client.path), "ssl_keyfile": str(client.key_path)}
    with redis_server(release, conf, port=0, where={**where, **certificate}) as server:
        brought_about(server)
        for name in certificate:
            del server.connection[name]
        with pytest.raises(TuningError, match="cannot talk to Redis"):
            run(server, WANTED, check=True)


@pytest.mark.parametrize("release", RELEASES)
def test_a_replica_has_parameters_of_its_own(release: str) -> None:
    with (
        redis_server(release, f"{NO_SNAPSHOTS}repl-diskless-sync-delay 0\n") as primary,
        redis_server(release, f"replicaof 127.0.0.1 {primary.connection['port']}\n") as replica,
    ):

        def follows() -> bool:
            with replica.client() as client:
                return str(client.info("replication")["master_link_status"]) == "up"

        wait_for(follows)
        own: dict[str, Any] = {"appendonly": True}
        for server, appends in ((primary, "no"), (replica, "yes")):
            run(server, WANTED, replica_settings=own)
            assert run(server, WANTED, check=True, replica_settings=own)["changed"] is False
            with server.client() as client:
                assert client.config_get("appendonly") == {"appendonly": appends}
        # Nothing of the data was written on either.
        for server in (primary, replica):
            with server.client() as client:
                assert client.dbsize() == 0
        said = (
            r"keeps nothing on its disk and has 1 replicas: when it is started again by itself it is empty, and so are they"
        )
        (warning,) = [text for text in run(primary, {"save": ""}, check=True)["warnings"] if "replicas" in text]
        assert re.search(said, warning)


@pytest.mark.parametrize(
    ("conf", "arguments", "said"),
    [
        ("cluster-enabled yes\ncluster-port {bus}\n", [], "is Redis Cluster, which is not tuned yet"),
        ("sentinel resolve-hostnames no\n", ["--sentinel"], "is Redis Sentinel, which is not tuned yet"),
    ],
)
@pytest.mark.parametrize("release", RELEASES)
def test_other_kinds_are_refused_by_name(release: str, conf: str, arguments: list[str], said: str) -> None:
    (bus,) = free_ports(1)
    conf = conf.replace("{bus}", str(bus))
    with redis_server(release, conf, arguments=arguments) as server, pytest.raises(TuningError, match=said):
        run(server, WANTED, check=True)


def test_a_file_of_ours_is_included_where_the_server_may_not_write_its_own(server: RedisServer) -> None:
    path = server.folder / "retune.conf"
    with pytest.raises(TuningError, match=f"would not have it after a restart: its last line has to be: include {path}"):
        run(server, WANTED, check=True, include_file=str(path))
    text = server.conf.read_text(encoding="utf-8") + f"include {path}\n"
    server.conf.write_text(text, encoding="utf-8")
    wanted = {**WANTED, "client-output-buffer-limit": {"replica": "128mb 64mb 30"}, "notify-keyspace-events": "Ex"}
    planned = run(server, wanted, check=True, include_file=str(path))
    assert not path.exists()
    assert run(server, wanted, include_file=str(path))["diff"] == planned["diff"]
    # A part of the parameters, as --tags selects them, leaves the others there.
    run(server, {"hz": 50}, include_file=str(path))
    server.kill()
    server.start()
    assert run(server, {**wanted, "hz": 50}, check=True, include_file=str(path))["changed"] is False
    assert server.conf.read_text(encoding="utf-8") == text
    path.write_text(path.read_text(encoding="utf-8").replace("hz 50", "hz 5"), encoding="utf-8")
    assert run(server, {"hz": 50}, include_file=str(path))["needs"] == {"hz": "rewrite"}
    assert run(server, {"hz": 50}, check=True, include_file=str(path))["changed"] is False


def test_an_included_file_that_is_none_of_redis_is_said(server: RedisServer) -> None:
    path = server.folder / "retune.conf"
    path.write_bytes(b'hz 10\nrequirepass "open\n')
    with pytest.raises(TuningError, match=r"redis_include_file on .* cannot be read: line 1: its quotes do not match"):
        run(server, {"hz": 20}, include_file=str(path))


def test_a_file_that_redis_cannot_write_is_said_with_what_is_in_force(server: RedisServer) -> None:
    server.conf.unlink()
    server.conf.mkdir()
    with pytest.raises(
        TuningError, match=r"Redis could not write .*; until the next restart there are in force: hz"
    ) as raised:
        run(server, {"hz": 20})
    assert raised.value.result == {"changed": True, "diff": {"before": {"hz": "10"}, "after": {"hz": "20"}}}
    with server.client() as client:
        assert client.config_get("hz") == {"hz": "20"}


@pytest.mark.parametrize(
    ("settings", "memory", "said"),
    [
        ({"maxmemory": "60%"}, "1gb", None),
        ({"maxmemory": "100%"}, "1gb", "100% has to be above 0% and below 100%"),
        ({"maxmemory": "2gb"}, "1gb", "maxmemory 2,048 MiB are more than the 1,024 MiB of memory that there are"),
        (
            {"maxmemory": "90%", "appendonly": True},
            "1gb",
            "maxmemory 921 MiB and 230 MiB that a fork copies are more than the 1,024 MiB",
        ),
        ({"maxmemory": "90%"}, "much", "redis_memory on .*'much' is not a size"),
        ({"maxmemory-policy": "allkeys-lru"}, "", "maxmemory on .*0 is no limit"),
    ],
)
def test_what_is_to_fit(settings: dict[str, Any], memory: str, said: str | None) -> None:
    with redis_server() as server:
        if said is None:
            assert run(server, settings, memory=memory)["diff"]["after"] == {"maxmemory": "614mb"}
            assert run(server, settings, check=True, memory=memory)["changed"] is False
        else:
            with pytest.raises(TuningError, match=said):
                run(server, settings, check=True, memory=memory)


PROFILES = {
    "cache": {"maxmemory-policy": "allkeys-lru", "appendonly": "no", "save": ""},
    "sessions": {"maxmemory-policy": "noeviction", "appendonly": "yes", "appendfsync": "everysec", "save": ""},
    "durable": {"maxmemory-policy": "noeviction", "appendonly": "yes", "appendfsync": "everysec", "save": "3600 1"},
    "queue": {"maxmemory-policy": "noeviction", "appendonly": "no", "save": "3600 1"},
    "ours": {"maxmemory-policy": "allkeys-lfu", "appendonly": "no", "save": "60 100"},
}


@pytest.mark.parametrize(("profile", "expected"), PROFILES.items())
def test_a_profile_holds_where_nothing_else_is_named(profile: str, expected: dict[str, str]) -> None:
    with redis_server(conf="save 3600 1\n") as server:
        given = {"profile": profile, "profiles": {"ours": {"maxmemory-policy": "allkeys-lfu", "save": "60 100"}}}
        run(server, {"maxmemory": "64mb"}, **given)
        assert run(server, {"maxmemory": "64mb"}, check=True, **given)["changed"] is False
        with server.client() as client:
            assert {name: client.config_get(name)[name] for name in expected} == expected
        run(server, {"maxmemory": "64mb", "maxmemory-policy": "allkeys-random"}, **given)
        with server.client() as client:
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "allkeys-random"}


def test_a_profile_that_is_none_is_said_with_those_that_are() -> None:
    with redis_server() as server:
        with pytest.raises(TuningError, match=r"redis_profile on .*: cash is none of cache, sessions, durable, queue"):
            run(server, {}, profile="cash")
        with pytest.raises(TuningError, match=r"redis_profile on .*: mine has to be a dictionary of parameters"):
            run(server, {}, profile="mine", profiles={"mine": 5})
        with pytest.raises(TuningError, match=r"maxmemory on .*0 is no limit"):
            run(server, {}, profile="cache")


def test_a_volatile_policy_says_how_many_keys_it_can_evict() -> None:
    with redis_server() as server:
        with server.client() as client:
            for number in range(10):
                client.set(f"key:{number}", "x", ex=100 if number < 3 else None)
        (warning,) = run(server, {"maxmemory": "64mb", "maxmemory-policy": "volatile-lru"}, check=True)["warnings"]
        assert "3 of its 10 keys have one, and those are what goes" in warning
