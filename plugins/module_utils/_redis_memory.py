# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a Redis of some maxmemory fits in the memory that there is. Bytes throughout.

``maxmemory`` bounds the keys and the clients' buffers. Beside it a server takes what its forks copy while they write a
snapshot, an append-only file or a replica's first copy, and what waits for its replicas (Redis's documentation of
eviction and of client-output-buffer-limit; INFO's ``mem_not_counted_for_evict``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

# Of maxmemory, what a fork copies on a server whose keys are written while it goes on: Amazon's reserved-memory-percent.
# Where INFO tells of a fork that copied more, that counts.
COPIED_SHARE = 0.25
_PERCENT = re.compile(r"\s*(\d{1,3}(?:\.\d+)?)\s*%\s*")
_NO_LIMIT_FROM = 1 << 62  # what cgroups of version 1 say where there is none


@dataclass(frozen=True)
class Need:
    """What a server takes at most."""

    maxmemory: int
    forks: bool  # whether it persists anything or has replicas
    last_copied: int  # the most that a fork has copied so far
    replicas_wait: int  # the hard limit of what waits for replicas

    @property
    def copied(self) -> int:
        """What a fork copies."""
        return max(int(self.maxmemory * COPIED_SHARE), self.last_copied) if self.forks else 0

    @property
    def total(self) -> int:
        """All of it."""
        return self.maxmemory + self.copied + self.replicas_wait


def share_of(text: str, memory: int) -> int | None:
    """The bytes of a share such as 60%, in whole MiB; None for a text that is none.

    :raises ValueError: for a share that is not above 0 and below 100.
    """
    match = _PERCENT.fullmatch(text)
    if not match:
        return None
    share = float(match[1])
    if not 0 < share < 100:  # noqa: PLR2004
        raise ValueError(f"{text.strip()} has to be above 0% and below 100%")
    return int(memory * share / 100) >> 20 << 20


def mib(size: float) -> str:
    """A size for people."""
    return f"{size / (1 << 20):,.0f} MiB"


def why_too_large(need: Need, memory: int) -> str | None:
    """Why it does not fit, with the numbers; None when it does."""
    if need.total <= memory:
        return None
    parts = [f"maxmemory {mib(need.maxmemory)}"]
    if need.copied:
        parts.append(f"{mib(need.copied)} that a fork copies")
    if need.replicas_wait:
        parts.append(f"{mib(need.replicas_wait)} that wait for replicas")
    return f"{' and '.join(parts)} are more than the {mib(memory)} of memory that there are; lower maxmemory"


def limit_of_process(pid: int, root: Path = Path("/")) -> int | None:
    """The memory limit of a process's control groups; None for none, or where it cannot be read.

    Source: Linux's documentation of cgroup v2 (``memory.max``) and v1 (``memory.limit_in_bytes``).
    """
    try:
        lines = (root / f"proc/{pid}/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    limits = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        top, name = ("sys/fs/cgroup/memory", "memory.limit_in_bytes") if controllers else ("sys/fs/cgroup", "memory.max")
        group = root / top / path.lstrip("/")
        while group.is_relative_to(root / top):
            limits.append(_read_limit(group / name))
            group = group.parent
    return min((limit for limit in limits if limit is not None), default=None)


def _read_limit(file: Path) -> int | None:
    try:
        text = file.read_text(encoding="utf-8").strip()
    except OSError:
        return None
    return int(text) if text.isdigit() and int(text) < _NO_LIMIT_FROM else None
