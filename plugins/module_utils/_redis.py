# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections to Redis: their options, once, and their errors in one sentence."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError

if TYPE_CHECKING:
    Client = Any

try:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry
except ImportError as error:  # reported by connect(), where there is a caller to tell
    REDIS_MISSING: ImportError | None = error
else:
    REDIS_MISSING = None

# A client tells the server its library's name and version otherwise: two more round trips, and files to be read for them.
_SAYS_NOTHING: dict[str, Any] = {"lib_name": None, "lib_version": None}
with contextlib.suppress(ImportError):
    from redis.driver_info import DriverInfo  # redis-py 7.1

    _SAYS_NOTHING = {"driver_info": DriverInfo(name=None, lib_version=None)}

CONNECTION_OPTIONS: dict[str, Any] = {
    "host": {"type": "str", "default": "127.0.0.1"},
    "port": {"type": "int", "default": 6379},
    "unix_socket_path": {"type": "path"},
    "username": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "ssl": {"type": "bool", "default": False},
    "ssl_ca_certs": {"type": "path"},
    "ssl_certfile": {"type": "path"},
    "ssl_keyfile": {"type": "path", "no_log": False},
    "socket_timeout": {"type": "float", "default": 10.0},
    "config_command": {"type": "str", "default": "CONFIG"},
}


def connection_argument() -> dict[str, Any]:
    """The argument spec of the option ``connection``."""
    return {"connection": {"type": "dict", "required": True, "options": CONNECTION_OPTIONS}}


def endpoint(connection: Mapping[str, Any]) -> str:
    """Where a connection leads, for messages."""
    return str(connection.get("unix_socket_path") or f"{connection.get('host')}:{connection.get('port')}")


def answer_of(error: Exception) -> str:
    """The server's own words: redis-py puts the command before those of a pipeline, with the keys and values in it."""
    return str(error).rpartition(" caused error: ")[2]


@contextmanager
def connect(connection: Mapping[str, Any]) -> Iterator[Client]:
    """Open one client whose answers are texts.

    :raises TuningError: when redis-py is missing, the server cannot be reached, refuses the user, or goes away.
    """
    if REDIS_MISSING is not None:
        raise TuningError(
            f"redis is missing for {sys.executable} ({REDIS_MISSING}); "
            "install the Debian package python3-redis, or redis from PyPI"
        )
    options = {name: value for name, value in connection.items() if value is not None and value is not False}
    options.pop("config_command", None)  # no option of redis-py
    if "unix_socket_path" in options:
        options = {name: value for name, value in options.items() if name not in ("host", "port")}
    # RESP2: RESP3 starts with HELLO, which a restricted ACL user need not have.
    client = redis.Redis(
        **options,
        **_SAYS_NOTHING,
        socket_connect_timeout=connection["socket_timeout"],
        decode_responses=True,
        encoding_errors="surrogateescape",  # keys and values may be any bytes
        protocol=2,
        # A service that is down is said to be at once; the next run is the retry.
        retry=Retry(NoBackoff(), 0),
    )
    try:
        yield client
    except (redis.AuthenticationError, redis.exceptions.NoPermissionError) as error:
        raise TuningError(
            f"redis_connection on {endpoint(connection)}: Redis refused the user "
            f"{connection.get('username') or 'default'}: {answer_of(error)}; check its password and its ACL rule"
        ) from error
    except (redis.ConnectionError, redis.TimeoutError) as error:
        raise TuningError(
            f"redis_connection: cannot talk to Redis at {endpoint(connection)}: {error}; "
            "check that the server runs and that the values are right"
        ) from error
    except redis.ResponseError as error:
        raise TuningError(
            f"redis_connection on {endpoint(connection)}: Redis answered: {answer_of(error)}; see its log"
        ) from None
    finally:
        client.close()
