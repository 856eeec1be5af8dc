# SPDX-License-Identifier: GPL-3.0-or-later
"""Every parameter that CONFIG GET returns, on every release: its present value in another legal spelling is no change.

The server itself is the judge: it has to take each spelling, and to answer the same value as before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import redis
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._redis_parameters import (
    ALIASES,
    ENUMS,
    IMMUTABLE,
    INTEGERS,
    MEMORY,
    defaults,
    present_name,
)

from retune.sandbox.processes import free_ports
from tests.integration.redis_server import RELEASES, RedisServer, redis_server
from tests.integration.redis_spellings import kind, lines, spellings, written
from tests.integration.test_redis_persistence import run as run_module

# Values unlike the defaults, many of them awkward.
TUNED = r"""
unixsocket {folder}/socket
unixsocketperm 0770
requirepass "open  'sesame' \\ \""
masterauth "p\xc3\xa4ss \"w\"\\ 'x'  d"
masteruser No
syslog-ident "two  words"
server_cpulist 0
databases 20
tcp-backlog 128
enable-debug-command local
replicaof 127.0.0.1 1
dbfilename "my  dump.rdb"
appenddirname yes
proc-title-template "{title} {listen-addr}"
ignore-warnings ARM64-COW-BUG
tls-protocols "TLSv1.2 TLSv1.3"
bind 127.0.0.1 -::1
save 900 1
save 60 100
maxmemory 200mb
maxmemory-policy allkeys-lfu
maxmemory-clients 5%
notify-keyspace-events K$xm
client-output-buffer-limit slave 512mb 128mb 60 pubsub 64mb 16mb 90
shutdown-on-sigterm nosave now
oom-score-adj-values -100 100 300
latency-tracking-info-percentiles 50 99.9 99.99
list-max-ziplist-size 100
slave-priority 90
slowlog-max-len 0
loglevel verbose
repl-backlog-size 3mb
"""
PASSWORD = "open  'sesame' \\ \""
STATES = {"stock": "", "tuned": TUNED}
# So that CONFIG SET takes dir and dbfilename too, and an evicting policy is not refused for want of a limit.
HEADER = "enable-protected-configs yes\nmaxmemory 64mb\n"

# What this server takes no other value of, by what it says; the module knows a change of them all the same.
REFUSED = {
    "activedefrag": "compiled with a modified Jemalloc",
    "rdma-bind": "No RDMA building support",
    "rdma-port": "No RDMA building support",
    "tls-cluster": "Unable to update TLS",
    "tls-port": "Unable to update TLS",
    "tls-replication": "Unable to update TLS",
}
# Where one more or one letter more will not do: other values, of which the server takes one.
OTHERS = {
    "bind": ["127.0.0.1", "127.0.0.1 -::1"],
    "cluster-announce-client-ipv4": ["10.0.0.1"],
    "cluster-announce-client-ipv6": ["::1"],
    "enable-debug-command": ["yes"],
    "enable-module-command": ["yes"],
    "enable-protected-configs": ["no"],
    "supervised": ["auto"],
    "syslog-facility": ["user"],
    "dir": ["/tmp"],  # noqa: S108 - only its name is used
    "list-max-listpack-size": ["-3"],
    "locale-collate": ["C"],
    "maxmemory": ["1gb"],
    "maxmemory-clients": ["7%"],
    "proc-title-template": ["{title} {listen-addr} {server-mode} {port}"],
    "replicaof": ["127.0.0.1 2"],
    "save": ["1800 2"],
    "timeout": ["600"],
}
BY_KIND = {
    "events": ["Exl", "Kg"],
    "flags": ["force", "now"],
    "limits": ["pubsub 48mb 12mb 61"],
    "octal": ["700"],
    "percentiles": ["50 99.999"],
    "scores": ["0 200 801"],
}


@dataclass(frozen=True)
class Parameter:
    """A parameter as the server has it, and its value in every spelling."""

    name: str
    kind: str
    value: str
    choices: list[str]
    spellings: list[Any] = field(default_factory=list)

    def others(self) -> list[str]:
        """Really different values."""
        name = present_name(self.name)
        if name == "port":
            return [str(free_ports(1)[0])]
        if name in OTHERS or self.kind in BY_KIND:
            return [other for other in OTHERS.get(name, BY_KIND.get(self.kind, [])) if other != self.value]
        if self.kind == "boolean":
            return ["no" if self.value == "yes" else "yes"]
        if self.kind == "enum":
            return [choice for choice in self.choices if choice not in (self.value, "relative")]  # which is yes
        if self.kind in ("integer", "memory"):
            return [str(int(self.value) + step) for step in (1, -1) if int(self.value) + step >= 0]
        # Case and spaces count in a text.
        variants = (self.value.swapcase(), self.value.replace(" ", "  "), self.value.replace("  ", " "), f"{self.value}x")
        return [text for text in dict.fromkeys(variants) if text != self.value]


def find(server: RedisServer) -> list[Parameter]:
    with server.client() as client:
        values = client.config_get("*")
        kinds = {name: kind(client, name, value) for name, value in values.items()}
        assert client.config_get("*") == values
    return [
        Parameter(name, kinds[name][0], value, kinds[name][1], spellings(kinds[name][0], value))
        for name, value in values.items()
    ]


def run(server: RedisServer, settings: dict[str, Any], check: bool = True) -> dict[str, Any]:
    return run_module(server, settings, check)


@dataclass(frozen=True)
class Case:
    server: RedisServer
    parameters: list[Parameter]

    def rounds(self) -> Iterator[tuple[int, bool, dict[str, Any]]]:
        """The n-th spelling of every parameter, for each n, by the present names and by the former ones."""
        for number in range(max(len(parameter.spellings) for parameter in self.parameters)):
            for old_names in (False, True):
                yield number, old_names, settings(self.parameters, number, old_names)


def settings(parameters: list[Parameter], number: int, old_names: bool) -> dict[str, Any]:
    """Every parameter once, by its former or its present name, in the n-th of its spellings."""
    names = {parameter.name for parameter in parameters}
    former = {new: old for old, new in ALIASES.items() if {old, new} <= names}
    left_out = {new if old_names else old for new, old in former.items()}
    chosen = [parameter for parameter in parameters if parameter.name not in left_out]
    return {parameter.name: parameter.spellings[number % len(parameter.spellings)] for parameter in chosen}


@pytest.fixture(scope="module", params=[(release, state) for release in RELEASES for state in STATES], ids="-".join)
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    release, state = request.param
    password = {"password": PASSWORD} if state == "tuned" else {}
    with redis_server(release, HEADER + STATES[state], where=password) as server:
        yield Case(server, find(server))


def test_all_are_covered(case: Case) -> None:
    with case.server.client() as client:
        returned = client.config_get("*")
    covered = {name for _, _, wanted in case.rounds() for name in wanted}
    assert covered == returned.keys()
    assert len(covered) > 190
    assert sum(len(parameter.spellings) for parameter in case.parameters) > 550


def same(parameter: Parameter, text: str) -> bool:
    """Whether the server's answer is the former value; the order of save points is of no account to it."""
    if parameter.kind != "save":
        return text == parameter.value
    words, former = text.split(), parameter.value.split()
    return sorted(zip(words[::2], words[1::2], strict=True)) == sorted(zip(former[::2], former[1::2], strict=True))


def test_the_server_takes_each_spelling_for_its_present_value(case: Case) -> None:
    wrong, not_settable = {}, set()
    with case.server.client() as client:
        for parameter in case.parameters:
            for spelling in parameter.spellings:
                try:
                    client.config_set(parameter.name, written(spelling))
                except redis.ResponseError as error:
                    if "immutable" in str(error) or parameter.name == "rdma-bind":
                        not_settable.add(present_name(parameter.name))
                    else:
                        wrong[f"{parameter.name} = {spelling!r}"] = str(error)
                answer = client.config_get(parameter.name)[parameter.name]
                if not same(parameter, answer):
                    wrong[f"{parameter.name} = {spelling!r}"] = answer
            if parameter.kind == "save":
                client.config_set(parameter.name, parameter.value)  # in its former order
    assert wrong == {}, wrong
    names = {present_name(parameter.name) for parameter in case.parameters}
    assert not_settable == (IMMUTABLE | {"rdma-bind"}) & names


def test_another_spelling_is_no_change(case: Case) -> None:
    wrong: dict[str, Any] = {}
    for _, _, wanted in case.rounds():
        wrong |= changes(case.server, wanted)
    assert wrong == {}, wrong


def changes(server: RedisServer, wanted: dict[str, Any]) -> dict[str, Any]:
    """The settings that are refused or that would change something: all in one call, and one by one when that tells."""
    found = {}
    for given in (wanted, *({name: value} for name, value in wanted.items())):
        try:
            result = run(server, given)
        except TuningError as error:
            outcome: Any = str(error)
        else:
            outcome = (result["diff"], result["needs"]) if result["changed"] else None
        if given is wanted and outcome is None:
            return {}
        if given is not wanted and outcome is not None:
            found[f"{given}"] = outcome
    return found or {"all": "a change together, and none one by one"}


def test_another_spelling_in_the_file_is_no_change(case: Case) -> None:
    """A second server, started from the file, proves that the file is legal and holds what the first one runs with."""
    server, text = case.server, case.server.conf.read_text(encoding="utf-8")
    by_name = {parameter.name: parameter for parameter in case.parameters}
    wrong: dict[str, Any] = {}
    try:
        for number, old_names, wanted in case.rounds():
            written_out = {name: lines(name, by_name[name].kind, value, number) for name, value in wanted.items()}
            server.conf.write_text("".join(f"{line}\n" for some in written_out.values() for line in some), encoding="utf-8")
            by_the_other_names = settings(case.parameters, number + 1, not old_names)
            wrong |= {f"{key} in round {number}": value for key, value in changes(server, by_the_other_names).items()}
            written_out["port"] = ["port {port}"]
            differing = started_from(case, "".join(f"{line}\n" for some in written_out.values() for line in some))
            assert differing == {}, differing
    finally:
        server.conf.write_text(text, encoding="utf-8")
    assert wrong == {}, wrong


def started_from(case: Case, text: str) -> dict[str, str]:
    """What a server that is started from the file has otherwise than the first one, but for its port."""
    password = {"password": case.server.connection.get("password")}
    with redis_server(case.server.release, text, where=password) as other:
        with other.client() as client:
            values = client.config_get("*")
        other.process.kill()  # it need not save anything
    assert values.keys() == {parameter.name for parameter in case.parameters}
    return {
        parameter.name: values[parameter.name]
        for parameter in case.parameters
        if parameter.name != "port" and not same(parameter, values[parameter.name])
    }


def test_another_value_is_a_change(case: Case) -> None:
    refused, wrong = {}, {}
    with case.server.client() as client:
        for parameter in case.parameters:
            if present_name(parameter.name) in IMMUTABLE:
                continue
            others, refusal = taken(client, parameter)
            if not others:
                refused[parameter.name] = refusal
            if parameter.name == "requirepass":
                continue  # refused, since it would lock this run out
            for other in others or parameter.others()[:1]:
                result = run(case.server, {parameter.name: other})
                if result["diff"]["after"].keys() != {parameter.name}:
                    wrong[parameter.name] = other
    assert wrong == {}, wrong
    assert {name for name, words in REFUSED.items() if words in refused.get(name, "")} == refused.keys(), refused


def taken(client: redis.Redis, parameter: Parameter) -> tuple[list[str], str]:
    """The values that the server takes, and answers otherwise than its present one, which it has again; and a refusal."""
    found, refusal = [], ""
    for other in parameter.others():
        try:
            client.config_set(parameter.name, other)
        except redis.ResponseError as error:
            refusal = str(error)
            continue
        assert not same(parameter, client.config_get(parameter.name)[parameter.name]), (parameter.name, other)
        client.config_set(parameter.name, parameter.value)
        found.append(other)
    return found, refusal


def test_another_value_of_what_only_a_start_changes_is_refused(case: Case) -> None:
    for parameter in case.parameters:
        if present_name(parameter.name) in IMMUTABLE:
            for other in parameter.others() if parameter.kind == "text" else parameter.others()[:1]:
                with pytest.raises(TuningError, match=rf"redis_settings\.{parameter.name} on .*restart the server"):
                    run(case.server, {parameter.name: other})


def test_the_limits_are_those_of_the_server(case: Case) -> None:
    """A table that is narrower than the server would refuse what is legal; one that is wider is only late to refuse."""
    narrower = {"hz": (0, 2**31 - 1), "maxclients": (1, 2**32 - 1)}  # for a reason that the table gives
    wrong = {}
    with case.server.client() as client:
        for parameter in case.parameters:
            name = present_name(parameter.name)
            if name in IMMUTABLE or name in ("cluster-blacklist-ttl", "rdma-bind"):  # of any size
                continue
            if parameter.kind == "integer":
                low, high = limits(client, parameter.name, str(-(2**63)))
                kept = narrower.get(name, INTEGERS[name])
                if (low, high) != (kept[0], kept[1] or 2**63 - 1) and (name, high) != ("maxmemory-samples", 64):
                    wrong[name] = (low, high)
            elif parameter.kind in ("memory", "share") and MEMORY[name]:
                low, _ = limits(client, parameter.name, "0")
                if low != MEMORY[name]:
                    wrong[name] = (low, None)
            elif parameter.kind == "enum" and not set(parameter.choices) <= set(ENUMS[name]):
                wrong[name] = parameter.choices
    assert wrong == {}, wrong


def limits(client: redis.Redis, name: str, outside: str) -> tuple[int, int]:
    """What the server gives as its limits when it refuses a value."""
    with pytest.raises(redis.ResponseError, match="must be between") as refused:
        client.config_set(name, outside)
    low, high = re.findall(r"between (-?\d+) and (\d+) inclusive", str(refused.value))[0]
    return int(low), int(high)


def test_two_names_of_one_parameter_are_one_clear_error(case: Case) -> None:
    names = {parameter.name: parameter for parameter in case.parameters}
    pairs = [(old, new) for old, new in ALIASES.items() if {old, new} <= names.keys()]
    assert len(pairs) > 15
    for old, new in pairs:
        assert names[old].value == names[new].value
        with pytest.raises(TuningError, match=f"{new} and {old} are one parameter"):
            run(case.server, {new: names[new].value, old: names[old].value})


def test_the_server_has_one_value_under_both_names(case: Case) -> None:
    with case.server.client() as client:
        for parameter in case.parameters:
            if parameter.name not in ALIASES or present_name(parameter.name) in IMMUTABLE:
                continue
            if present_name(parameter.name) not in client.config_get(present_name(parameter.name)):
                continue  # this release has the former name alone
            (other, *_), _ = taken(client, parameter)
            client.config_set(parameter.name, other)
            assert client.config_get(present_name(parameter.name)) == {present_name(parameter.name): other}
            client.config_set(parameter.name, parameter.value)


@pytest.mark.parametrize("release", RELEASES)
def test_a_file_that_is_silent_stands_for_the_defaults(release: str) -> None:
    """All parameters have a known default but those that the server makes up as it starts."""
    with redis_server(release, "") as server, server.client() as client:
        named = {"port", "bind", "dir", "logfile"}
        known = defaults(client.info("server"))
        values = {name: value for name, value in client.config_get("*").items() if name not in named}
    assert {name for name in values if present_name(name) not in known} == {"pidfile"}
    assert {name: value for name, value in values.items() if known.get(present_name(name), "") != value} == {}
