# SPDX-License-Identifier: GPL-3.0-or-later
"""redis_settings against a real server; the tests of known defects of stock modules bear their names."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._redis_settings import reconcile

from tests.integration.conftest import Services


def run(services: Services, settings: dict[str, Any], check: bool = False, **options: Any) -> dict[str, Any]:
    given = {
        "connection": services.redis,
        "settings": settings,
        "controls": {},
        "only": None,
        "persist": True,
        "verify": False,
        "replica_settings": {},
        "profile": "",
        "profiles": {},
        "include_file": "",
        "memory": "",
        "manage_host": False,
    }
    return reconcile({**given, **options}, check)


def plan(services: Services, settings: dict[str, Any]) -> dict[str, Any]:
    return run(services, settings, check=True)


def traces(services: Services) -> tuple[Any, ...]:
    """Everything that a write would leave behind: the calls that the server counted, and its file."""
    with services.redis_client() as client:
        calls = client.info("commandstats")
    counted = [calls.get(f"cmdstat_config|{name}", {}).get("calls", 0) for name in ("set", "rewrite")]
    stat = services.redis_conf.stat()
    return *counted, stat.st_mtime_ns, stat.st_ino


SPELLINGS = [
    ("maxmemory-policy", "allkeys-lru", "ALLKEYS-LRU"),
    ("maxmemory", "268435456", "256mb"),
    ("maxmemory", "268435456", "256MB"),
    ("maxmemory", "256000000", "256m"),
    ("maxmemory", "268435456", 268435456),
    ("notify-keyspace-events", "AKE", "KEA"),
    ("notify-keyspace-events", "AKE", "g$lshzxetdEK"),
    ("client-output-buffer-limit", "replica 512mb 64mb 60", "slave 536870912 67108864 60"),
    ("client-output-buffer-limit", "replica 512mb 64mb 60", {"replica": ["512mb", "64mb", 60]}),
    ("appendonly", "no", False),
    ("appendonly", "no", "off"),
    ("appendfsync", "everysec", "EverySec"),
    ("save", "3600 1 300 100", [[300, 100], [3600, 1]]),
    ("save", "", ""),
    ("timeout", "0", "000"),
]


@pytest.mark.parametrize(("name", "present", "wanted"), SPELLINGS)
def test_an_equal_value_in_another_spelling_writes_nothing_at_all(
    untuned: Services, name: str, present: str, wanted: Any
) -> None:
    with untuned.redis_client() as client:
        client.config_set("maxmemory", "64mb")  # without a limit an evicting policy is refused
        client.config_set(name, present)
        client.config_rewrite()
    before = traces(untuned)
    assert plan(untuned, {name: wanted})["changed"] is False
    assert run(untuned, {name: wanted})["changed"] is False
    assert traces(untuned) == before


def test_yaml_no_is_a_value(untuned: Services) -> None:
    with untuned.redis_client() as client:
        client.config_set("activerehashing", "yes")
        assert run(untuned, {"activerehashing": False})["diff"]["after"] == {"activerehashing": "no"}
        assert client.config_get("activerehashing") == {"activerehashing": "no"}
        client.config_set("activerehashing", "yes")


def test_256m_means_to_the_module_what_it_means_to_redis(untuned: Services) -> None:
    run(untuned, {"maxmemory": "256m"})
    with untuned.redis_client() as client:
        assert client.config_get("maxmemory") == {"maxmemory": "256000000"}


def test_a_redis_conf_edited_on_disk_is_seen_and_written_again(untuned: Services) -> None:
    run(untuned, {"maxmemory": "64mb"})
    conf = untuned.redis_conf
    conf.write_text(conf.read_text(encoding="utf-8").replace("maxmemory 64mb", "maxmemory 1gb"), encoding="utf-8")
    planned = plan(untuned, {"maxmemory": "64mb"})
    assert planned["diff"] == {"before": {"maxmemory": "1gb"}, "after": {"maxmemory": "64mb"}}
    assert planned["needs"] == {"maxmemory": "rewrite"}
    assert run(untuned, {"maxmemory": "64mb"}) == planned
    assert "maxmemory 64mb" in conf.read_text(encoding="utf-8")
    assert plan(untuned, {"maxmemory": "64mb"})["changed"] is False


def test_a_value_set_by_hand_and_not_in_the_file_is_written_there(untuned: Services) -> None:
    with untuned.redis_client() as client:
        client.config_set("maxmemory", "64mb")
    assert run(untuned, {"maxmemory": "64mb"})["needs"] == {"maxmemory": "rewrite"}
    assert "maxmemory 64mb" in untuned.redis_conf.read_text(encoding="utf-8")


def test_classes_of_clients_that_are_not_named_are_left_alone(untuned: Services) -> None:
    with untuned.redis_client() as client:
        client.config_set("client-output-buffer-limit", "pubsub 64mb 16mb 90")
        run(untuned, {"client-output-buffer-limit": {"replica": "512mb 128mb 60"}})
        limits = client.config_get("client-output-buffer-limit")["client-output-buffer-limit"]
    assert limits == "normal 0 0 0 slave 536870912 134217728 60 pubsub 67108864 16777216 90"


def test_many_values_are_one_set_and_one_rewrite(untuned: Services) -> None:
    wanted = {"maxmemory": "64mb", "maxmemory-policy": "allkeys-lru", "save": "", "maxmemory-samples": 10}
    planned = plan(untuned, wanted)
    before = traces(untuned)
    assert run(untuned, wanted) == planned
    after = traces(untuned)
    assert (after[0] - before[0], after[1] - before[1]) == (1, 1)


ERRORS = [
    ({"maxmemry": "1gb"}, r"redis_settings\.maxmemry on .*no such parameter.*spelling"),
    ({"maxmemory": "lots"}, r"redis_settings\.maxmemory on .*'lots' is not a size"),
    ({"maxmemory-policy": "lru"}, r"redis_settings\.maxmemory-policy on .*'lru' is not one of"),
    ({"maxmemory-samples": "0"}, r"outside its range, 1 to 2147483647"),
    ({"maxmemory-samples": "10mb"}, r"'10mb' is not an integer"),
    ({"appendonly": "sometimes"}, r"'sometimes' is not yes or no"),
    ({"save": "900"}, r"not pairs of seconds and changes"),
    ({"databases": 32}, r"redis_settings\.databases on .*cannot change it while it runs"),
    ({"notify-keyspace-events": "Q"}, r"'Q' are not classes"),
    (
        {"maxclients": 1_000_000},
        r"redis_settings\.maxclients on .*1000000 clients and 32 files of its own are more than the",
    ),
    # Redis shows no n beside A, and CONFIG REWRITE would lose it.
    ({"notify-keyspace-events": "AKEn"}, r"set to 'AKEn', which the server made 'AKE'; nothing was changed"),
    ({"slave-priority": 90, "replica-priority": 90}, r"slave-priority and replica-priority are one parameter; give one"),
    ({"maxmemory": 0, "maxmemory-policy": "allkeys-lru"}, r"redis_settings\.maxmemory on .*0 is no limit"),
    ({"requirepass": "another"}, r"redis_settings\.requirepass on .*could not go on"),
    ({"timeout": None}, r"takes a text, a number or a list"),
]


@pytest.mark.parametrize(("wrong", "message"), ERRORS)
def test_a_wrong_setting_is_one_clear_error_and_nothing_is_written(
    untuned: Services, wrong: dict[str, Any], message: str
) -> None:
    with untuned.redis_client() as client:
        before = client.config_get("*")
        with pytest.raises(TuningError, match=message) as caught:
            run(untuned, {"maxmemory": "77mb", "loglevel": "warning", **wrong})
        assert "\n" not in str(caught.value)
        assert client.config_get("*") == before


def test_a_server_that_is_down_is_one_clear_error(services: Services) -> None:
    with pytest.raises(TuningError, match=r"redis_connection: cannot talk to Redis at 127\.0\.0\.1:1:"):
        run(services, {"maxmemory": "64mb"}, connection={**services.redis, "port": 1})


def test_a_wrong_password_is_one_clear_error_without_it(services: Services) -> None:
    with pytest.raises(TuningError, match="redis_connection on") as caught:
        run(services, {"maxmemory": "64mb"}, connection={**services.redis, "username": "nobody", "password": "wrong-secret"})
    assert "wrong-secret" not in str(caught.value)


def test_a_user_without_the_privilege_is_told_so(untuned: Services) -> None:
    with untuned.redis_client() as client:
        client.execute_command("ACL", "SETUSER", "onlooker", "on", ">onlooker", "~*", "+info", "+config|get")
        try:
            mine = {**untuned.redis, "username": "onlooker", "password": "onlooker"}
            with pytest.raises(TuningError, match=r"Redis refused the user onlooker: .*config.set.*ACL"):
                run(untuned, {"maxmemory": "64mb"}, connection=mine)
            assert client.config_get("maxmemory") == {"maxmemory": "0"}
        finally:
            client.execute_command("ACL", "DELUSER", "onlooker")


def test_a_file_that_cannot_be_written_is_not_reported_as_success(untuned: Services) -> None:
    folder = untuned.redis_conf.parent
    mode = folder.stat().st_mode
    try:
        folder.chmod(0o555)
        with pytest.raises(
            TuningError, match=r"could not write .*redis\.conf.*until the next restart there are in force: maxmemory"
        ):
            run(untuned, {"maxmemory": "64mb"})
        with untuned.redis_client() as client:
            assert client.config_get("maxmemory") == {"maxmemory": "67108864"}
    finally:
        folder.chmod(mode)


def test_a_secret_never_shows(untuned: Services) -> None:
    with untuned.redis_client() as client:
        try:
            result = run(untuned, {"masterauth": "first-secret"})
            again = run(untuned, {"masterauth": "second-secret"})
        finally:
            client.config_set("masterauth", "")
            client.config_rewrite()
    assert result["changed"]
    assert again["changed"]
    assert "secret" not in f"{result}{again}"


def test_a_policy_that_does_not_protect_keys_is_warned_of(untuned: Services) -> None:
    # Without persistence it does not fork, and nothing is said of its host.
    warnings = plan(untuned, {"maxmemory": "64mb", "maxmemory-policy": "volatile-lru", "save": ""})["warnings"]
    warnings = [text for text in warnings if "outlives a restart" not in text]
    assert len(warnings) == 1
    assert "evicts the keys that have a TTL" in warnings[0]
    found = plan(untuned, {"maxmemory": "64mb", "maxmemory-policy": "allkeys-lru", "save": ""})["warnings"]
    assert [text for text in found if "outlives a restart" not in text] == []
