# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan is the truth for every parameter of Redis and Valkey that can be set: rounds of drift by other hands."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import redis
from ansible_collections.leadgen.tuning.plugins.module_utils._redis_parameters import IMMUTABLE, present_name

from tests.integration.redis_server import RELEASES, RedisServer, redis_server
from tests.integration.redis_spellings import spellings
from tests.integration.test_redis_every_parameter import HEADER, REFUSED, Parameter, find, run, taken

ROUNDS = 12
# Where the server is found, what would lock the rounds out, and the limit without which no policy may evict.
KEPT = frozenset({"bind", "dir", "maxmemory", "port", "requirepass"})


@dataclass
class Drifting:
    """A server, two values of each parameter with their spellings, and what its file holds."""

    server: RedisServer
    values: dict[str, list[list[Any]]]  # by name; the first spelling of a value is the server's own
    in_file: dict[str, str]

    def live(self) -> dict[str, str]:
        with self.server.client() as client:
            return dict(client.config_get("*"))

    def choose(self, generator: random.Random, share: float) -> dict[str, list[Any]]:
        """Some parameters, each by one of its names, with the spellings of one of its values."""
        names: dict[str, list[str]] = {}
        for name in sorted(self.values):
            names.setdefault(present_name(name), []).append(name)
        chosen = [generator.choice(either) for either in names.values() if generator.random() < share]
        return {name: generator.choice(self.values[name]) for name in chosen}


def two_values(client: redis.Redis, parameter: Parameter) -> list[list[Any]]:
    (other, *_), _ = taken(client, parameter)
    client.config_set(parameter.name, other)
    answer = client.config_get(parameter.name)[parameter.name]
    client.config_set(parameter.name, parameter.value)
    return [parameter.spellings, spellings(parameter.kind, answer)]


@pytest.fixture(scope="module", params=RELEASES)
def drifting(request: pytest.FixtureRequest) -> Iterator[Drifting]:
    """The rounds drift further and further."""
    with redis_server(request.param, HEADER) as server:
        fixed = IMMUTABLE | KEPT | REFUSED.keys()
        with server.client() as client:
            free = [parameter for parameter in find(server) if present_name(parameter.name) not in fixed]
            values = {parameter.name: two_values(client, parameter) for parameter in free}
            in_file = dict(client.config_get("*"))
        yield Drifting(server, values, in_file)


def drift(drifting: Drifting, generator: random.Random) -> None:
    """Change some parameters, write the file or not, and change more."""
    with drifting.server.client() as client:
        for rewrite in (generator.random() < 0.6, False):
            for name, (text, *_) in drifting.choose(generator, 0.15).items():
                client.config_set(name, text)
            if rewrite:
                client.config_rewrite()
                drifting.in_file = drifting.live()


def wish(drifting: Drifting, generator: random.Random) -> tuple[dict[str, Any], dict[str, str]]:
    """Settings in any of their spellings, and the same as the server would answer them."""
    chosen = drifting.choose(generator, 0.3)
    return {name: generator.choice(some) for name, some in chosen.items()}, {name: some[0] for name, some in chosen.items()}


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_plan_apply_plan(drifting: Drifting, seed: int) -> None:
    generator = random.Random(seed)  # noqa: S311 - no secret, a repeatable choice
    server = drifting.server
    drift(drifting, generator)
    wanted, answers = wish(drifting, generator)
    before, text = drifting.live(), server.conf.read_text(encoding="utf-8")

    planned = run(server, wanted)
    assert (drifting.live(), server.conf.read_text(encoding="utf-8")) == (before, text)
    differing = {name for name, answer in answers.items() if not before[name] == drifting.in_file[name] == answer}
    assert planned["diff"]["after"].keys() == planned["diff"]["before"].keys() == differing
    assert planned["needs"].keys() == {name for name in differing if before[name] == answers[name]}

    assert run(server, wanted, check=False) == planned
    after = drifting.live()
    by_present_name = {present_name(name): answer for name, answer in answers.items()}
    assert after == {name: by_present_name.get(present_name(name), value) for name, value in before.items()}
    assert run(server, wanted)["changed"] is False

    with server.client() as client:
        client.config_rewrite()
        wait_until_it_can_stop(client)
    assert run(server, wanted)["changed"] is False
    server.restart()
    assert run(server, wanted)["changed"] is False
    assert drifting.live() == after
    drifting.in_file = after


def wait_until_it_can_stop(client: redis.Redis) -> None:
    """Just told to write an append-only file, Redis refuses to end until the first one is there."""
    deadline = time.monotonic() + 10
    while (about := client.info("persistence"))["aof_rewrite_in_progress"] or about["aof_rewrite_scheduled"]:
        assert time.monotonic() < deadline, "the append-only file is not written"
        time.sleep(0.02)
