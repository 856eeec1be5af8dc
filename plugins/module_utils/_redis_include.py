# SPDX-License-Identifier: GPL-3.0-or-later
"""A file of ours that redis.conf includes: for a redis.conf which the server may not write, or which others write."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._redis_parameters import present_name
from ansible_collections.leadgen.tuning.plugins.module_utils._redis_server import read_file
from ansible_collections.leadgen.tuning.plugins.module_utils._redis_values import parse_conf
from ansible_collections.leadgen.tuning.plugins.module_utils._replace_file import new_file, replace_file

if TYPE_CHECKING:
    from ansible_collections.leadgen.tuning.plugins.module_utils._redis_server import Decision, Server

_HEADER = "# Written by Retune. The line that includes this file has to be the last one of redis.conf.\n"
_PLAIN = re.compile(r"[\w.:/@%*+-]+")
_CLASS_SIZE = 4
# Parameters of several words (MULTI_ARG_CONFIG of Redis's src/config.c); all others are one, quoted where it has to be.
_SEVERAL_WORDS = frozenset({"bind", "latency-tracking-info-percentiles", "oom-score-adj-values", "rdma-bind", "replicaof"})


class Include:
    """The file as it is wanted.

    :raises TuningError: when it would not be in force after a restart.
    """

    def __init__(self, server: Server, path: str, decisions: Sequence[Decision]) -> None:
        self.server, self.path = server, Path(path)
        if server.pid is None or server.in_file is None:
            raise TuningError(
                f"redis_include_file on {server.endpoint}: {server.config_file} of the server is not to be read from here; "
                "manage the host on which it runs (ansible_connection: ssh), as its user or as root"
            )
        self.text = self._text(decisions)
        found = read_file(server.config_file, {str(self.path): self.text}) or {}
        for decision in decisions:
            if server.standing(decision.name, found) != decision.value:
                raise server.error(
                    decision.name,
                    f"{server.config_file} would not have it after a restart: its last line has to be: include {self.path}",
                )

    def write(self) -> None:
        """Put it in place, readable by the server's user."""
        owner = Path(f"/proc/{self.server.pid}").stat()
        try:
            if self.path.exists():
                replace_file(self.path, self.text)
            else:
                new_file(self.path, self.text, owner.st_uid, owner.st_gid)
        except OSError as error:
            raise TuningError(
                f"redis_include_file on {self.server.endpoint}: {self.path} cannot be written: {error.strerror}; run as "
                "the owner of its folder, or as root"
            ) from error

    def _text(self, decisions: Sequence[Decision]) -> str:
        """What the file says already, less the parameters at hand, and these."""
        named = {present_name(decision.name) for decision in decisions}
        try:
            kept = [
                line for line in self._present().splitlines() if not named & {present_name(name) for name in _names(line)}
            ]
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise TuningError(
                f"redis_include_file on {self.server.endpoint}: {self.path} cannot be read: {reason}; run as its owner, or "
                "remove it"
            ) from error
        lines = [line for decision in decisions for line in directives(decision.name, decision.value)]
        return "".join(f"{line}\n" for line in (*kept, *lines))

    def _present(self) -> str:
        try:
            return self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return _HEADER


def _names(line: str) -> list[str]:
    """The parameter of a line; none in a comment."""
    return [name for name, _words in parse_conf(line)]


def directives(name: str, value: str) -> Iterator[str]:
    """The lines that give a parameter its value, whatever was said of it before."""
    if name == "save":
        yield 'save ""'  # takes back what others add up to
        parts = value.split()
        yield from (f"save {seconds} {changes}" for seconds, changes in zip(parts[::2], parts[1::2], strict=True))
    elif name == "client-output-buffer-limit":
        parts = value.split()
        for start in range(0, len(parts), _CLASS_SIZE):
            yield f"{name} {' '.join(parts[start : start + _CLASS_SIZE])}"
    elif name in _SEVERAL_WORDS or _PLAIN.fullmatch(value):
        yield f"{name} {value}"
    else:
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
        yield f'{name} "{escaped}"'
