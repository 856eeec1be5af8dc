# SPDX-License-Identifier: GPL-3.0-or-later
"""Redis with stock settings, filled with leads and sessions."""

import json
import random
from collections.abc import Iterator
from itertools import islice

import redis

from . import files
from .processes import LOOPBACK
from .service import Program, Service

BATCH = 1000
SESSION_SECONDS = 1800
TTL_SECONDS = (3600, 86400)


def client(port: int) -> redis.Redis:
    return redis.Redis(host=LOOPBACK, port=port, socket_timeout=5, socket_connect_timeout=2)


def lead_json(number: int, chance: random.Random) -> str:
    """A cached lead of 300 to 600 bytes."""
    products = ("auto", "home", "life", "health", "renters")
    lead = {
        "id": number,
        "name": f"Customer {number}",
        "email": f"customer{number}@example.com",
        "phone": f"+1555{number % 10_000_000:07d}",
        "product": products[number % len(products)],
        "score": chance.randrange(100),
        "quotes": [{"carrier": "Northwind Mutual", "premium_cents": chance.randrange(20_000, 200_000)}],
        "notes": "asked for a call back; " * chance.randrange(5, 16),
    }
    return json.dumps(lead)


class RedisServer(Service):
    name = "redis"
    needs = (Program("redis-server", "redis-server"),)

    def make(self) -> None:
        self.write("redis.conf", files.render("redis.conf.j2", folder=self.folder, host=LOOPBACK, port=self.port))

    def launch(self) -> None:
        self.run("redis-server", self.folder / "redis.conf")

    def answers(self) -> bool:
        try:
            with client(self.port) as connection:
                return bool(connection.ping())
        except (redis.RedisError, OSError):
            return False

    def fill(self) -> None:
        """Puts the keys in, 1000 at a time, and saves them once: a kill later does not empty the cache."""
        with client(self.port) as connection:
            entries = self._entries()
            while batch := list(islice(entries, BATCH)):
                pipeline = connection.pipeline(transaction=False)
                for key, value, seconds in batch:
                    pipeline.set(key, value, ex=seconds)
                pipeline.execute()
            connection.save()

    def _entries(self) -> Iterator[tuple[str, str, int | None]]:
        chance = random.Random(42)  # noqa: S311 - the same data every time, no secret
        keys = self.state.sizes["keys"]
        for number in range(1, keys + 1):
            yield f"lead:{number}", lead_json(number, chance), chance.randint(*TTL_SECONDS) if number % 4 == 0 else None
        for number in range(1, keys // 10 + 1):
            yield f"session:{number}", json.dumps({"user": number, "csrf": f"{number:032x}"}), SESSION_SECONDS

    def host_variables(self) -> dict[str, object]:
        return {"redis_connection": {"host": LOOPBACK, "port": self.port}}
