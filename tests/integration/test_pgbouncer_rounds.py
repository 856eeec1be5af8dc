# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan is the truth for PgBouncer too: rounds of drift by other hands, in its file and on its console."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.leadgen.tuning.plugins.module_utils import _pgbouncer_ini as ini

from tests.integration.conftest import Services
from tests.integration.test_pgbouncer_config import run

ROUNDS = 40
# Setting: values, each in several spellings of the same meaning; the first spelling is one that a console takes.
SETTINGS: dict[str, list[list[Any]]] = {
    "pool_mode": [["session", "SESSION"], ["transaction", "Transaction"], ["statement"]],
    "max_client_conn": [[100, "100"], [250, "250"]],
    "default_pool_size": [[20, "20"], [12, "12"]],
    "server_idle_timeout": [["600", 600, "600.0"], ["0.5", 0.5], [0, "0"]],
    "query_wait_timeout": [[120, "120.0"], [15, "15"]],
    "ignore_startup_parameters": [["", []], ["extra_float_digits,search_path", ["extra_float_digits", "search_path"]]],
    "server_reset_query": [["DISCARD ALL"], [""]],
    "log_connections": [[1, True, "1"], [0, False, "0"]],
    "tcp_keepidle": [[0, "0"], [60, "60"]],
}
DATABASE: dict[str, list[list[Any]]] = {
    "pool_size": [[5, "5"], [7]],
    "pool_mode": [["session"], ["transaction", "TRANSACTION"]],
    "min_pool_size": [[0], [2, "2"]],
}


def choose(generator: random.Random, table: dict[str, list[list[Any]]], share: float, first: bool = False) -> dict[str, Any]:
    chosen = {name: generator.choice(table[name]) for name in table if generator.random() < share}
    return {name: spellings[0] if first else generator.choice(spellings) for name, spellings in chosen.items()}


def drift(services: Services, generator: random.Random) -> None:
    text = services.pgbouncer_ini.read_text(encoding="utf-8")
    in_file = {name: str(value) for name, value in choose(generator, SETTINGS, 0.4, first=True).items()}
    entry = ini.read_entry(ini.read(text, str)["databases"]["leadgen"])
    text = ini.write(
        text, "databases", {"leadgen": ini.write_entry({**entry, **choose(generator, DATABASE, 0.4, first=True)})}
    )
    services.pgbouncer_ini.write_text(ini.write(text, ini.MAIN, in_file), encoding="utf-8")
    if generator.random() < 0.6:
        services.console("reload")
    for name, value in choose(generator, SETTINGS, 0.3, first=True).items():
        services.console(f"set {name} = '{value}'")


def live(services: Services) -> dict[str, Any]:
    """By label what the server says of what the tables have."""
    found = {row["key"]: row["value"] for row in services.console("show config") if row["key"] in SETTINGS}
    row = next(row for row in services.console("show databases") if row["name"] == "leadgen")
    return {**found, **{f"databases.leadgen.{name}": row[name] for name in DATABASE}}


@pytest.fixture(scope="module")
def drifting(services: Services) -> Iterator[Services]:
    """The rounds drift further and further; the file is put back once, at the end."""
    text = services.pgbouncer_ini.read_text(encoding="utf-8")
    yield services
    services.pgbouncer_ini.write_text(text, encoding="utf-8")
    services.console("reload")


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_plan_apply_plan(drifting: Services, seed: int) -> None:
    generator = random.Random(seed)  # noqa: S311 - no secret, a repeatable choice
    drift(drifting, generator)
    wanted = {"settings": choose(generator, SETTINGS, 0.7), "databases": {"leadgen": choose(generator, DATABASE, 0.7)}}

    before, text = live(drifting), drifting.pgbouncer_ini.read_text(encoding="utf-8")
    planned = run(drifting, check_mode=True, **wanted)
    assert (live(drifting), drifting.pgbouncer_ini.read_text(encoding="utf-8")) == (before, text)

    assert run(drifting, **wanted) == planned
    after = live(drifting)
    labels = {*wanted["settings"], *(f"databases.leadgen.{name}" for name in wanted["databases"]["leadgen"])}
    changed = {name for name in labels if after[name] != before[name]}
    # What is planned and does not change live stands in the file alone, which the next start would have brought.
    assert changed <= set(planned["diff"]["after"])
    assert run(drifting, check_mode=True, **wanted)["changed"] is False
    drifting.console("reload")
    assert {name: live(drifting)[name] for name in labels} == {name: after[name] for name in labels}
