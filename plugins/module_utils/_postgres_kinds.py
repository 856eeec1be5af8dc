# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells the kinds of server apart, by signs that any role may read."""

from __future__ import annotations

from collections.abc import Iterable

from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_managed import AZURE, CLOUD_SQL, PATRONI, RDS
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_self_hosted import SelfHosted
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_server import Kind

# A parameter that each service adds. Its roles are no sign: a dump carries those to other servers.
_SIGNS: dict[str, Kind] = {"rds.extensions": RDS, "cloudsql.logical_decoding": CLOUD_SQL, "azure.extensions": AZURE}
SIGNS = list(_SIGNS)
# Patroni moves the file that it found aside to this name, and writes one that includes it.
_PATRONI_FILE = "postgresql.base.conf"


def by_signs(found: Iterable[str]) -> Kind:
    """The kind of server that has these parameters of SIGNS; self-hosted without any."""
    return next((_SIGNS[name] for name in found), SelfHosted())


def by_files(kind: Kind, paths: Iterable[str]) -> Kind:
    """The kind, now that the configuration files' paths are known too."""
    return PATRONI if any(path.endswith("/" + _PATRONI_FILE) for path in paths) else kind
