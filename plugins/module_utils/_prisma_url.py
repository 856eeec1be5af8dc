# SPDX-License-Identifier: GPL-3.0-or-later
"""Prisma's connection URL: its pool and PgBouncer parameters, and nothing else of it, are changed. No I/O.

Sources: Prisma's documentation, pages "PostgreSQL" (form and arguments of the URL), "Connection pool" (parameters, their
defaults, Prisma 7), "Configure Prisma Client with PgBouncer" (the flag, the direct URL); and for what they leave open
``quaint/src/connector/postgres/url.rs`` of prisma-engines: names are percent-decoded before they are compared, and of a
parameter that is given twice the last one counts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv6Address
from urllib.parse import quote, unquote_plus

from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._numbers import whole_number

# The first release that tracks named prepared statements, which Prisma uses (PgBouncer's changelog).
PREPARED_STATEMENTS = (1, 21)
# What a direct connection has no use for: Prisma's command line opens a single one.
POOL_PARAMETERS = (
    "connection_limit",
    "pool_timeout",
    "max_connection_lifetime",
    "max_idle_connection_lifetime",
    "pgbouncer",
)

_SCHEMES = ("postgresql://", "postgres://")
_NOT_IN_A_URL = re.compile(r"[\s\x00-\x1f\x7f#]")
_HOST_AND_PORT = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[^\[\]:,@]+)(?::([0-9]{1,5}))?")
_HOST_NAME = re.compile(r"[A-Za-z0-9._-]+")
_VERSION = re.compile(r"(?:PgBouncer )?([0-9]{1,4})\.([0-9]{1,4})(?:\D.*)?", re.DOTALL)


@dataclass(frozen=True, repr=False)  # a representation would show the password
class PrismaUrl:
    """The parts of a URL, each byte as it was: scheme with ``//``, user with ``@``, host with port, path, parameters."""

    scheme: str
    user: str
    address: str
    path: str
    parameters: tuple[str, ...]

    def __str__(self) -> str:
        query = "?" + "&".join(self.parameters) if self.parameters else ""
        return self.scheme + self.user + self.address + self.path + query


def parse(url: str) -> PrismaUrl:
    """Take a URL apart at its delimiters and decode nothing; empty parameters (``&&``) are left out.

    :raises TuningError: for what Prisma could not read as a URL of PostgreSQL, without repeating any of it.
    """
    scheme = next((scheme for scheme in _SCHEMES if url.startswith(scheme)), None)
    if scheme is None:
        raise TuningError("the URL has to begin with postgresql:// or postgres://")
    if _NOT_IN_A_URL.search(url):
        raise TuningError("the URL has a space, a line break or a # in it: percent-encode it, as %20 or %23")
    before, _, query = url.removeprefix(scheme).partition("?")
    authority, slash, path = before.partition("/")
    user, at, address = authority.rpartition("@")
    if "@" in path or ("@" in query and not at):
        raise TuningError("the URL has an @ after its host: percent-encode / ? and @ in the password, as %2F, %3F and %40")
    if not _HOST_AND_PORT.fullmatch(address):
        raise TuningError("the URL has to have one host, with at most the number of a port after it")
    return PrismaUrl(scheme, user + at, address, slash + path, tuple(filter(None, query.split("&"))))


def with_parameters(url: PrismaUrl, wanted: Mapping[str, str | None]) -> PrismaUrl:
    """Set parameters where they stand, add those that are missing at the end, and take out those that are None.

    A second one of the same name goes, since Prisma would take that for the value. All others keep place and spelling.
    """
    kept, left = [], {name: value for name, value in wanted.items() if value is not None}
    for parameter in url.parameters:
        name = unquote_plus(parameter.partition("=")[0])
        if name not in wanted:
            kept.append(parameter)
        elif name in left:
            kept.append(f"{name}={left.pop(name)}")
    return replace(url, parameters=(*kept, *(f"{name}={value}" for name, value in left.items())))


def prisma_url(
    url: str,
    connection_limit: int | str,
    pool_timeout: int | str | None = None,
    pgbouncer_version: str | None = None,
    max_prepared_statements: int | str | None = None,
) -> str:
    """Set the pool's size, how many seconds a query waits for a connection (0: for ever), and PgBouncer's flag.

    None for ``pool_timeout`` leaves that as it is, and None for ``pgbouncer_version`` the flag. Prisma 6 and before read
    these parameters; the driver adapters of Prisma 7 do not, see pool_environment().

    :raises TuningError: for wrong input, without repeating any of the URL.
    """
    wanted: dict[str, str | None] = {"connection_limit": str(whole_number("connection_limit", connection_limit, 1))}
    if pool_timeout is not None:
        wanted["pool_timeout"] = str(whole_number("pool_timeout", pool_timeout))
    if pgbouncer_version is not None:
        wanted["pgbouncer"] = "true" if needs_flag(pgbouncer_version, max_prepared_statements) else None
    return str(with_parameters(parse(url), wanted))


def needs_flag(pgbouncer_version: str, max_prepared_statements: int | str | None) -> bool:
    """Whether Prisma has to do without named prepared statements (``pgbouncer=true``): below PgBouncer 1.21.

    From 1.21 on PgBouncer tracks them when ``max_prepared_statements`` is above 0, its default being 0 before 1.24 and 200
    from there; and Prisma advises against the flag.

    :raises TuningError: for what is no version, and from 1.21 on when PgBouncer does not track them.
    """
    match = _VERSION.fullmatch(pgbouncer_version) if isinstance(pgbouncer_version, str) else None
    if not match:
        raise TuningError('pgbouncer_version has to be a text such as "1.24.1", in quotes, since YAML reads 1.20 as 1.2')
    if (int(match[1]), int(match[2])) < PREPARED_STATEMENTS:
        return True
    if max_prepared_statements is None or whole_number("max_prepared_statements", max_prepared_statements) == 0:
        raise TuningError(
            f"Prisma needs max_prepared_statements above 0 in PgBouncer {match[1]}.{match[2]}: set it and give it here"
        )
    return False


def direct_url(url: str, host: str, port: int | str = 5432) -> str:
    """The URL for migrations: straight to the database's ``host`` and ``port``, without parameters of a pool.

    A host that begins with / is the folder of a socket. The parameter ``host`` would go before the address, so it is taken
    out, or set for a socket; there Prisma wants ``localhost`` as the address.

    :raises TuningError: for wrong input, without repeating any of the URL.
    """
    number = whole_number("port", port, 1)
    socket = isinstance(host, str) and host.startswith("/") and not _NOT_IN_A_URL.search(host)
    address = "localhost" if socket else _address(host)
    wanted = {**dict.fromkeys(POOL_PARAMETERS), "host": quote(host) if socket else None}
    return str(with_parameters(replace(parse(url), address=f"{address}:{number}"), wanted))


def _address(host: str) -> str:
    """A host as a URL has it: an address of IPv6 in brackets."""
    if isinstance(host, str) and _HOST_NAME.fullmatch(host):
        return host
    try:
        address = IPv6Address(str(host).strip("[]"))
    except ValueError:
        address = None
    if address is None or address.scope_id:
        raise TuningError("host has to be the database's name, address or socket folder, without user, port and %")
    return f"[{address}]"


def pool_environment(
    connection_limit: int | str, pool_timeout: int | str = 10, prefix: str = "DATABASE_POOL_"
) -> dict[str, str]:
    """The pool for a driver adapter of Prisma 7, which ignores the URL's parameters, as variables of the environment.

    Prisma reads none by itself: the application hands ``..MAX`` to the adapter as ``max`` and ``..TIMEOUT_MS`` as
    ``connectionTimeoutMillis`` (milliseconds, 0: for ever). ``pool_timeout`` is in seconds, by default Prisma 6's own 10;
    the adapter's own defaults are 10 connections and no timeout.

    :raises TuningError: for wrong input.
    """
    if not isinstance(prefix, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", prefix):
        raise TuningError("prefix has to be the beginning of a variable's name, such as DATABASE_POOL_")
    return {
        f"{prefix}MAX": str(whole_number("connection_limit", connection_limit, 1)),
        f"{prefix}TIMEOUT_MS": str(whole_number("pool_timeout", pool_timeout) * 1000),
    }
