# SPDX-License-Identifier: GPL-3.0-or-later
"""What a PostgreSQL parameter means, and what has to happen for it to have a wanted value. No I/O.

A value has three places: *wanted* (the inventory), *configured* (what the configuration files say, so what the next start
or reload brings) and *running*. Comparing only two of them is how a change that awaits a restart gets made again for ever.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils._lists import (
    given_element,
    is_list,
    join_list,
    merge,
    split_list,
)
from ansible_collections.leadgen.tuning.plugins.module_utils._units import (
    parse_integer,
    parse_real,
    show_integer,
    show_real,
)

Value = bool | int | float | str | tuple[str, ...] | None

HIDDEN = "(hidden)"
# Parameters whose value can hold a password.
SECRET_PARAMETERS = frozenset({"primary_conninfo", "ssl_passphrase_command"})

# Spellings that pg_settings.enumvals leaves out (the hidden entries of guc_tables.c).
_ENUM_ALIASES = {
    "wal_level": {"archive": "replica", "hot_standby": "replica"},
    "wal_compression": {"on": "pglz", "true": "pglz", "yes": "pglz", "1": "pglz"},
    "client_min_messages": {"debug": "debug2", "info": "info"},
    "log_min_messages": {"debug": "debug2"},
    "log_min_error_statement": {"debug": "debug2"},
}
_ON_OFF = {"true": "on", "yes": "on", "1": "on", "false": "off", "no": "off", "0": "off"}
_CASELESS_STRINGS = frozenset({"timezone", "log_timezone", "datestyle", "default_text_search_config"})
# Where the session's own value hides the server's.
_PRIVATE_PREFIX = "tcp_"  # of the session's own connection; a local socket has none
# The sources of a value that nobody set: built in, or worked out by the server, as wal_buffers is.
_WORKED_OUT = frozenset({"default", "override"})
_PRIVATE_SOURCES = frozenset({"client", "database", "database user", "override", "session", "user"})


@dataclass(frozen=True)
class Parameter:
    """A row of pg_settings: its texts as the view gives them, in the base unit ``unit``.

    ``running`` is None for a parameter of a library that is not loaded yet.
    """

    name: str
    vartype: str
    context: str
    running: str | None
    unit: str | None = None
    minimum: str | None = None
    maximum: str | None = None
    enumvals: tuple[str, ...] = ()
    default: str | None = None
    source: str = "default"
    is_list: bool = False


@dataclass(frozen=True)
class Configured:
    """What the configuration files say of one parameter, as text; None where they do not name it."""

    effective: str | None = None
    automatic: str | None = None  # the entry in postgresql.auto.conf, which is read last
    manual: str | None = None  # the last entry in any other file


@dataclass(frozen=True)
class Decision:
    """What one parameter needs. ``before`` and ``after`` are canonical texts; they are equal when nothing differs."""

    name: str
    before: str
    after: str
    value: Value
    write: bool = False
    needs: str = ""  # reload | restart
    pending: bool = False  # after this decision is carried out, a restart is still awaited


def pg_stat_statements_parameters() -> dict[str, Parameter]:
    """The parameters of pg_stat_statements, which pg_settings lacks until the library is loaded (PostgreSQL F.32)."""
    prefix = "pg_stat_statements."
    rows = [
        Parameter(f"{prefix}max", "integer", "postmaster", None, minimum="100", maximum="1073741823", default="5000"),
        Parameter(f"{prefix}save", "bool", "sighup", None, default="on"),
        Parameter(f"{prefix}track", "enum", "superuser", None, enumvals=("none", "top", "all"), default="top"),
        Parameter(f"{prefix}track_planning", "bool", "superuser", None, default="off"),
        Parameter(f"{prefix}track_utility", "bool", "superuser", None, default="on"),
    ]
    return {row.name: row for row in rows}


def read(parameter: Parameter, text: str) -> Value:
    """Turn a configuration text into a comparable value, by the parameter's own rules.

    :raises ValueError: with a reason fit for a person.
    """
    if parameter.vartype == "bool":
        return _read_bool(text)
    if parameter.vartype == "integer":
        return parse_integer(text, parameter.unit)
    if parameter.vartype == "real":
        return parse_real(text, parameter.unit)
    if parameter.vartype == "enum":
        return _read_enum(parameter, text)
    if parameter.is_list:
        return split_list(parameter.name, text)
    return text


def _read_bool(text: str) -> bool:
    given = text.strip().lower()
    for word, value in (("true", True), ("false", False), ("yes", True), ("no", False), ("on", True), ("off", False)):
        if given in ("1", "0"):
            return given == "1"
        # Any prefix will do where it is unique: "o" could be on or off.
        if given and word.startswith(given) and given != "o":
            return value
    raise ValueError(f"{text!r} is not a boolean (on or off)")


def _read_enum(parameter: Parameter, text: str) -> str:
    given = text.strip().lower()
    if given in _ENUM_ALIASES.get(parameter.name, {}):
        return _ENUM_ALIASES[parameter.name][given]
    for value in parameter.enumvals:
        if value.lower() == given:
            return value
    if given in _ON_OFF and _ON_OFF[given] in parameter.enumvals:
        return _ON_OFF[given]
    raise ValueError(f"{text!r} is not one of {', '.join(parameter.enumvals)}")


def show(parameter: Parameter, value: Value) -> str:
    """Write a value as ``SHOW`` would."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, int):
        return show_integer(value, parameter.unit)
    if isinstance(value, float):
        return show_real(value, parameter.unit)
    if isinstance(value, tuple):
        return join_list(parameter.name, value)
    return value or ""


def written(parameter: Parameter | None, value: Value) -> str:
    """The text for a configuration file: as shown, but a real with all its digits."""
    if parameter is None or not isinstance(value, float):
        return str(value) if parameter is None else show(parameter, value)
    return f"{value!r}{parameter.unit or ''}"


def wanted_value(parameter: Parameter, given: Any, configured: Configured) -> Value:
    """Turn an inventory value into a comparable one; None (YAML null) asks for the entry of ALTER SYSTEM to be reset.

    :raises ValueError: with a reason fit for a person.
    """
    if parameter.context == "internal":
        raise ValueError("the server computes it, and it cannot be set; take it out")
    if given is None:
        text = configured.manual if configured.manual is not None else _unset_text(parameter)
        return read(parameter, text)
    if isinstance(given, (Mapping, list, tuple)):
        value: Value = _wanted_list(parameter, given, configured)
    elif isinstance(given, bool) and parameter.vartype not in ("bool", "enum"):
        raise ValueError(f"{str(given).lower()} is not {_article(parameter.vartype)}; quote it if a text is meant")
    else:
        value = read(parameter, _text(given))
    _check_range(parameter, value)
    return value


def _text(given: Any) -> str:
    if isinstance(given, bool):
        return "on" if given else "off"
    return repr(given) if isinstance(given, float) else str(given)


def _article(vartype: str) -> str:
    return {"integer": "an integer", "real": "a number"}.get(vartype, f"a {vartype}")


def _wanted_list(
    parameter: Parameter, given: Mapping[str, Any] | list[Any] | tuple[Any, ...], configured: Configured
) -> tuple[str, ...]:
    if not parameter.is_list:
        raise ValueError("it takes a single value, and a list or dictionary was given")
    if not isinstance(given, Mapping):
        return tuple(given_element(parameter.name, str(element)) for element in given)
    unknown = set(given) - {"ensure", "absent"}
    if unknown or not all(isinstance(elements, (list, tuple)) for elements in given.values()):
        raise ValueError("a dictionary may hold only the lists 'ensure' and 'absent'")
    present = split_list(parameter.name, _effective_text(parameter, configured))
    ensure, absent = (
        [given_element(parameter.name, str(element)) for element in given.get(key, ())] for key in ("ensure", "absent")
    )
    return merge(present, ensure, absent)


def _check_range(parameter: Parameter, value: Value) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return
    # The limits are in the base unit, without its name.
    if parameter.minimum is not None and parameter.maximum is not None:
        low, high = float(parameter.minimum), float(parameter.maximum)
        if not low <= value <= high:
            kind = int if parameter.vartype == "integer" else float
            bounds = [show(parameter, kind(limit)) for limit in (low, high)]
            raise ValueError(f"{show(parameter, value)} is outside its range, {bounds[0]} to {bounds[1]}")


def _effective_text(parameter: Parameter, configured: Configured) -> str:
    return configured.effective if configured.effective is not None else _unset_text(parameter)


def _unset_text(parameter: Parameter) -> str:
    """What the parameter is where nobody sets it; boot_val is not what the server makes of some, such as wal_buffers."""
    shown = parameter.source in _WORKED_OUT and not _is_hidden(parameter)
    return (parameter.running if shown else parameter.default) or ""


def _is_hidden(parameter: Parameter) -> bool:
    """Whether the view never shows the server's own value: the library is not loaded, or the session has another."""
    if parameter.name == "archive_command" and parameter.running == "(disabled)":
        return True  # shown instead of the value while archive_mode is off
    return parameter.running is None or parameter.name.startswith(_PRIVATE_PREFIX)


def decide(parameter: Parameter, configured: Configured, given: Any) -> Decision:
    """Compare wanted, configured and running, and say what has to be done.

    :raises ValueError: when the wanted value is not one the parameter can have.
    """
    wanted = wanted_value(parameter, given, configured)
    in_file = _read_or_text(parameter, _effective_text(parameter, configured))
    write = _differs(parameter, wanted, in_file)
    if given is None:
        write = configured.automatic is not None
    running = _running(parameter, in_file)
    # Whether the running server would have to change. A library that is not loaded takes a restart to be.
    stale = parameter.running is None or _differs_from_running(parameter, wanted, running)
    restart = stale and (parameter.context == "postmaster" or parameter.running is None)
    before = in_file
    if not write and stale and not restart:
        before = running  # the file is right and was never loaded
    changed = write or (stale and not restart)
    shown = HIDDEN if parameter.name in SECRET_PARAMETERS else show(parameter, wanted)
    return Decision(
        name=parameter.name,
        before=_shown_before(parameter, before) if changed else shown,
        after=shown,
        value=None if given is None else wanted,
        write=write,
        needs=("restart" if restart else "reload") if changed else "",
        pending=restart,
    )


def _shown_before(parameter: Parameter, before: Value) -> str:
    return f"{HIDDEN}, another" if parameter.name in SECRET_PARAMETERS else show(parameter, before)


def _read_or_text(parameter: Parameter, text: str) -> Value:
    try:
        return read(parameter, text)
    except ValueError:
        return text  # a wrong value in a file: it differs from anything that is right


def _running(parameter: Parameter, in_file: Value) -> Value:
    hidden = _is_hidden(parameter) or parameter.source in _PRIVATE_SOURCES
    return in_file if hidden else _read_or_text(parameter, parameter.running or "")


def _differs(parameter: Parameter, one: Value, other: Value) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return not math.isclose(one, other, rel_tol=1e-12)  # units are scaled by floating point
    if isinstance(one, str) and isinstance(other, str) and parameter.name.lower() in _CASELESS_STRINGS:
        return one.lower() != other.lower()
    if parameter.name.lower() == "datestyle" and isinstance(one, tuple) and isinstance(other, tuple):
        return set(one) != set(other)  # the server puts them into an order of its own
    return one != other


def _differs_from_running(parameter: Parameter, wanted: Value, running: Value) -> bool:
    if isinstance(wanted, float) and isinstance(running, float) and f"{wanted:g}" == f"{running:g}":
        return False  # pg_settings prints six digits of a real
    return _differs(parameter, wanted, running)


# The columns that make_parameter() takes, to be followed by a condition.
SELECT_PARAMETERS = (
    "select name, vartype, unit, context, min_val, max_val, enumvals, boot_val, setting, source from pg_settings where "
)


def make_parameter(row: Mapping[str, Any], version: int) -> Parameter:
    """Make a Parameter of a row of pg_settings; ``version`` as in server_version_num."""
    return Parameter(
        name=row["name"],
        vartype=row["vartype"],
        context=row["context"],
        running=row["setting"],
        unit=row["unit"],
        minimum=row["min_val"],
        maximum=row["max_val"],
        enumvals=tuple(row["enumvals"] or ()),
        default=row["boot_val"],
        source=row["source"],
        is_list=is_list(row["name"], version),
    )
