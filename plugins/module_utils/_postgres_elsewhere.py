# SPDX-License-Identifier: GPL-3.0-or-later
"""What others set: lines of files that ALTER SYSTEM goes before, and session defaults that hide a value. No I/O.

Neither is ours to change. The one is named when it is about to be overridden, the other for as long as it hides a value.
"""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.leadgen.tuning.plugins.module_utils import _postgres_memory as memory_of
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_files import Origin
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_session_default import VARIABLES, Present, Target
from ansible_collections.leadgen.tuning.plugins.module_utils._postgres_session_memory import remembered
from ansible_collections.leadgen.tuning.plugins.module_utils._settings import (
    HIDDEN,
    SECRET_PARAMETERS,
    Decision,
    Parameter,
    read,
    show,
)


def overridden(decision: Decision, parameter: Parameter, automatic: str | None, origin: Origin | None) -> str | None:
    """The owner of a value that ALTER SYSTEM is about to go before for the first time; None where there is none.

    A line of the main file that gives the built-in default is initdb's own, and nobody's wish.
    """
    if not decision.write or decision.value is None or automatic is not None or origin is None:
        return None
    value = _shown(parameter, origin.text)
    built_in = parameter.default is not None and value == _shown(parameter, parameter.default)
    if value == decision.after or (origin.main and built_in):
        return None
    if parameter.name in SECRET_PARAMETERS:
        value = HIDDEN
    return f"{origin} sets {value or 'it to nothing'}; ALTER SYSTEM goes before it"


def hidden(decision: Decision, parameter: Parameter, present: Present, user: str) -> Iterator[str]:
    """The session defaults under which nobody sees the decision's value, but for those that the inventory had written."""
    if decision.value is None:
        return
    memory = remembered(user, present)
    name = decision.name.lower()
    for (role, database), values in present.items():
        target = Target(role, database, VARIABLES[bool(role), bool(database)])
        text = values.get(name)
        if text is None or memory_of.is_ours(memory, target.key(name), memory_of.plain(name, text)):
            continue
        value = _shown(parameter, text)
        if value != decision.after:
            yield f"sessions of {_sessions(target)} have {value or 'nothing'} by a default of their own"


def _sessions(target: Target) -> str:
    if target.role and target.database:
        return f"the role {target.role} in the database {target.database}"
    return f"the role {target.role}" if target.role else f"the database {target.database}"


def _shown(parameter: Parameter, text: str) -> str:
    try:
        return show(parameter, read(parameter, text))
    except ValueError:
        return text
