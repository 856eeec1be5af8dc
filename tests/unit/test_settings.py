# SPDX-License-Identifier: GPL-3.0-or-later
"""What a PostgreSQL parameter needs is decided from three places: wanted, configured, running."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.leadgen.tuning.plugins.module_utils._settings import (
    HIDDEN,
    Configured,
    Parameter,
    Value,
    decide,
    make_parameter,
    pg_stat_statements_parameters,
    read,
    show,
    wanted_value,
    written,
)
from hypothesis import given
from hypothesis import strategies as st

FILE = "configuration file"
BUFFERS = Parameter("shared_buffers", "integer", "postmaster", "262144", "8kB", "16", "1073741823", default="16384")
TIMEOUT = Parameter("lock_timeout", "integer", "user", "60000", "ms", "0", "2147483647", default="0", source=FILE)
WAL_BUFFERS = Parameter("wal_buffers", "integer", "postmaster", "512", "8kB", "-1", "262143", default="-1")
CHECKPOINT = Parameter("checkpoint_timeout", "integer", "sighup", "300", "s", "30", "86400", default="300")
CONNECTIONS = Parameter("max_connections", "integer", "postmaster", "100", None, "1", "262143", default="100")
COST = Parameter("random_page_cost", "real", "user", "1.1", None, "0", "1.79769e+308", default="4")
DELAY = Parameter("vacuum_cost_delay", "real", "user", "2", "ms", "0", "100", default="0")
JIT = Parameter("jit", "bool", "user", "on", default="on")
LEVEL = Parameter(
    "wal_level", "enum", "postmaster", "replica", enumvals=("minimal", "replica", "logical"), default="replica"
)
COMPRESSION = Parameter(
    "wal_compression", "enum", "superuser", "off", enumvals=("pglz", "lz4", "zstd", "on", "off"), default="off"
)
HUGE = Parameter("huge_pages", "enum", "postmaster", "try", enumvals=("off", "on", "try"), default="try")
MESSAGES = Parameter(
    "log_min_messages",
    "enum",
    "superuser",
    "warning",
    enumvals=("debug5", "debug4", "debug3", "debug2", "debug1", "info", "notice", "warning", "error"),
    default="warning",
)
PREFIX = Parameter("log_line_prefix", "string", "sighup", "%m [%p] ", default="%m [%p] ")
TIMEZONE = Parameter("TimeZone", "string", "user", "UTC", default="GMT")
LIBRARIES = Parameter("shared_preload_libraries", "string", "postmaster", "", default="", is_list=True)
PATH = Parameter("search_path", "string", "user", '"$user", public', default='"$user", public', is_list=True)
DESTINATION = Parameter("log_destination", "string", "sighup", "stderr", default="stderr", is_list=True)
CONNINFO = Parameter("primary_conninfo", "string", "sighup", "", default="")
BLOCK = Parameter("block_size", "integer", "internal", "8192", None, "8192", "8192", default="8192")
STATEMENTS = pg_stat_statements_parameters()


def in_file(text: str | None) -> Configured:
    """A value that ALTER SYSTEM wrote."""
    return Configured(text, text)


@pytest.mark.parametrize(
    ("parameter", "text", "expected"),
    [
        (JIT, "on", True),
        (JIT, "TRUE", True),
        (JIT, "t", True),
        (JIT, "ye", True),
        (JIT, "1", True),
        (JIT, "off", False),
        (JIT, "of", False),
        (JIT, "False", False),
        (JIT, "n", False),
        (JIT, "0", False),
        (BUFFERS, "2GB", 262144),
        (TIMEOUT, "30s", 30000),
        (COST, "1.10", 1.1),
        (DELAY, "500us", 0.5),
        (LEVEL, "REPLICA", "replica"),
        (LEVEL, "hot_standby", "replica"),
        (LEVEL, "archive", "replica"),
        (COMPRESSION, "on", "pglz"),
        (COMPRESSION, "true", "pglz"),
        (COMPRESSION, "1", "pglz"),
        (COMPRESSION, "no", "off"),
        (HUGE, "yes", "on"),
        (HUGE, "0", "off"),
        (HUGE, "Try", "try"),
        (MESSAGES, "debug", "debug2"),
        (PREFIX, "%m ", "%m "),
        (PREFIX, "a, b", "a, b"),  # not a list
        (LIBRARIES, "a, B", ("a", "B")),
    ],
)
def test_read(parameter: Parameter, text: str, expected: Value) -> None:
    value = read(parameter, text)
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("parameter", "text", "message"),
    [
        (JIT, "o", "not a boolean"),
        (JIT, "", "not a boolean"),
        (JIT, "2", "not a boolean"),
        (JIT, "enabled", "not a boolean"),
        (LEVEL, "full", "not one of minimal, replica, logical"),
        (LEVEL, "on", "not one of"),
        (LEVEL, "", "not one of"),
        (HUGE, "maybe", "not one of off, on, try"),
        (TIMEOUT, "5 parsecs", "not a unit"),
        (COST, "cheap", "not a number"),
        (CONNECTIONS, "many", "not an integer"),
        (LIBRARIES, '"a', "open double quote"),
    ],
)
def test_read_refuses(parameter: Parameter, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read(parameter, text)


def test_read_knows_a_hidden_level() -> None:
    # set client_min_messages = 'info' is taken by PostgreSQL 15, and pg_settings.enumvals leaves it out.
    parameter = Parameter("client_min_messages", "enum", "user", "notice", enumvals=("log", "notice"), default="notice")
    assert read(parameter, "info") == "info"


@pytest.mark.parametrize(
    ("parameter", "value", "shown", "to_file"),
    [
        (JIT, True, "on", "on"),
        (JIT, False, "off", "off"),
        (BUFFERS, 262144, "2GB", "2GB"),
        (TIMEOUT, 0, "0", "0"),
        (CONNECTIONS, 200, "200", "200"),
        (COST, 1.1, "1.1", "1.1"),
        (COST, 4.0, "4", "4.0"),
        (COST, 0.1234567890123456, "0.123456789012346", "0.1234567890123456"),
        (DELAY, 0.5, "500us", "0.5ms"),
        (LEVEL, "logical", "logical", "logical"),
        (LIBRARIES, ("a", "b"), "a, b", "a, b"),
        (LIBRARIES, (), "", ""),
        (PREFIX, "%m ", "%m ", "%m "),
    ],
)
def test_show_and_written(parameter: Parameter, value: Value, shown: str, to_file: str) -> None:
    assert show(parameter, value) == shown
    assert written(parameter, value) == to_file


@pytest.mark.parametrize("elements", [("MySchema",), ("a,b",), ("public", "x y"), ('say "hi"',)])
def test_written_list_is_read_back(elements: tuple[str, ...]) -> None:
    # SHOW search_path has "MySchema" in its quotes, as without them it would be folded.
    assert read(PATH, written(PATH, elements)) == elements


@pytest.mark.parametrize(
    ("parameter", "given", "expected"),
    [
        (BUFFERS, "2GB", 262144),
        (BUFFERS, 262144, 262144),
        (TIMEOUT, 1500, 1500),
        (TIMEOUT, 2.5, 2),
        (COST, 1.1, 1.1),
        (COST, 4, 4.0),
        (COST, 1e-07, 1e-07),
        (JIT, True, True),
        (JIT, "off", False),
        (JIT, 0, False),
        (HUGE, True, "on"),
        (HUGE, False, "off"),
        (COMPRESSION, True, "pglz"),
        (LIBRARIES, ["b", "a"], ("b", "a")),
        (LIBRARIES, "b, a", ("b", "a")),
        (LIBRARIES, [], ()),
        (LIBRARIES, "", ()),
        (LIBRARIES, {"ensure": ["c"]}, ("x", "y", "c")),
        (LIBRARIES, {"absent": ["x"]}, ("y",)),
        (LIBRARIES, {"ensure": ["x"], "absent": ["y", "z"]}, ("x",)),
        (LIBRARIES, {}, ("x", "y")),
        (PREFIX, "%t ", "%t "),
    ],
)
def test_wanted_value(parameter: Parameter, given: Any, expected: Value) -> None:
    value = wanted_value(parameter, given, in_file("x, y") if parameter is LIBRARIES else Configured())
    assert value == expected
    assert type(value) is type(expected)


def test_merging_starts_from_the_default_where_no_file_names_the_parameter() -> None:
    assert wanted_value(DESTINATION, {"ensure": ["csvlog"]}, Configured()) == ("stderr", "csvlog")


@pytest.mark.parametrize(
    ("parameter", "given", "message"),
    [
        (CONNECTIONS, True, "true is not an integer"),
        (CONNECTIONS, False, "false is not an integer"),
        (COST, True, "true is not a number"),
        (PREFIX, False, "false is not a string"),
        (CONNECTIONS, 0, "0 is outside its range, 1 to 262143"),
        (CONNECTIONS, 262144, "262144 is outside its range"),
        (BUFFERS, "64kB", "64kB is outside its range, 128kB to"),
        (BUFFERS, -1, "-1 is outside its range"),
        (CHECKPOINT, "29s", "29s is outside its range, 30s to 1d"),
        (DELAY, 100.5, "is outside its range, 0 to 100ms"),
        (DELAY, "-1", "is outside its range"),
        (TIMEOUT, "99999999999", "is outside its range"),
        (BLOCK, 8192, "cannot be set"),
        (BLOCK, None, "cannot be set"),
        (PREFIX, ["a"], "single value"),
        (BUFFERS, {"ensure": []}, "single value"),
        (LIBRARIES, {"ensure": "a"}, "only the lists 'ensure' and 'absent'"),
        (LIBRARIES, {"add": ["a"]}, "only the lists 'ensure' and 'absent'"),
    ],
)
def test_wanted_value_refuses(parameter: Parameter, given: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        wanted_value(parameter, given, Configured())
    with pytest.raises(ValueError, match=message):
        decide(parameter, Configured(), given)


@pytest.mark.parametrize("limit", [1, 262143])
def test_the_limits_belong_to_the_range(limit: int) -> None:
    assert wanted_value(CONNECTIONS, limit, Configured()) == limit


@pytest.mark.parametrize(
    ("parameter", "configured", "given"),
    [
        (TIMEOUT, "60s", "1min"),
        (TIMEOUT, "1min", "60s"),
        (TIMEOUT, "60000", "60000ms"),
        (TIMEOUT, "60000ms", 60000),
        (replace(TIMEOUT, running="30000"), "30s", "30000ms"),
        (BUFFERS, "2GB", "2048MB"),
        (BUFFERS, "2GB", "262144"),
        (BUFFERS, "2GB", 262144),
        (BUFFERS, "2GB", "2097152kB"),
        (replace(BUFFERS, running="32768"), "256MB", "262144kB"),
        (COST, "1.1", "1.10"),
        (COST, "1.10", 1.1),
        (COST, "1.1", "11e-1"),
        (DELAY, "2", "2000us"),
        (JIT, "on", "true"),
        (JIT, "on", "TRUE"),
        (JIT, "yes", True),
        (JIT, "1", "t"),
        (LEVEL, "replica", "REPLICA"),
        (LEVEL, "hot_standby", "replica"),
        (replace(COMPRESSION, running="pglz"), "on", True),
        (HUGE, "try", "TRY"),
        (TIMEZONE, "utc", "UTC"),
        (replace(LIBRARIES, running="a,b"), '"a", "b"', ["a", "b"]),
        (LIBRARIES, '""', []),
        (LIBRARIES, '""', ""),
        (replace(DESTINATION, running="csvlog"), "CSVLOG", "csvlog"),
        (PATH, "$user,PUBLIC", '"$user", public'),
        # no file names it, and it is at its default
        (JIT, None, "on"),
        (CONNECTIONS, None, 100),
        (LIBRARIES, None, []),
        # pg_settings prints six digits of a real
        (replace(COST, running="1.23457"), "1.23456789", 1.23456789),
        (replace(COST, running="0.333333"), "0.3333333333333333", 1 / 3),
        (replace(COST, running="1e+06"), "1000001", 1000001),
    ],
)
def test_in_sync(parameter: Parameter, configured: str | None, given: Any) -> None:
    decision = decide(parameter, in_file(configured), given)
    assert (decision.needs, decision.write, decision.pending) == ("", False, False)
    assert decision.before == decision.after


def test_a_list_in_capitals_is_in_sync_with_what_it_wrote() -> None:
    # The elements of log_destination are named without regard to case, in a list as in a text.
    parameter = replace(DESTINATION, running="CSVLOG")
    assert decide(parameter, in_file("CSVLOG"), ["CSVLOG"]).needs == ""


@pytest.mark.parametrize(
    ("parameter", "configured", "given", "expected"),
    [
        # a new value: reload or restart by context
        (TIMEOUT, "60s", "30s", ("1min", "30s", True, "reload", False)),
        (CHECKPOINT, None, "15min", ("5min", "15min", True, "reload", False)),
        (CONNECTIONS, None, 200, ("100", "200", True, "restart", True)),
        (BUFFERS, "2GB", "4GB", ("2GB", "4GB", True, "restart", True)),
        (COST, "1.1", 1.2, ("1.1", "1.2", True, "reload", False)),
        (JIT, "on", False, ("on", "off", True, "reload", False)),
        (LIBRARIES, None, ["a"], ("", "a", True, "restart", True)),
        (LIBRARIES, "a", {"ensure": ["b"]}, ("a", "a, b", True, "restart", True)),
        # it awaits a restart: nothing to do again
        (CONNECTIONS, "200", 200, ("200", "200", False, "", True)),
        (BUFFERS, "4GB", "4096MB", ("4GB", "4GB", False, "", True)),
        (LIBRARIES, "a", ["a"], ("a", "a", False, "", True)),
        # set back to what runs while the file has another value: written, and no restart
        (CONNECTIONS, "200", 100, ("200", "100", True, "reload", False)),
        (BUFFERS, "4GB", "2GB", ("4GB", "2GB", True, "reload", False)),
        # another value than both
        (CONNECTIONS, "200", 300, ("200", "300", True, "restart", True)),
        # the file is right and was never loaded
        (CHECKPOINT, "15min", "900s", ("5min", "15min", False, "reload", False)),
        (JIT, "off", "off", ("on", "off", False, "reload", False)),
        # the file is wrong and was never loaded: the server runs with what is wanted
        (CHECKPOINT, "15min", "5min", ("15min", "5min", True, "reload", False)),
        # a value in the file that cannot be read differs from any that is right
        (TIMEOUT, "soon", "1min", ("soon", "1min", True, "reload", False)),
        (JIT, "maybe", True, ("maybe", "on", True, "reload", False)),
        # the case of a text counts, except in a time zone
        (PREFIX, "%M [%p] ", "%m [%p] ", ("%M [%p] ", "%m [%p] ", True, "reload", False)),
        # a real differs from the sixth digit on
        (COST, "1.1", 1.10001, ("1.1", "1.10001", True, "reload", False)),
    ],
)
def test_decide(
    parameter: Parameter, configured: str | None, given: Any, expected: tuple[str, str, bool, str, bool]
) -> None:
    decision = decide(parameter, in_file(configured), given)
    assert (decision.before, decision.after, decision.write, decision.needs, decision.pending) == expected
    assert decision.name == parameter.name


def test_the_file_holds_all_digits_of_a_real() -> None:
    # pg_settings prints six digits, pg_file_settings all of them: the change can be seen, so it has to be made.
    parameter = Parameter("jit_above_cost", "real", "user", "1e+06", None, "-1", "1.79769e+308", default="100000")
    assert decide(parameter, in_file("1000001"), 1000002).write


@pytest.mark.parametrize(
    ("parameter", "configured", "expected"),
    [
        # the entry of ALTER SYSTEM is there: it is taken out, whatever it says
        (CONNECTIONS, Configured("200", "200", None), ("200", "100", True, "reload", False)),
        (CONNECTIONS, Configured("100", "100", None), ("100", "100", True, "reload", False)),
        (TIMEOUT, Configured("30s", "30s", "1min"), ("30s", "1min", True, "reload", False)),
        (TIMEOUT, Configured("30s", "30s", None), ("30s", "0", True, "reload", False)),
        (
            replace(CONNECTIONS, running="200", source=FILE),
            Configured("200", "200", None),
            ("200", "100", True, "restart", True),
        ),
        (LIBRARIES, Configured("a", "a", '""'), ("a", "", True, "reload", False)),
        # it is not there: nothing to reset
        (CONNECTIONS, Configured(), ("100", "100", False, "", False)),
        (TIMEOUT, Configured("1min", None, "1min"), ("1min", "1min", False, "", False)),
        (JIT, Configured("on", None, "on"), ("on", "on", False, "", False)),
        # the server works it out when it starts: nobody sets it, and it is in sync
        (WAL_BUFFERS, Configured(), ("4MB", "4MB", False, "", False)),
        (WAL_BUFFERS, Configured("8MB", "8MB", None), ("8MB", "4MB", True, "reload", False)),
        # it was reset and waits for the restart
        (replace(CONNECTIONS, running="200", source=FILE), Configured(), ("100", "100", False, "", True)),
        # it was reset and never reloaded
        (TIMEOUT, Configured("30s", None, "30s"), ("1min", "30s", False, "reload", False)),
    ],
)
def test_null_resets(parameter: Parameter, configured: Configured, expected: tuple[str, str, bool, str, bool]) -> None:
    decision = decide(parameter, configured, None)
    assert (decision.before, decision.after, decision.write, decision.needs, decision.pending) == expected
    assert decision.value is None


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("pg_stat_statements.max", 10000, 10000),
        ("pg_stat_statements.track", "ALL", "all"),
        ("pg_stat_statements.save", False, False),
        ("pg_stat_statements.track_utility", "off", False),
        ("pg_stat_statements.track_planning", "on", True),
    ],
)
def test_unloaded_library_needs_a_restart(name: str, given: Any, value: Value) -> None:
    parameter = STATEMENTS[name]
    first = decide(parameter, Configured(), given)
    assert (first.value, first.write, first.needs, first.pending) == (value, True, "restart", True)
    again = decide(parameter, in_file(written(parameter, value)), given)
    assert (again.write, again.needs, again.pending) == (False, "", True)


@pytest.mark.parametrize(
    ("name", "given"),
    [("pg_stat_statements.max", 99), ("pg_stat_statements.track", "some"), ("pg_stat_statements.save", "perhaps")],
)
def test_unloaded_library_still_checks_values(name: str, given: Any) -> None:
    with pytest.raises(ValueError, match=r"range|not one of|not a boolean"):
        decide(STATEMENTS[name], Configured(), given)


@pytest.mark.parametrize("source", ["client", "database", "database user", "override", "session", "user"])
def test_the_sessions_own_value_hides_the_servers(source: str) -> None:
    parameter = replace(TIMEOUT, running="0", source=source)
    assert decide(parameter, in_file("1min"), "60s").needs == ""
    other = decide(parameter, in_file("30s"), "60s")
    assert (other.before, other.write, other.needs) == ("30s", True, "reload")


@pytest.mark.parametrize("source", ["default", "configuration file", "command line", "environment variable"])
def test_the_servers_own_value_counts(source: str) -> None:
    assert decide(replace(TIMEOUT, running="0", source=source), in_file("1min"), "60s").needs == "reload"


def test_a_value_that_the_server_computes_is_in_sync() -> None:
    # wal_buffers = -1 runs as 512 pages, and PostgreSQL 15 gives its source as override.
    parameter = Parameter("wal_buffers", "integer", "postmaster", "512", "8kB", "-1", "262143", (), "-1", "override")
    decision = decide(parameter, in_file("-1"), -1)
    assert (decision.needs, decision.pending) == ("", False)


def test_secrets_are_not_shown() -> None:
    secret = "host=a password=sesame"
    decision = decide(CONNINFO, in_file("host=a password=old"), secret)
    assert decision.needs == "reload"
    assert decision.value == secret
    assert decision.after == HIDDEN
    assert decision.before != decision.after
    assert "old" not in decision.before
    same = decide(replace(CONNINFO, running=secret), in_file(secret), secret)
    assert (same.needs, same.before, same.after) == ("", HIDDEN, HIDDEN)


def test_make_parameter() -> None:
    row = {
        "name": "log_connections",
        "vartype": "string",
        "unit": None,
        "context": "superuser-backend",
        "min_val": None,
        "max_val": None,
        "enumvals": None,
        "boot_val": "",
        "setting": "",
        "source": "default",
    }
    assert make_parameter(row, 180000) == Parameter(
        "log_connections", "string", "superuser-backend", "", default="", is_list=True
    )
    assert not make_parameter(row, 150000).is_list
    assert make_parameter({**row, "enumvals": ["a", "b"]}, 150000).enumvals == ("a", "b")


def _integers(parameter: Parameter) -> st.SearchStrategy[Value]:
    return st.integers(int(parameter.minimum or 0), int(parameter.maximum or 0))


SIMPLE = st.sampled_from(("pg_stat_statements", "auto_explain", "pgaudit", "$libdir/x"))
POSSIBLE: list[tuple[Parameter, st.SearchStrategy[Value]]] = [
    (BUFFERS, _integers(BUFFERS)),
    (TIMEOUT, _integers(TIMEOUT)),
    (CHECKPOINT, _integers(CHECKPOINT)),
    (CONNECTIONS, _integers(CONNECTIONS)),
    (STATEMENTS["pg_stat_statements.max"], _integers(STATEMENTS["pg_stat_statements.max"])),
    (COST, st.floats(0, 1e300)),
    (DELAY, st.floats(0, 100).map(lambda value: round(value, 3))),  # whole microseconds
    (JIT, st.booleans()),
    (LEVEL, st.sampled_from(LEVEL.enumvals)),
    (HUGE, st.sampled_from(HUGE.enumvals)),
    (PREFIX, st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)),
    (LIBRARIES, st.lists(SIMPLE, max_size=4).map(tuple)),
]


@st.composite
def parameters_with_values(draw: st.DrawFn) -> tuple[Parameter, Value, Value, Value]:
    """A parameter and what is wanted, configured and running."""
    parameter, values = draw(st.sampled_from(POSSIBLE))
    return parameter, draw(values), draw(values), draw(values)


def setting(parameter: Parameter, value: Value) -> str:
    """What pg_settings prints: the base unit without its name, and six digits of a real."""
    if isinstance(value, float):
        return f"{value:g}"
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else show(parameter, value)


@given(case=parameters_with_values())
def test_what_is_everywhere_needs_nothing(case: tuple[Parameter, Value, Value, Value]) -> None:
    parameter, value, _configured, _running = case
    parameter = replace(parameter, running=setting(parameter, value))
    for text in (show(parameter, value), written(parameter, value)):
        decision = decide(parameter, in_file(text), list(value) if isinstance(value, tuple) else value)
        assert (decision.needs, decision.write, decision.pending) == ("", False, False)


@given(case=parameters_with_values())
def test_what_was_applied_needs_nothing(case: tuple[Parameter, Value, Value, Value]) -> None:
    parameter, value, configured, running = case
    if parameter.running is not None:
        parameter = replace(parameter, running=setting(parameter, running))
    first = decide(parameter, in_file(written(parameter, configured)), value)
    assert (first.before == first.after) is (first.needs == "") or isinstance(value, float)
    # What carrying it out brings: the file is written, and the server has the value unless it takes a restart.
    text = written(parameter, first.value if first.write else configured)
    if first.needs == "reload":
        parameter = replace(parameter, running=setting(parameter, value))
    second = decide(parameter, in_file(text), value)
    assert (second.needs, second.write) == ("", False)
    assert second.pending is first.pending


@given(case=parameters_with_values())
def test_a_restart_ends_the_waiting(case: tuple[Parameter, Value, Value, Value]) -> None:
    parameter, value, configured, _running = case
    first = decide(parameter, in_file(written(parameter, configured)), value)
    text = written(parameter, first.value if first.write else configured)
    restarted = replace(parameter, running=setting(parameter, value))
    again = decide(restarted, in_file(text), value)
    assert (again.needs, again.pending) == ("", False)


@given(case=parameters_with_values())
def test_a_reset_is_done_once(case: tuple[Parameter, Value, Value, Value]) -> None:
    parameter, manual, automatic, running = case
    parameter = replace(parameter, running=setting(parameter, running))
    texts = written(parameter, automatic), written(parameter, manual)
    first = decide(parameter, Configured(texts[0], *texts), None)
    assert first.write
    assert first.needs in ("reload", "restart")
    if first.needs == "reload":
        parameter = replace(parameter, running=setting(parameter, manual))
    second = decide(parameter, Configured(texts[1], None, texts[1]), None)
    assert (second.needs, second.write) == ("", False)
    assert second.pending is first.pending


@given(case=parameters_with_values())
def test_reading_what_is_written(case: tuple[Parameter, Value, Value, Value]) -> None:
    parameter, value, _configured, _running = case
    again = read(parameter, written(parameter, value))
    if isinstance(value, float) and isinstance(again, float):
        assert again == pytest.approx(value, rel=1e-14)  # the server multiplies by 1/1000 too
    else:
        assert again == value
