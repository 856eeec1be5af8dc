# SPDX-License-Identifier: GPL-3.0-or-later
"""Values in Secrets: what they have to be, who else writes them, and what may be told of them. No I/O."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

# Kinds that write Secrets themselves, and would write over what is put there.
_WRITERS = frozenset({"ClusterExternalSecret", "ExternalSecret", "SealedSecret"})
_CHECKSUM = "leadgen.tuning/checksum-"
# What Prisma reads of its URL, which is no secret.
_PARAMETERS = frozenset({"connection_limit", "pgbouncer", "pool_timeout"})


def wanted_secret(namespace: str, name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The object to be applied; keys that are not named stay as they are."""
    data = {key: base64.b64encode(str(value).encode()).decode() for key, value in values.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"namespace": namespace, "name": name}, "data": data}


def writer_of(secret: Mapping[str, Any] | None) -> str:
    """Who writes the Secret, such as ``ExternalSecret leads-db``; empty where nobody is known to."""
    for owner in (secret or {}).get("metadata", {}).get("ownerReferences", ()):
        if owner["kind"] in _WRITERS:
            return f"{owner['kind']} {owner['name']}"
    return ""


def checksum(name: str, marks: Mapping[str, Any]) -> dict[str, str]:
    """An annotation of the pods by which other marks make them anew: an environment is read when a container starts.

    It says that a value is another, and too little of it is shown to find out which.
    """
    return {f"{_CHECKSUM}{name}": hashlib.sha256(repr(sorted(marks.items())).encode()).hexdigest()[:8]}


def value_in(secret: Mapping[str, Any] | None, key: str) -> str | None:
    """The value of a key; None where there is none, or no text."""
    encoded = ((secret or {}).get("data") or {}).get(key)
    try:
        return None if encoded is None else base64.b64decode(encoded).decode()
    except ValueError:
        return None


def told(values: Mapping[str, Any]) -> str:
    """The keys, and of a URL the parameters that are no secret."""
    found = []
    for key, value in values.items():
        parameters = [f"{name}={each}" for name, each in parse_qsl(urlsplit(str(value)).query) if name in _PARAMETERS]
        found.append(f"{key} with {' and '.join(parameters)}" if parameters else key)
    return ", ".join(found)
