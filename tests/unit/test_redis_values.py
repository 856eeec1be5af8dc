# SPDX-License-Identifier: GPL-3.0-or-later
"""Values of Redis's parameters have one canonical text; the tables were checked against Redis 7.0."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.leadgen.tuning.plugins.module_utils._redis_parameters import (
    BOOLEANS,
    DEFAULTS,
    ENUMS,
    FLAGS,
    IMMUTABLE,
    INTEGERS,
    MEMORY,
    WORDS,
    defaults,
    present_name,
)
from ansible_collections.leadgen.tuning.plugins.module_utils._redis_values import (
    bytes_of,
    canonical,
    file_values,
    parse_conf,
    refuse_two_names,
    show_bytes,
    standing,
)
from hypothesis import given
from hypothesis import strategies as st

LIMITS = "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60"
CANONICAL_LIMITS = "normal 0 0 0 replica 268435456 67108864 60 pubsub 33554432 8388608 60"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("100", 100),
        ("100b", 100),
        ("1k", 1000),
        ("1kb", 1024),
        ("256m", 256_000_000),
        ("256mb", 268_435_456),
        ("256MB", 268_435_456),
        ("256Mb", 268_435_456),
        ("256M", 256_000_000),
        ("1g", 1_000_000_000),
        ("1gb", 1_073_741_824),
        ("1GB", 1_073_741_824),
        (" 1gb ", 1_073_741_824),
    ],
)
def test_bytes_of(text: str, expected: int) -> None:
    assert bytes_of(text) == expected


@pytest.mark.parametrize("text", ["", "mb", "-1", "1.5gb", "1tb", "256 megabytes", "10%", "1gb 2gb", "0x10", "unlimited"])
def test_bytes_of_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        bytes_of(text)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (0, "0"),
        (1, "1"),
        (1000, "1000"),
        (1024, "1kb"),
        (268435456, "256mb"),
        (2147483648, "2gb"),
        (1073741825, "1073741825"),
    ],
)
def test_show_bytes(size: int, expected: str) -> None:
    assert show_bytes(size) == expected


@given(size=st.integers(0, 2**63))
def test_shown_bytes_are_read_back(size: int) -> None:
    assert bytes_of(show_bytes(size)) == size
    assert bytes_of(show_bytes(size).upper()) == size


@pytest.mark.parametrize(
    ("name", "given", "present", "expected"),
    [
        ("maxmemory", "256mb", "0", "256mb"),
        ("maxmemory", 268435456, "0", "256mb"),
        ("maxmemory", "262144KB", "0", "256mb"),
        ("maxmemory", "256m", "0", "250000kb"),
        ("maxmemory", 0, "0", "0"),
        ("maxmemory-clients", "5%", "0", "5%"),
        ("maxmemory-clients", "1gb", "0", "1gb"),
        # booleans
        ("appendonly", "yes", "no", "yes"),
        ("appendonly", "Yes", "no", "yes"),
        ("appendonly", "on", "no", "yes"),
        ("appendonly", True, "no", "yes"),
        ("appendonly", "no", "no", "no"),
        ("appendonly", False, "yes", "no"),
        ("appendonly", "FALSE", "yes", "no"),
        ("appendonly", "off", "yes", "no"),
        # enumerations, in which YAML's own no can stand too
        ("maxmemory-policy", "ALLKEYS-LRU", "noeviction", "allkeys-lru"),
        ("appendfsync", False, "everysec", "no"),
        ("appendfsync", "Always", "everysec", "always"),
        ("oom-score-adj", True, "no", "yes"),
        # integers
        ("maxclients", "10000", "10000", "10000"),
        ("maxclients", 1, "10000", "1"),
        ("maxclients", "+010", "10000", "10"),
        ("slowlog-log-slower-than", -1, "10000", "-1"),
        ("active-expire-effort", 10, "1", "10"),
        # events
        ("notify-keyspace-events", "", "", ""),
        ("notify-keyspace-events", "KEA", "", "AKE"),
        ("notify-keyspace-events", "AKE", "", "AKE"),
        ("notify-keyspace-events", "g$lshzxetdKE", "", "AKE"),
        ("notify-keyspace-events", "EKdtexzhsl$g", "", "AKE"),
        ("notify-keyspace-events", "AKEg", "", "AKE"),
        ("notify-keyspace-events", "KEA" * 2, "", "AKE"),
        ("notify-keyspace-events", "xE", "", "Ex"),
        ("notify-keyspace-events", "Ex", "", "Ex"),
        ("notify-keyspace-events", "nKE", "", "KEn"),
        # save points
        ("save", "3600 1 300 100 60 10000", "", "3600 1 300 100 60 10000"),
        ("save", "60 10000 3600 1 300 100", "", "3600 1 300 100 60 10000"),
        ("save", [3600, 1, 300, 100], "", "3600 1 300 100"),
        ("save", ["300 100", "3600 1"], "", "3600 1 300 100"),
        ("save", [[300, 100], [3600, 1]], "", "3600 1 300 100"),
        ("save", "", "3600 1", ""),
        ("save", '""', "3600 1", ""),
        ("save", [], "3600 1", ""),
        ("save", ["0900 01"], "", "900 1"),
        # limits by class of client
        ("client-output-buffer-limit", LIMITS, LIMITS, CANONICAL_LIMITS),
        ("client-output-buffer-limit", LIMITS.replace("slave", "replica"), LIMITS, CANONICAL_LIMITS),
        ("client-output-buffer-limit", {}, LIMITS, CANONICAL_LIMITS),
        ("client-output-buffer-limit", {"slave": "256mb 64mb 60"}, LIMITS, CANONICAL_LIMITS),
        ("client-output-buffer-limit", {"Replica": ["256MB", "65536kb", 60]}, LIMITS, CANONICAL_LIMITS),
        (
            "client-output-buffer-limit",
            {"pubsub": "64mb 16mb 90"},
            LIMITS,
            "normal 0 0 0 replica 268435456 67108864 60 pubsub 67108864 16777216 90",
        ),
        (
            "client-output-buffer-limit",
            "normal 1k 1 5 pubsub 1kb 0 0",
            LIMITS,
            "normal 1000 1 5 replica 268435456 67108864 60 pubsub 1024 0 0",
        ),
        ("client-output-buffer-limit", "pubsub 32mb 8mb +060", LIMITS, CANONICAL_LIMITS),
        # words
        ("bind", ["127.0.0.1", "::1"], "127.0.0.1", "127.0.0.1 ::1"),
        ("bind", "127.0.0.1   ::1", "127.0.0.1", "127.0.0.1 ::1"),
        # numbers, of which Redis writes each in one way
        ("list-max-listpack-size", -2, "128", "-2"),
        ("save", "+3600 01", "", "3600 1"),
        ("oom-score-adj-values", "+0 0200 800", "0 200 800", "0 200 800"),
        ("oom-score-adj-values", [-100, 0, 5], "0 200 800", "-100 0 5"),
        ("latency-tracking-info-percentiles", "50.0 99 099.90", "50", "50 99 99.9"),
        ("latency-tracking-info-percentiles", [50, 99.9], "50", "50 99.9"),
        ("latency-tracking-info-percentiles", "5e1 +.5 0x32 0", "50", "50 0.5 50 0"),
        ("latency-tracking-info-percentiles", [], "50", ""),
        ("maxmemory-clients", "0%", "0", "0"),
        ("maxmemory-clients", "05%", "0", "5%"),
        ("maxmemory-clients", "100%", "0", "100%"),
        ("replica-full-sync-buffer-limit", "1mb", "0", "1mb"),
        ("unixsocketperm", "0700", "700", "700"),
        ("unixsocketperm", "0", "0", "0"),
        ("unixsocketperm", 0, "0", "0"),
        # several words of an enumeration
        ("shutdown-on-sigterm", "Now NOSAVE", "default", "nosave now"),
        ("shutdown-on-sigterm", ["force", "now", "now"], "default", "now force"),
        ("shutdown-on-sigint", "default now", "default", "now"),
        ("shutdown-on-sigint", "DEFAULT", "now", "default"),
        # where a master and the files are
        ("replicaof", ["db1", "06379"], "db1 6379", "db1 6379"),
        ("slaveof", "NO ONE", "", ""),
        ("dir", "/var//lib/./redis/", "/var/lib/redis", "/var/lib/redis"),
        ("dir", "/var/lib/../redis", "/", "/var/lib/../redis"),
        ("dir", "data/", "/", "data/"),
        ("dir", "/", "/", "/"),
        # by the former name
        ("slave-read-only", "YES", "yes", "yes"),
        ("slowlog-log-slower-than", "-01", "10000", "-1"),
        ("hash-max-ziplist-value", "1KB", "64", "1kb"),
        # texts: every character counts
        ("masteruser", "No", "no", "No"),
        ("masteruser", False, "no", "no"),
        ("dbfilename", "my  dump.rdb", "my dump.rdb", "my  dump.rdb"),
        ("proc-title-template", " {title}", "{title}", " {title}"),
        ("tls-protocols", ["TLSv1.2", "TLSv1.3"], "", "TLSv1.2 TLSv1.3"),
        ("a-parameter-of-tomorrow", "Yes", "yes", "Yes"),
        ("a-parameter-of-tomorrow", True, "yes", "yes"),
        ("a-parameter-of-tomorrow", "010", "10", "010"),
        # immutable, and already so
        ("databases", 16, "16", "16"),
        ("daemonize", False, "no", "no"),
        ("daemonize", "NO", "no", "no"),
        ("io-threads", "04", "4", "4"),
        ("syslog-facility", "LOCAL0", "local0", "local0"),
        ("enable-debug-command", "Local", "local", "local"),
        ("appenddirname", "yes", "yes", "yes"),
        # out of the range that is kept here, and yet what the server has
        ("maxclients", 2_000_000, "2000000", "2000000"),
    ],
)
def test_canonical(name: str, given: Any, present: str, expected: str) -> None:
    assert canonical(name, given, present) == expected


@pytest.mark.parametrize("given", ["relative", "yes", True])
def test_both_names_of_the_relative_score_are_one(given: Any) -> None:
    # After CONFIG SET oom-score-adj relative, CONFIG GET answers yes.
    assert canonical("oom-score-adj", given, "no") == canonical("oom-score-adj", "yes", "yes")


@pytest.mark.parametrize("given", ["two  spaces", " around ", "tab\tinside"])
def test_a_password_is_kept_as_it_is(given: str) -> None:
    assert canonical("requirepass", given, "") == given


@pytest.mark.parametrize(
    ("name", "given", "present", "message"),
    [
        ("maxmemory", "lots", "0", "not a size"),
        ("maxmemory", "5%", "0", "not a size"),
        ("maxmemory", "-1", "0", "not a size"),
        ("maxmemory", True, "0", "not a size"),
        ("maxmemory", None, "0", "a text, a number or a list"),
        ("maxmemory", {"size": 1}, "0", "a text, a number or a list"),
        ("appendonly", "maybe", "no", "not yes or no"),
        ("appendonly", 1, "no", "not yes or no"),
        ("maxmemory-policy", "lru", "noeviction", "not one of volatile-lru"),
        ("appendfsync", True, "everysec", "not one of"),
        ("maxclients", "many", "10000", "not an integer"),
        ("maxclients", 1.5, "10000", "not an integer"),
        ("maxclients", True, "10000", "not an integer"),
        ("maxclients", "", "10000", "not an integer"),
        ("maxclients", 0, "10000", "outside its range, 1 to 1000000"),
        ("active-expire-effort", 11, "1", "outside its range, 1 to 10"),
        ("active-expire-effort", 0, "1", "outside its range"),
        ("slowlog-log-slower-than", -2, "10000", "outside its range, -1 to any"),
        ("notify-keyspace-events", "KEQ", "", "'Q' are not classes"),
        ("save", "3600", "", "not pairs"),
        ("save", "3600 1 300", "", "not pairs"),
        ("save", "3600 -1", "", "not pairs"),
        ("save", "hourly 1", "", "not pairs"),
        ("save", False, "", "not pairs"),
        ("client-output-buffer-limit", "normal 0 0", LIMITS, "not groups of class"),
        ("client-output-buffer-limit", "master 0 0 0", LIMITS, "not a class of clients"),
        ("client-output-buffer-limit", {"normal": "0 0 x"}, LIMITS, "not a class of clients"),
        ("client-output-buffer-limit", {"normal": "a 0 0"}, LIMITS, "not a size"),
        ("maxmemory-clients", "101%", "0", "not a size"),
        ("proto-max-bulk-len", "1000k", "536870912", "outside its range, 1mb to"),
        ("maxmemory", "8589934592gb", "0", "outside its range"),
        ("timeout", 2**31, "0", "outside its range, 0 to 2147483647"),
        ("save", "0 1", "", "not pairs"),
        ("save", "\u00b2 1", "", "not pairs"),
        ("shutdown-on-sigterm", "", "default", "one or more of default, save"),
        ("shutdown-on-sigterm", "never", "default", "not one of default, save"),
        ("oom-score-adj-values", "0 200", "0 200 800", "not three integers"),
        ("oom-score-adj-values", "0 200 2001", "0 200 800", "outside its range"),
        ("latency-tracking-info-percentiles", "99.9999999", "100", "more than the six decimals"),
        ("latency-tracking-info-percentiles", "100.1", "100", "outside its range"),
        ("latency-tracking-info-percentiles", "most", "100", "not a number"),
        ("latency-tracking-info-percentiles", "1_0", "10", "not a number"),
        ("unixsocketperm", 0o770, "770", "quote it, since YAML"),
        ("unixsocketperm", "800", "770", "not an octal number"),
        ("replicaof", "db1", "", "not a host and a port"),
        ("replicaof", "db1 6379", "", "cannot change it while it runs"),
        ("appenddirname", "YES", "yes", "cannot change it while it runs"),
        ("syslog-ident", "a  b", "a b", "cannot change it while it runs"),
        ("server_cpulist", "0", "", "cannot change it while it runs"),
        ("databases", 32, "16", "cannot change it while it runs"),
        ("daemonize", True, "no", "cannot change it while it runs"),
        ("tcp-backlog", "512", "511", "cannot change it while it runs"),
    ],
)
def test_canonical_refuses(name: str, given: Any, present: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        canonical(name, given, present)


def test_each_parameter_is_of_one_kind() -> None:
    kinds = [set(MEMORY), set(ENUMS), set(FLAGS), set(INTEGERS), BOOLEANS, WORDS]
    for position, kind in enumerate(kinds):
        for other in kinds[position + 1 :]:
            assert not kind & other
    assert all(name == present_name(name) for kind in [*kinds, IMMUTABLE, DEFAULTS] for name in kind)


@pytest.mark.parametrize("name", sorted(DEFAULTS))
def test_the_defaults_are_legal(name: str) -> None:
    default = DEFAULTS[name]
    text = canonical(name, default, default)
    assert canonical(name, text, default) == text


# The largest is below 2**63 bytes, which no parameter takes.
SIZES = st.builds("{}{}".format, st.integers(0, 2**32), st.sampled_from(("", "b", "k", "kb", "m", "MB", "g", "Gb")))
LIMIT = st.tuples(SIZES, SIZES, st.integers(0, 10**6))
CLASSES = st.sampled_from(("normal", "slave", "replica", "pubsub"))
POSSIBLE: list[tuple[str, str, st.SearchStrategy[Any]]] = [
    *((name, "2097152", SIZES.filter(lambda size: bytes_of(size) >= 2**20)) for name in sorted(MEMORY)),
    *(
        (name, choices[0], st.sampled_from((*choices, *map(str.upper, choices))))
        for name, choices in ENUMS.items()
        if name not in IMMUTABLE
    ),
    *(
        (name, str(low), st.integers(low, 2**63 - 1 if high is None else high))
        for name, (low, high) in INTEGERS.items()
        if name not in IMMUTABLE
    ),
    ("appendonly", "no", st.sampled_from(("yes", "No", "on", "OFF", "true", "False", True, False))),
    ("maxmemory-clients", "0", st.integers(0, 100).map("{}%".format)),
    ("notify-keyspace-events", "", st.text(st.sampled_from("AKEg$lshzxetdmno"))),
    ("save", "", st.lists(st.tuples(st.integers(1, 10**6), st.integers(0, 10**6)))),
    ("client-output-buffer-limit", LIMITS, st.dictionaries(CLASSES, LIMIT)),
    ("bind", "127.0.0.1", st.lists(st.sampled_from(("127.0.0.1", "::1", "*")))),
]


@st.composite
def parameters_with_values(draw: st.DrawFn) -> tuple[str, Any, str]:
    """A parameter, a legal value of it, and what the server has."""
    name, present, values = draw(st.sampled_from(POSSIBLE))
    return name, draw(values), present


@given(case=parameters_with_values())
def test_canonical_is_idempotent(case: tuple[str, Any, str]) -> None:
    name, given_value, present = case
    text = canonical(name, given_value, present)
    assert canonical(name, text, present) == text
    # The server that took the value gives it back, and then nothing differs.
    assert canonical(name, given_value, text) == text


@given(name=st.sampled_from(sorted(MEMORY)), size=st.integers(2**20, 2**40))
def test_every_spelling_of_a_size_is_the_same(name: str, size: int) -> None:
    spellings: list[Any] = [size, str(size), f"{size}b", f"{size}B"]
    spellings += [f"{size // unit}{word}" for word, unit in (("k", 1000), ("kb", 1024), ("mB", 1024**2)) if size % unit == 0]
    assert len({canonical(name, spelling, "0") for spelling in spellings}) == 1


@given(flags=st.text(st.sampled_from("AKEg$lshzxetdmn")), data=st.data())
def test_the_order_of_events_is_of_no_account(flags: str, data: st.DataObject) -> None:
    shuffled = "".join(data.draw(st.permutations(flags)))
    assert canonical("notify-keyspace-events", shuffled, "") == canonical("notify-keyspace-events", flags, "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("\n  \n# maxmemory 1gb\n   # indented\n", []),
        ("maxmemory 1gb", [("maxmemory", ["1gb"])]),
        ("  MaxMemory\t1gb  ", [("maxmemory", ["1gb"])]),
        ("requirepass sesame#1", [("requirepass", ["sesame#1"])]),
        ('requirepass "open sesame"', [("requirepass", ["open sesame"])]),
        ("requirepass 'open sesame'", [("requirepass", ["open sesame"])]),
        (r'requirepass "a\"b\\c"', [("requirepass", [r"a\"b\c".replace("\\", "", 1)])]),
        ('requirepass "#1"', [("requirepass", ["#1"])]),
        ('save ""', [("save", [""])]),
        ("save 3600 1 300 100", [("save", ["3600", "1", "300", "100"])]),
        ("include /etc/redis/*.conf\nhz 10", [("include", ["/etc/redis/*.conf"]), ("hz", ["10"])]),
        ("hz 10\r\nhz 20\r\n", [("hz", ["10"]), ("hz", ["20"])]),
    ],
)
def test_parse_conf(text: str, expected: list[tuple[str, list[str]]]) -> None:
    assert parse_conf(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # CONFIG REWRITE writes this for the password pässword (sdscatrepr)
        (r'requirepass "p\xc3\xa4ssword"', "pässword"),
        (r'requirepass "tab\there"', "tab\there"),
        # outside of quotes a backslash is a character like any other (sdssplitargs)
        (r"requirepass a\b", r"a\b"),
        # quotes may begin inside of a word, and end it
        (r'requirepass a"b c\x21"', "ab c!"),
        ("requirepass a'b c'", "ab c"),
        (r"requirepass 'it\'s'", "it's"),
        (r"requirepass 'a\b'", r"a\b"),
        # no space but those of ASCII parts words
        ("requirepass a\u00a0b\u2003c", "a\u00a0b\u2003c"),
    ],
)
def test_parse_conf_reads_what_redis_writes(text: str, expected: str) -> None:
    assert parse_conf(text) == [("requirepass", [expected])]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('hz 10\nrequirepass "open', 2),
        ("requirepass it's", 1),
        ("requirepass 'a'b", 1),
        (r"requirepass 'a\'", 1),
        (r"requirepass 'a\\'", 1),
    ],
)
def test_parse_conf_names_the_line_with_an_open_quote(text: str, line: int) -> None:
    with pytest.raises(ValueError, match=f"line {line}: "):
        parse_conf(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("hz 10\nHZ 20", {"hz": "20"}),
        ("replica-priority 10\nslave-priority 20", {"replica-priority": "20"}),
        ("masterauth x", {"primaryauth": "x"}),
        ("save 3600 1\nsave", {"save": ""}),
        ("save 3600 1\nsave 300 100", {"save": "3600 1 300 100"}),
        ('save 3600 1\nsave ""', {"save": ""}),
        ('save ""\nsave 60 10000', {"save": "60 10000"}),
        ('save 3600 1\nsave ""\nsave 60 10000', {"save": "60 10000"}),
        ("bind 127.0.0.1 ::1", {"bind": "127.0.0.1 ::1"}),
        (
            "client-output-buffer-limit normal 0 0 0\nclient-output-buffer-limit replica 1mb 1mb 60",
            {"client-output-buffer-limit": "normal 0 0 0 replica 1mb 1mb 60"},
        ),
    ],
)
def test_file_values(text: str, expected: dict[str, str]) -> None:
    assert file_values(parse_conf(text)) == expected


def test_the_last_limit_of_a_class_counts() -> None:
    name = "client-output-buffer-limit"
    text = file_values(parse_conf(f"{name} pubsub 1mb 1mb 60\n{name} pubsub 2mb 1mb 60"))[name]
    assert canonical(name, text, LIMITS).endswith("pubsub 2097152 1048576 60")


@given(
    name=st.sampled_from(("hz", "maxmemory", "bind")),
    values=st.lists(st.text(st.sampled_from("abc1 "), min_size=1), min_size=1),
)
def test_the_last_line_wins(name: str, values: list[str]) -> None:
    text = "\n".join(f'{name} "{value}"' for value in values)
    assert file_values(parse_conf(text)) == {name: values[-1]}


REDIS, VALKEY = defaults({"redis_version": "8.0.2"}), defaults({"redis_version": "7.2.4", "server_name": "valkey"})


@pytest.mark.parametrize(
    ("name", "text", "server", "expected"),
    [
        ("maxmemory", "", REDIS, "0"),
        ("maxmemory", "maxmemory 1024KB", REDIS, "1mb"),
        ("maxmemory", "maxmemory lots", REDIS, "lots"),
        ("replica-priority", "slave-priority 90", REDIS, "90"),
        ("slave-priority", "replica-priority 90", REDIS, "90"),
        ("masterauth", "primaryauth x", VALKEY, "x"),
        # Redis and Valkey start otherwise
        ("lazyfree-lazy-expire", "", REDIS, "no"),
        ("lazyfree-lazy-expire", "", VALKEY, "yes"),
        ("repl-backlog-size", "", REDIS, "1mb"),
        ("repl-backlog-size", "", VALKEY, "10mb"),
        ("repl-diskless-sync", "", REDIS, "yes"),
        ("repl-diskless-sync", "", defaults({"redis_version": "6.2.6"}), None),
        # what CONFIG SET would refuse stands in a file all the same
        ("daemonize", "daemonize YES", REDIS, "yes"),
        ("databases", "databases 32", REDIS, "32"),
        # classes of clients that the file does not name have their default
        ("client-output-buffer-limit", "client-output-buffer-limit replica 256mb 64mb 60", REDIS, CANONICAL_LIMITS),
        ("pidfile", "", REDIS, None),
        ("a-parameter-of-tomorrow", "", REDIS, None),
        ("a-parameter-of-tomorrow", "a-parameter-of-tomorrow Yes", REDIS, "Yes"),
    ],
)
def test_what_a_file_stands_for(name: str, text: str, server: dict[str, str], expected: str | None) -> None:
    assert standing(name, file_values(parse_conf(text)), server) == expected


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["slave-priority", "hz", "replica-priority"], "slave-priority and replica-priority are one parameter"),
        (["maxmemory", "MaxMemory"], "maxmemory and MaxMemory are one parameter"),
        (["masterauth", "PRIMARYAUTH"], "masterauth and PRIMARYAUTH are one"),
    ],
)
def test_two_names_of_one_parameter_are_refused(names: list[str], message: str) -> None:
    refuse_two_names(name for name in names if name != names[-1])
    with pytest.raises(ValueError, match=message):
        refuse_two_names(names)
