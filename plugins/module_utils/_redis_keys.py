# SPDX-License-Identifier: GPL-3.0-or-later
"""A bounded sample of the keys: which are JSON objects in strings, what hashes would take, which are big or never expire.

SCAN goes through the buckets of the table of keys, and which bucket a key is in is a hash of it with a seed of the server's
own. So the keys that it returns first are a random sample, whatever their names and age; no key is looked at twice here,
while a table that is being resized may return one twice.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ansible_collections.leadgen.tuning.plugins.module_utils._audit import audited, finding
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._redis import connect, connection_argument, endpoint
from ansible_collections.leadgen.tuning.plugins.module_utils._redis_estimates import total_of
from ansible_collections.leadgen.tuning.plugins.module_utils._redis_memory import mib
from ansible_collections.leadgen.tuning.plugins.module_utils._redis_objects import (
    Limits,
    fields_of,
    hash_size,
    patterns_of,
    string_size,
    uncounted,
)

with contextlib.suppress(ImportError):  # reported by connect()
    from redis.exceptions import ResponseError

if TYPE_CHECKING:
    from ansible_collections.leadgen.tuning.plugins.module_utils._redis import Client

ARGUMENT_SPEC: dict[str, Any] = {
    **connection_argument(),
    "keys": {"type": "int", "default": 10_000},
    "seconds": {"type": "float", "default": 30.0},
    "load": {"type": "float", "default": 0.008},
    "scratch_database": {"type": "int"},
    "big_key_bytes": {"type": "int", "default": 1 << 20},
    "min_saving": {"type": "float", "default": 0.05},
    "max_without_ttl": {"type": "float", "default": 0.5},
}
_BATCH = 10
# A longer string is counted by its first character: reading it would hold others up.
_LONGEST_READ = 16_384
_PATTERNS = 10
_BUCKETS_SINCE = (8, 1)  # of Valkey
_SCRATCH_MILLISECONDS = 60_000
# More than a batch of hashes takes.
_ROOM = 16 << 20
# Larger listpacks are slower to look through; Redis's documentation of memory optimisation goes up to this.
_LARGER_VALUE = 1024


@dataclass
class Key:
    """What was read of one key; ``saving`` is what it takes now less what a hash would."""

    name: str
    kind: str
    size: int
    ttl: int
    is_object: bool = False
    is_nested: bool = False
    saving: int = 0
    saving_larger: int = 0


@dataclass
class Sample:
    """The keys, and what they were read of."""

    population: int
    other_databases: int
    used_memory: int
    policy: str
    limits: Limits
    keys: list[Key] = field(default_factory=list)
    seconds: float = 0.0
    busy: float = 0.0
    is_whole: bool = False


def look(options: Mapping[str, Any], _check_mode: bool) -> dict[str, Any]:
    """Sample the keys, and judge them. Nothing of the data is changed; see ``scratch_database`` for what is written.

    :raises TuningError: when the server cannot be reached, refuses a command, or the scratch database is in use.
    """
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(connect(options["connection"]))
        _touch_nothing(client)
        sample = _begin(client, options)
        scratch = None
        if options["scratch_database"] is not None:
            # A client of its own, which is in that database or fails: in another one it would write and remove real keys.
            scratch = stack.enter_context(connect({**options["connection"], "db": options["scratch_database"]}))
            if scratch.dbsize():
                raise _not_empty(options)
        for keys in _batches(client, options, sample):
            _read(client, scratch, sample, keys)
    return {"changed": False, "report": _report(sample, options), "audit": _verdicts(sample, options)}


def _touch_nothing(client: Client) -> None:
    """Have reads leave alone what eviction goes by, where the server (from 7.2 on) and the user's rights allow."""
    with contextlib.suppress(ResponseError):
        client.execute_command("CLIENT", "NO-TOUCH", "ON")


def _begin(client: Client, options: Mapping[str, Any]) -> Sample:
    pipeline = client.pipeline(transaction=False)
    pipeline.dbsize()
    for section in ("keyspace", "memory", "replication", "server"):
        pipeline.info(section)
    command = options["connection"]["config_command"]
    # Before 7.0 they are called ziplist.
    for name in ("hash-max-*-entries", "hash-max-*-value", "maxmemory-policy"):
        pipeline.execute_command(command, "GET", name)
    population, databases, memory, replication, about, entries, value, policy = pipeline.execute()
    if options["scratch_database"] is not None and replication["role"] != "master":
        raise TuningError(
            f"redis_scratch_database on {endpoint(options['connection'])}: a replica is not written; leave it out, and the "
            "sizes are computed"
        )
    if options["scratch_database"] == 0:
        raise _not_empty(options)
    limit = int(memory.get("maxmemory", 0))
    if options["scratch_database"] is not None and limit and memory["used_memory"] + _ROOM > limit:
        raise TuningError(
            f"redis_scratch_database on {endpoint(options['connection'])}: {mib(memory['used_memory'])} of {mib(limit)} is "
            "in use, so that a hash could have keys evicted; leave it out, and the sizes are computed"
        )
    others = sum(about["keys"] for about in databases.values()) - population
    version = tuple(int(part) for part in str(about.get("valkey_version", "0.0")).split(".")[:2])
    limits = Limits(int(entries[1]), int(value[1]), version >= _BUCKETS_SINCE)
    return Sample(population, others, int(memory["used_memory"]), str(policy[1]), limits)


def _not_empty(options: Mapping[str, Any]) -> TuningError:
    return TuningError(
        f"redis_scratch_database {options['scratch_database']} on {endpoint(options['connection'])}: it holds keys; name an "
        "empty database, or leave it out, and the sizes are computed"
    )


def _batches(client: Client, options: Mapping[str, Any], sample: Sample) -> Iterator[list[str]]:
    """Keys, a few at a time, until the budget is used up or there are no more.

    After each batch this waits so long that the server has been busy with it for at most the share ``load`` of the time.
    """
    seen: set[str] = set()
    cursor, start = 0, time.monotonic()
    while True:
        began = time.monotonic()
        cursor, names = client.scan(cursor, count=_BATCH)
        fresh = [name for name in dict.fromkeys(names) if name not in seen][: options["keys"] - len(seen)]
        seen.update(fresh)
        yield fresh
        now = time.monotonic()
        sample.busy += now - began
        sample.seconds = now - start
        sample.is_whole = cursor == 0
        if cursor == 0 or len(seen) >= options["keys"] or sample.seconds >= options["seconds"]:
            return
        time.sleep((now - began) * (1 / options["load"] - 1))


def _read(client: Client, scratch: Client | None, sample: Sample, names: list[str]) -> None:
    pipeline = client.pipeline(transaction=False)
    for name in names:
        pipeline.type(name)
        pipeline.memory_usage(name)
        pipeline.pttl(name)
    answers = pipeline.execute()
    keys = [
        Key(name, str(kind), int(size), int(ttl))
        for name, kind, size, ttl in zip(names, answers[::3], answers[1::3], answers[2::3], strict=True)
        if size is not None  # it has expired meanwhile
    ]
    sample.keys += keys
    strings = [key for key in keys if key.kind == "string" and key.size <= _LONGEST_READ]
    for key in strings:
        pipeline.get(key.name)
    objects: list[tuple[Key, dict[str, str]]] = []
    for key, value in zip(strings, pipeline.execute(), strict=True):
        found = fields_of(value or "")
        if found:
            fields, key.is_nested = found
            now = string_size(len(value.encode("utf-8", "surrogateescape")))
            key.is_object = True
            key.saving = now - hash_size(fields, sample.limits)
            key.saving_larger = now - hash_size(
                fields, replace(sample.limits, value=max(_LARGER_VALUE, sample.limits.value))
            )
            objects.append((key, fields))
    if scratch is not None and objects:
        _measure(scratch, sample.limits, objects)


def _measure(scratch: Client, limits: Limits, objects: list[tuple[Key, dict[str, str]]]) -> None:
    """Make the hashes in the scratch database, under the same names, ask what they take, and remove them."""
    # All of it or nothing: a user who may make a key and not remove it makes none.
    pipeline = scratch.pipeline(transaction=True)
    for key, fields in objects:
        pipeline.hset(key.name, mapping=fields)
        pipeline.pexpire(key.name, _SCRATCH_MILLISECONDS)  # a run that is killed leaves nothing for long
        pipeline.memory_usage(key.name, samples=0)
        pipeline.unlink(key.name)
    for (key, fields), size in zip(objects, pipeline.execute()[2::4], strict=True):
        key.saving = key.size - int(size) - uncounted(fields, limits)


def _report(sample: Sample, options: Mapping[str, Any]) -> dict[str, Any]:
    objects = [key for key in sample.keys if key.is_object]
    by_pattern: dict[str, list[Key]] = defaultdict(list)
    names = patterns_of(key.name for key in sample.keys)
    for key in objects:
        by_pattern[names[key.name]].append(key)
    patterns = sorted(by_pattern.items(), key=lambda item: -sum(key.size for key in item[1]))[:_PATTERNS]
    return {
        "keys": sample.population,
        "sampled": len(sample.keys),
        "seconds": round(sample.seconds, 2),
        "busy_seconds": round(sample.busy, 3),
        "whole": sample.is_whole,
        "method": "computed" if options["scratch_database"] is None else "measured",
        "limits": {"hash-max-listpack-entries": sample.limits.entries, "hash-max-listpack-value": sample.limits.value},
        "json_strings": {
            "keys": _total(sample, [float(key.is_object) for key in sample.keys]),
            "nested": _total(sample, [float(key.is_nested) for key in sample.keys]),
            "bytes": _total(sample, [key.size * float(key.is_object) for key in sample.keys]),
            "saving_bytes": _total(sample, [float(key.saving) for key in sample.keys]),
            f"saving_bytes_with_listpack_value_{_LARGER_VALUE}": _total(
                sample, [float(key.saving_larger) for key in sample.keys]
            ),
            "patterns": {
                pattern: {
                    "sampled": len(keys),
                    "bytes": sum(key.size for key in keys),
                    "saving": sum(key.saving for key in keys),
                }
                for pattern, keys in patterns
            },
        },
        "big_keys": [
            {"pattern": names[key.name], "type": key.kind, "bytes": key.size}
            for key in sorted(sample.keys, key=lambda key: -key.size)[:_PATTERNS]
            if key.size >= options["big_key_bytes"]
        ],
        "without_ttl": _total(sample, [float(key.ttl < 0) for key in sample.keys]),
    }


def _total(sample: Sample, values: list[float]) -> dict[str, int]:
    return total_of(values, sample.population if values else 0).rounded()


def _verdicts(sample: Sample, options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Of redis.hashes and, where keys are evicted, of redis.eviction."""
    if not sample.keys:
        return [audited("redis.hashes", None, [], [])]
    where = (
        [f"{sample.other_databases} keys are in other databases, and were not looked at"] if sample.other_databases else []
    )
    savings = {
        "": total_of([float(key.saving) for key in sample.keys], sample.population),
        f" with hash-max-listpack-value {_LARGER_VALUE}": total_of(
            [float(key.saving_larger) for key in sample.keys], sample.population
        ),
    }
    enough = options["min_saving"] * sample.used_memory
    found = [
        _finding(
            "JSON in strings", sample, int(saving.value), f"{mib(saving.low)} to {mib(saving.high)} less as hashes{how}"
        )
        for how, saving in savings.items()
        if saving.low > enough
    ][:1]
    found += [
        _finding("big key", sample, key.size, f"{key.kind} of {mib(key.size)}; reading or removing it holds others up", key)
        for key in sample.keys
        if key.size >= options["big_key_bytes"]
    ][:_PATTERNS]
    share = savings[""].value / sample.used_memory
    return [audited("redis.hashes", round(share, 4), found, where), *_of_eviction(sample, options)]


def _of_eviction(sample: Sample, options: Mapping[str, Any]) -> list[dict[str, Any]]:
    if sample.policy == "noeviction":
        return []
    lasting = [float(key.ttl < 0) for key in sample.keys]
    low = total_of(lasting, sample.population).low / sample.population
    share = sum(lasting) / len(lasting)
    fate = "they are never evicted" if sample.policy.startswith("volatile-") else "they stay until there is no room"
    why = f"{share:.0%} of the keys have no TTL: {fate}"
    found = [_finding("keys without a TTL", sample, 0, why)] if low > options["max_without_ttl"] else []
    verdict = audited("redis.eviction", round(share, 4), found, [])
    if sample.policy.startswith("volatile-"):
        verdict["reason"] = f"{sample.policy} evicts the keys that have a TTL and no others, {1 - share:.0%} of them"
    return [verdict]


def _finding(kind: str, sample: Sample, size: int, why: str, key: Key | None = None) -> dict[str, Any]:
    """As the audit shows it; the place is a pattern, since a key's name may be somebody's."""
    chosen = [key] if key else [key for key in sample.keys if key.is_object] if "JSON" in kind else sample.keys
    names = patterns_of(key.name for key in sample.keys)
    patterns = Counter(names[key.name] for key in chosen)
    place = ", ".join(pattern for pattern, _count in patterns.most_common(3))
    return finding(kind, place, why, size)
