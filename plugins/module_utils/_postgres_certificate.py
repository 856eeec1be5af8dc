# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a server's certificate was not trusted, which libpq does not say: expired, or of an unknown authority."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Mapping
from typing import Any

# The message that asks for TLS before anything else (PostgreSQL documentation, "Message Formats", SSLRequest).
_SSL_REQUEST = struct.pack("!ii", 8, 80877103)


def why_not_trusted(options: Mapping[str, Any]) -> str:
    """Shake hands once more for the reason, as OpenSSL words it; empty where it cannot be found out."""
    try:
        context = ssl.create_default_context(cafile=options["sslrootcert"])
        context.check_hostname = False
        with socket.create_connection((options["host"], options["port"]), options["connect_timeout"]) as plain:
            plain.sendall(_SSL_REQUEST)
            if plain.recv(1) != b"S":
                return ""
            with context.wrap_socket(plain):
                return ""
    except ssl.SSLCertVerificationError as error:
        return error.verify_message
    except (OSError, KeyError, ValueError):
        return ""
