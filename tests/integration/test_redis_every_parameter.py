# SPDX-License-Identifier: GPL-3.0-or-later
"""Every parameter of every release, in every spelling that the server itself takes for the value it has.

The server is the judge: a text that CONFIG SET takes, and after which CONFIG GET answers as before, is another spelling of
the value; one after which it answers otherwise is another value.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._redis_parameters import (
    ALIASES,
    DEFAULTS,
    IMMUTABLE,
    VALKEY_DEFAULTS,
)
from ansible_collections.leadgen.tuning.plugins.module_utils._redis_values import canonical

from tests.integration.redis_server import NO_SNAPSHOTS, RELEASES, RedisServer, redis_server
from tests.integration.test_redis_persistence import run

UNITS = {"b": 1, "k": 1000, "kb": 1024, "m": 10**6, "mb": 1024**2, "g": 10**9, "gb": 1024**3}
# Another value of these would take the server from its clients.
OF_THE_CONNECTION = {"bind", "dir", "port", "tls-port", "bind-source-addr", "protected-mode"}
CONF = f"{NO_SNAPSHOTS}maxmemory 64mb\nnotify-keyspace-events KEA\n"


@pytest.fixture(scope="module", params=RELEASES)
def server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    with redis_server(request.param, CONF) as made:
        yield made


@pytest.fixture(scope="module")
def parameters(server: RedisServer) -> dict[str, str]:
    """Every parameter and its value, in the server's words."""
    with server.client() as client:
        return {str(name): str(value) for name, value in client.config_get("*").items()}


def spellings(value: str) -> list[Any]:
    """Texts, and YAML's own types, that may stand for the value, or for another."""
    found: list[Any] = [value, value.upper(), value.title(), value.swapcase(), f" {value} "]
    words = value.split()
    found += [" ".join(order) for order in itertools.islice(itertools.permutations(words), 6)] if len(words) > 1 else []
    found += [words] if len(words) > 1 else []
    if value in ("yes", "no"):
        found += [value == "yes", "on", "off", "true", "false", "1"]
    if value.lstrip("-").isdigit():
        number = int(value)
        found += [number, f"+{value}", f"0{value}", f"{value}.0", f"{value}%"]
        found += [f"{number // size}{unit}" for unit, size in UNITS.items() if number > 0 and number % size == 0]
        found += [f"{number // size}{unit.upper()}" for unit, size in UNITS.items() if number > 0 and number % size == 0]
        found += [oct(number).replace("o", ""), number + 1]
    if words and all(word.lstrip("-").replace(".", "", 1).isdigit() for word in words) and len(words) > 1:
        found += [" ".join(f"+{word}" for word in words), " ".join(f"{float(word):.3f}" for word in words)]
    found += [value.replace("slave", "replica"), "relative", "absolute", "none", "default", "nosave force", "force nosave"]
    return found


def text(given: Any) -> str:
    """As Redis takes what YAML gives."""
    if isinstance(given, bool):
        return "yes" if given else "no"
    return " ".join(map(str, given)) if isinstance(given, list) else str(given)


def outcome(client: redis.Redis, name: str, given: Any) -> str | None:
    """What CONFIG GET answers once it was set; None where the server refuses it."""
    try:
        client.execute_command("CONFIG SET", name, text(given))
    except redis.ResponseError:
        return None
    return str(client.config_get(name)[name])


def test_every_spelling_is_compared_as_the_server_does(server: RedisServer, parameters: dict[str, str]) -> None:
    wrong, judged = [], set()
    with server.client() as client:
        for name, value in sorted(parameters.items()):
            judged.add(name)
            for given in spellings(value) if name not in OF_THE_CONNECTION else [value]:
                after = outcome(client, name, given)
                if after is None:
                    continue
                client.execute_command("CONFIG SET", name, value)
                if is_same(name, given, value) != (after == value):
                    wrong.append((name, value, given, after))
    assert wrong == [], "\n" + "\n".join(map(str, wrong))
    assert judged == set(parameters)


def test_what_a_silent_file_stands_for_is_known(server: RedisServer) -> None:
    with redis_server(server.release, "") as untouched, untouched.client() as client:
        for name in {**DEFAULTS, **VALKEY_DEFAULTS}:
            present = str(client.config_get(name)[name])
            assert run(untouched, {name: present}, check=True)["changed"] is False, (name, present)


def test_names_of_one_parameter_are_known(server: RedisServer, parameters: dict[str, str]) -> None:
    """When the one is set the other has changed; of numbers, since a number has always another."""
    found: dict[str, set[str]] = {}
    numbers = {name for name, value in parameters.items() if value.isdigit() and name not in OF_THE_CONNECTION}
    with server.client() as client:
        for name in sorted(numbers):
            if outcome(client, name, int(parameters[name]) + 1) is not None:
                now = client.config_get("*")
                found[name] = {other for other in numbers - {name} if str(now[other]) != parameters[other]}
                client.execute_command("CONFIG SET", name, parameters[name])
    known = {
        name: {twin for twin in numbers - {name} if ALIASES.get(twin, twin) == ALIASES.get(name, name)} for name in found
    }
    assert found == known
    one = next(name for name in sorted(ALIASES) if found.get(name))
    with pytest.raises(TuningError, match=f"name {one} and {ALIASES[one]}, which are one parameter; take one of them out"):
        run(server, {one: 1, ALIASES[one]: 2}, check=True)


def is_same(name: str, given: Any, value: str) -> bool:
    """What the comparison says; a value that it refuses is another one."""
    try:
        return canonical(name, given, value) == canonical(name, value, value)
    except ValueError:
        return False


def test_what_the_server_has_is_no_change(server: RedisServer, parameters: dict[str, str]) -> None:
    """All in one call, also of those that are for the file alone: the value as it is, and YAML's own type of it."""
    as_yaml = {name: {"yes": True, "no": False}.get(value, value) for name, value in parameters.items()}
    as_yaml = {name: int(value) if str(value).isdigit() else value for name, value in as_yaml.items()}
    server.connection["password"] = None
    for wanted in (parameters, as_yaml):
        settings = {name: value for name, value in wanted.items() if ALIASES.get(name) not in parameters}
        assert run(server, settings, check=True, persist=False)["diff"]["after"] == {}


def test_those_for_the_file_in_other_spellings(server: RedisServer, parameters: dict[str, str]) -> None:
    """A server takes them in its file, says what it made of them, and the comparison says the same."""
    known = [name for name in sorted(parameters) if name in IMMUTABLE and name not in ("logfile", "pidfile", "aclfile")]
    lines, changed = [], {}
    for name in known:
        value = parameters[name]
        if value in ("yes", "no") or (value.isalnum() and not value.isdigit()):
            lines.append(f"{name} {value.upper()}")
            changed[name] = value.upper()
    assert len(changed) > 3
    with redis_server(server.release, CONF + "\n".join(lines) + "\n") as other, other.client() as client:
        for name, given in changed.items():
            after = str(client.config_get(name)[name])
            assert is_same(name, given, parameters[name]) == (after == parameters[name]), name


def is_live(client: redis.Redis, name: str, value: str) -> bool:
    """Whether the server takes the parameter at all while it runs."""
    return outcome(client, name, value) is not None


@pytest.mark.parametrize("seed", range(12))
def test_drift_rounds(server: RedisServer, parameters: dict[str, str], seed: int) -> None:
    """Some are changed behind our back: the plan lists those alone, an apply mends them, and then nothing is left."""
    chance = random.Random(seed)  # noqa: S311 - it picks cases
    with server.client() as client:
        names = [
            name
            for name, value in sorted(parameters.items())
            if value.isdigit() and name not in OF_THE_CONNECTION | set(ALIASES) and is_live(client, name, value)
        ]
        wanted = {name: parameters[name] for name in chance.sample(names, 30)}
        run(server, wanted)
        moved = {}
        for name in chance.sample(sorted(wanted), 5):
            after = outcome(client, name, int(wanted[name]) + 1)
            if after is not None and after != wanted[name]:
                moved[name] = after
    planned = run(server, wanted, check=True)
    assert sorted(planned["diff"]["after"]) == sorted(moved)
    assert run(server, wanted)["diff"] == planned["diff"]
    assert run(server, wanted, check=True)["changed"] is False
    if seed % 6 == 0:
        server.kill()
        server.start()
        assert run(server, wanted, check=True)["changed"] is False
