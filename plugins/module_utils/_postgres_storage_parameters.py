# SPDX-License-Identifier: GPL-3.0-or-later
"""The storage parameters of a table that decide when and how it is vacuumed. No I/O.

The server has no view of them. Types, limits and first versions are those of ``src/backend/access/common/reloptions.c`` and
of PostgreSQL's documentation, "Storage Parameters"; none takes a unit, and all but one can be given for the TOAST table too.
"""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.leadgen.tuning.plugins.module_utils._settings import Parameter

_TOAST = "toast."
_MOST = 2**31 - 1
_INTEGERS = {
    "autovacuum_analyze_threshold": (0, _MOST),
    "autovacuum_freeze_max_age": (100_000, 2_000_000_000),
    "autovacuum_freeze_min_age": (0, 1_000_000_000),
    "autovacuum_freeze_table_age": (0, 2_000_000_000),
    "autovacuum_multixact_freeze_max_age": (10_000, 2_000_000_000),
    "autovacuum_multixact_freeze_min_age": (0, 1_000_000_000),
    "autovacuum_multixact_freeze_table_age": (0, 2_000_000_000),
    "autovacuum_vacuum_cost_limit": (1, 10_000),
    "autovacuum_vacuum_insert_threshold": (-1, _MOST),
    "autovacuum_vacuum_max_threshold": (-1, _MOST),
    "autovacuum_vacuum_threshold": (0, _MOST),
    "fillfactor": (10, 100),
    "log_autovacuum_min_duration": (-1, _MOST),
}
_REALS = {
    "autovacuum_analyze_scale_factor": (0, 100),
    "autovacuum_vacuum_cost_delay": (0, 100),
    "autovacuum_vacuum_insert_scale_factor": (0, 100),
    "autovacuum_vacuum_scale_factor": (0, 100),
    "vacuum_max_eager_freeze_failure_rate": (0, 1),
}
_SINCE = {
    "autovacuum_vacuum_insert_scale_factor": 13,
    "autovacuum_vacuum_insert_threshold": 13,
    "autovacuum_vacuum_max_threshold": 18,
    "vacuum_max_eager_freeze_failure_rate": 18,
}
_TABLE_ONLY = ("autovacuum_analyze_", "fillfactor")

_PARAMETERS = {
    "autovacuum_enabled": Parameter("autovacuum_enabled", "bool", "user", None),
    "vacuum_truncate": Parameter("vacuum_truncate", "bool", "user", None),
    "vacuum_index_cleanup": Parameter("vacuum_index_cleanup", "enum", "user", None, enumvals=("auto", "on", "off")),
} | {
    name: Parameter(name, vartype, "user", None, minimum=str(low), maximum=str(high))
    for vartype, table in (("integer", _INTEGERS), ("real", _REALS))
    for name, (low, high) in table.items()
}


def storage_parameter(name: str, version: int) -> Parameter:
    """The parameter of that name, ``toast.`` before it for the TOAST table's; ``version`` as in server_version_num.

    :raises ValueError: with a reason fit for a person.
    """
    given = name.lower()
    own = given.removeprefix(_TOAST)
    if own not in _PARAMETERS or (own != given and own.startswith(_TABLE_ONLY)):
        raise ValueError("it is no storage parameter of autovacuum; check its spelling")
    since = _SINCE.get(own, 0)
    if version // 10000 < since:
        raise ValueError(f"it came with PostgreSQL {since}, and this is {version // 10000}; take it out")
    return replace(_PARAMETERS[own], name=given)
