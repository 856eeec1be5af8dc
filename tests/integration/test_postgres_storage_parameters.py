# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of storage parameters, held against the server: it takes each limit, and refuses what is beyond."""

from __future__ import annotations

import psycopg
import pytest
from ansible_collections.leadgen.tuning.plugins.module_utils import _postgres_storage_parameters as known
from psycopg import sql

from tests.integration.conftest import Services

NUMBERS = sorted({**known._INTEGERS, **known._REALS})
MOST = 2**31 - 1  # beyond it there is no integer to refuse


def takes(services: Services, name: str, value: object) -> bool:
    statement = sql.SQL("create table limits_of () with ({} = {})").format(
        sql.Identifier(*name.split(".")), sql.Literal(value)
    )
    with psycopg.connect(**services.superuser_to("leadgen")) as connection:
        try:
            connection.execute(statement)
        except psycopg.errors.InvalidParameterValue:
            return False
        finally:
            connection.rollback()
    return True


def version(services: Services) -> int:
    [(number,)] = services.sql("select current_setting('server_version_num')::int")
    return int(number)


@pytest.mark.parametrize("name", NUMBERS)
def test_limits_are_the_servers(services: Services, name: str) -> None:
    low, high = {**known._INTEGERS, **known._REALS}[name]
    if version(services) // 10000 < known._SINCE.get(name, 0):
        with pytest.raises(ValueError, match="came with PostgreSQL"):
            known.storage_parameter(name, version(services))
        assert not takes(services, name, low)
        return
    for own in (name, *([] if name.startswith(known._TABLE_ONLY) else [f"toast.{name}"])):
        assert takes(services, own, low)
        assert takes(services, own, high)
        assert not takes(services, own, low - 1)
        assert high == MOST or not takes(services, own, high + 1)


@pytest.mark.parametrize("name", ["autovacuum_enabled", "vacuum_truncate", "vacuum_index_cleanup"])
def test_words_are_the_servers(services: Services, name: str) -> None:
    for own in (name, f"toast.{name}"):
        assert takes(services, own, "on")
        assert takes(services, own, "off")
        assert takes(services, own, "auto") == (name == "vacuum_index_cleanup")


@pytest.mark.parametrize("name", known._TABLE_ONLY)
def test_what_is_the_tables_alone_is_refused_for_its_toast(services: Services, name: str) -> None:
    full = {"autovacuum_analyze_": "autovacuum_analyze_threshold"}.get(name, name)
    assert not takes(services, f"toast.{full}", 50)
