# SPDX-License-Identifier: GPL-3.0-or-later
"""Real requests to a web server, over a connection of their own each, and what the handshake agreed on."""

from __future__ import annotations

import http.client
import socket
import ssl
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError

VERSIONS = {
    "TLSv1.0": ssl.TLSVersion.TLSv1,
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}
_MOST_BYTES = 16 << 20


@dataclass(frozen=True)
class Site:
    """Where a site is reached: the name that is asked for, and the address that is connected to."""

    scheme: str
    host: str
    address: tuple[str, int]
    ca_cert: str | None
    timeout: float

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Site:
        """Of the options ``url``, ``address``, ``ca_cert`` and ``timeout``.

        :raises TuningError: for a URL that is none.
        """
        parts = urlsplit(options["url"])
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in {"http", "https"} or not parts.hostname or port == -1:
            raise TuningError(f"url {options['url']}: it has to be such as https://leads.example.com")
        port = port or (443 if parts.scheme == "https" else 80)
        host, colon, given = (options["address"] or "").rpartition(":")
        if options["address"] and not (colon and given.isdigit()):
            raise TuningError(f"address {options['address']}: it has to be a host and a port, such as 192.0.2.1:443")
        address = (host, int(given)) if colon else (parts.hostname, port)
        return cls(parts.scheme, parts.hostname, address, options["ca_cert"], options["timeout"])

    def error(self, what: object) -> TuningError:
        """An error that says which site it is of."""
        host, port = self.address
        return TuningError(f"{self.scheme}://{self.host} at {host}:{port}: {what}")


@dataclass(frozen=True)
class Answer:
    """A response; header names in lower case, of several of a name the values with a comma between."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    def directives(self) -> dict[str, str]:
        """Those of Cache-Control, by name in lower case; empty where one has no value."""
        parts = (each.strip().partition("=") for each in self.headers.get("cache-control", "").split(",") if each.strip())
        return {name.lower(): value.strip('"') for name, _equals, value in parts}

    def lifetime(self) -> int | None:
        """How many seconds a shared cache may keep it: ``s-maxage``, else ``max-age`` (RFC 9111, 5.2.2)."""
        given = self.directives()
        value = given.get("s-maxage", given.get("max-age", ""))
        return int(value) if value.isdigit() else None

    def is_hit(self) -> bool:
        """Whether a cache says that it had it: by Cache-Status (RFC 9211), the usual names besides, or an Age."""
        named = ("x-cache", "x-cache-status", "cf-cache-status", "x-varnish-cache", "x-proxy-cache")
        if any(self.headers.get(name, "").upper().startswith("HIT") for name in named):
            return True
        if any(part.strip() == "hit" for part in self.headers.get("cache-status", "").split(";")):
            return True
        return self.headers.get("age", "0").isdigit() and int(self.headers.get("age", "0")) > 0


def get(site: Site, path: str, headers: Mapping[str, str]) -> Answer:
    """One request on a connection of its own; redirects are not followed.

    :raises TuningError: when there is no answer, or the certificate is not to be trusted.
    """
    connection = http.client.HTTPConnection(site.host, site.address[1], timeout=site.timeout)
    try:
        connection.sock = _connect(site) if site.scheme == "http" else handshake(site)[0]
        connection.request("GET", path, headers={"User-Agent": "leadgen-tuning", **headers})
        answer = connection.getresponse()
        found: dict[str, str] = {}
        for name, value in answer.getheaders():
            found[name.lower()] = f"{found[name.lower()]}, {value}" if name.lower() in found else value
        return Answer(answer.status, found, answer.read(_MOST_BYTES))
    except (OSError, http.client.HTTPException) as error:
        raise site.error(f"{path}: {_reason(error)}") from error
    finally:
        connection.close()


def _connect(site: Site) -> socket.socket:
    return socket.create_connection(site.address, site.timeout)


@dataclass(frozen=True)
class Handshake:
    """What was agreed on: the version, the cipher, the protocol above it, and until when the certificate holds."""

    version: str
    cipher: str
    protocol: str
    not_after: datetime


def handshake(site: Site, protocols: tuple[str, ...] = ()) -> tuple[ssl.SSLSocket, Handshake]:
    """A handshake as a browser does it: the name and the chain are checked.

    :raises TuningError: when that fails.
    """
    try:
        context = ssl.create_default_context(cafile=site.ca_cert)
        if protocols:
            context.set_alpn_protocols(list(protocols))
        secure = context.wrap_socket(_connect(site), server_hostname=site.host)
    except (OSError, ssl.SSLError) as error:
        raise site.error(_reason(error)) from error
    certificate = secure.getpeercert() or {}
    ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate.get("notAfter", ""))), UTC)
    cipher = secure.cipher()
    about = Handshake(str(secure.version()), cipher[0] if cipher else "", secure.selected_alpn_protocol() or "", ends)
    return secure, about


def accepts(site: Site, version: str) -> bool | None:
    """Whether the server shakes hands in that version of TLS alone; None where this machine's library cannot try.

    :raises TuningError: when the server cannot be reached.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        # What is refused here by default is what has to be offered.
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # that old versions are deprecated is what this is about
            context.minimum_version = context.maximum_version = VERSIONS[version]
    except (ssl.SSLError, ValueError):
        return None
    try:
        plain = _connect(site)
    except OSError as error:
        raise site.error(_reason(error)) from error
    try:
        with context.wrap_socket(plain, server_hostname=site.host):
            return True
    except ssl.SSLError as error:
        # The client's own refusal is no answer of the server's.
        return None if "NO_PROTOCOLS_AVAILABLE" in str(error) or "NO_CIPHERS" in str(error) else False
    except OSError:
        return False
    finally:
        plain.close()


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not to be trusted: {error.verify_message}"
    return " ".join(str(getattr(error, "strerror", None) or error or type(error).__name__).split())
