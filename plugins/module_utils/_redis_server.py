# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read of a Redis or Valkey server before anything is decided: its own words, and its file where that is here."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._redis import endpoint
from ansible_collections.leadgen.tuning.plugins.module_utils._redis_parameters import defaults
from ansible_collections.leadgen.tuning.plugins.module_utils._redis_values import file_values, parse_conf, standing

if TYPE_CHECKING:
    from ansible_collections.leadgen.tuning.plugins.module_utils._redis import Client

try:
    from redis.exceptions import NoPermissionError, ResponseError
except ImportError:  # connect() says so
    pass

SECTIONS = ("server", "memory", "persistence", "replication", "keyspace")
_TOO_DEEP = 16
_TITLES = ("redis-server", "valkey-server", "/")


@dataclass(frozen=True)
class Decision:
    """What one parameter needs: texts to show, and whether the server or only its file has to change."""

    name: str
    before: str
    after: str
    value: str
    set_it: bool
    rewrite: bool


@dataclass
class Server:
    """What was read of one server, before anything was decided."""

    endpoint: str
    config_command: str  # CONFIG, or the name that rename-command gave it
    about: dict[str, Any]  # INFO's SECTIONS in one
    databases: list[Mapping[str, int]]  # keys and expires, of each that has keys
    running: dict[str, str]  # in the server's own words
    pid: int | None  # None where it is no process of this machine
    in_file: dict[str, str] | None  # None where its redis.conf cannot be read from here
    config_error: str = ""  # what it answers where it has no such command

    @property
    def version(self) -> tuple[int, ...]:
        """Of Redis, which Valkey names too, for compatibility: the one that tells what it can do."""
        return tuple(int(part) for part in str(self.about["redis_version"]).split(".")[:2])

    @property
    def product(self) -> str:
        """Its name and version, for messages."""
        if "valkey_version" in self.about:
            return f"Valkey {self.about['valkey_version']}"
        return f"Redis {self.about['redis_version']}"

    def standing(self, name: str, in_file: Mapping[str, str] | None = None) -> str | None:
        """What its file, or one with other values, stands for, canonical; None where that cannot be known."""
        values = self.in_file if in_file is None else in_file
        return None if values is None else standing(name, values, defaults(self.about))

    @property
    def config_file(self) -> str:
        """Its configuration file; empty where it was started without one."""
        return str(self.about.get("config_file", ""))

    @property
    def is_replica(self) -> bool:
        """Whether it follows another server now."""
        return self.about.get("role") == "slave"

    @property
    def replicas(self) -> int:
        """How many replicas follow it."""
        return int(self.about.get("connected_slaves", 0))

    def keys(self, what: str = "keys") -> int:
        """How many keys there are; with ``expires`` those that have a TTL."""
        return sum(int(database[what]) for database in self.databases)

    def error(self, name: str, reason: object, result: Mapping[str, Any] | None = None) -> TuningError:
        """An error about one entry of the inventory's dictionary, with what was done all the same."""
        return TuningError(f"redis_settings.{name} on {self.endpoint}: {reason}", result)


def read_server(client: Client, where: Mapping[str, Any], names: Iterable[str]) -> Server:
    """One round trip, whatever the number of parameters; a name a call serves servers before 7.0 too."""
    names, config_command = list(names), where["config_command"]
    pipeline = client.pipeline(transaction=False)
    for section in SECTIONS:
        pipeline.info(section)
    for name in names:
        pipeline.execute_command(config_command, "GET", name)
    answers = pipeline.execute(raise_on_error=False)
    about: dict[str, Any] = {}
    for answer in answers[: len(SECTIONS)]:
        if isinstance(answer, NoPermissionError):
            raise answer  # connect() tells what the user lacks
        if isinstance(answer, ResponseError):
            raise TuningError(f"redis_connection on {endpoint(where)}: {answer}; the user needs INFO") from answer
        about |= answer
    databases = [value for name, value in about.items() if name.startswith("db") and name[2:].isdigit()]
    pid = _pid_here(about)
    found = Server(endpoint(where), config_command, about, databases, {}, pid, None)
    for name, answer in zip(names, answers[len(SECTIONS) :], strict=True):
        if isinstance(answer, NoPermissionError):
            raise answer
        if isinstance(answer, ResponseError):
            found.config_error = str(answer)
        elif name in answer[::2]:
            found.running[name] = str(answer[answer.index(name) + 1])
    if found.config_file and pid is not None:
        found.in_file = read_file(found.config_file)
    return found


def _pid_here(about: Mapping[str, Any]) -> int | None:
    """The server's process id, where it is a process of this very machine, so that the path of its file means the same here.

    A forwarded port or a container has another process, or none, under the id that the server gives. A server's title names
    where it listens, unless proc-title-template or set-proc-title say otherwise; then it is known by the file it was given.
    """
    try:
        with open(f"/proc/{about['process_id']}/cmdline", "rb") as file:
            title = file.read().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return None
    place = f":{about['tcp_port']}" if about["tcp_port"] else "unixsocket:"
    is_it = title.startswith(_TITLES) and place in title
    config_file = str(about.get("config_file", ""))
    return int(about["process_id"]) if is_it or (config_file and config_file in title.split(" ")) else None


def read_file(path: str, instead: Mapping[str, str] | None = None) -> dict[str, str] | None:
    """The values of a redis.conf and of the files that it includes; None when one cannot be read.

    :param instead: texts of files as they would be, by path.
    :raises TuningError: for a line that Redis would not understand.
    """
    directives: list[tuple[str, list[str]]] = []
    if not _collect(path, directives, instead or {}, 0):
        return None
    return file_values(directives)


def _collect(path: str, directives: list[tuple[str, list[str]]], instead: Mapping[str, str], depth: int) -> bool:
    try:
        if path in instead:
            found = parse_conf(instead[path])
        else:
            with open(path, encoding="utf-8", errors="surrogateescape") as file:
                found = parse_conf(file.read())
    except OSError:
        return False
    except ValueError as error:
        raise TuningError(f"redis_settings: {path} cannot be understood: {error}; mend that line first") from error
    for name, words in found:
        if name != "include":
            directives.append((name, words))
            continue
        for pattern in words:
            # A file that this run would make is not there yet.
            whole = os.path.join(os.path.dirname(path), pattern)
            for included in sorted({*glob.glob(whole), *({whole} & set(instead))}):
                if depth >= _TOO_DEEP or not _collect(included, directives, instead, depth + 1):
                    return False
    return True
