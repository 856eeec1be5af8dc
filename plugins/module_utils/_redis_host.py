# SPDX-License-Identifier: GPL-3.0-or-later
"""What Redis needs of the host that it runs on: room for forks, small pages, open files.

Source: Redis's documentation of administration, and ``src/syscheck.c``, whose warnings a server logs when it starts.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._redis_server import Decision, Server

# What a server keeps for itself of its open files (CONFIG_MIN_RESERVED_FDS of its src/server.h).
_OWN_FILES = 32
_DISABLES_HUGE_PAGES_SINCE = (6, 2)


@dataclass(frozen=True)
class Setting:
    """A setting of the kernel: where it is, which values are good, and the file that sets it at each start."""

    name: str
    place: str
    good: tuple[str, ...]  # the first is what is set
    kept_in: str
    line: str
    why: str


SETTINGS = (
    Setting(
        "vm.overcommit_memory",
        "proc/sys/vm/overcommit_memory",
        ("1",),
        "etc/sysctl.d/60-retune-redis.conf",
        "vm.overcommit_memory = 1",
        "a fork, for a snapshot or a replica, can fail for want of memory that it would not use",
    ),
    Setting(
        "transparent_hugepage",
        "sys/kernel/mm/transparent_hugepage/enabled",
        ("madvise", "never"),
        "etc/tmpfiles.d/retune-redis.conf",
        "w /sys/kernel/mm/transparent_hugepage/enabled - - - - madvise",
        "after a fork each write copies 2 MiB instead of 4 KiB",
    ),
)


class Host:
    """The host of a server; ``root`` is its file system."""

    def __init__(self, server: Server, root: Path = Path("/")) -> None:
        self.server, self.root = server, root

    def decisions(self) -> list[Decision]:
        """What of SETTINGS differs, in the kernel or in the file for its next start.

        :raises TuningError: when the server's host is not this one.
        """
        if self.server.pid is None:
            raise TuningError(
                f"redis_manage_host on {self.server.endpoint}: no process of this machine is the server; manage the host on "
                "which it runs (ansible_connection: ssh), as root"
            )
        found = []
        for setting in SETTINGS:
            value = self._read(setting)
            kept = self._text(setting) == f"{setting.line}\n"
            is_good = value in setting.good
            if value and not (is_good and kept):
                now = value if not is_good else f"{value}, until the next start"
                found.append(Decision(setting.name, now, setting.good[0], setting.good[0], not is_good, not kept))
        return found

    def write(self) -> None:
        """Bring the settings about.

        :raises TuningError: when one cannot be written.
        """
        changed = {decision.name: decision for decision in self.decisions()}
        for setting in SETTINGS:
            if setting.name not in changed:
                continue
            try:
                file = self.root / setting.kept_in
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(f"{setting.line}\n", encoding="utf-8")
                if changed[setting.name].set_it:
                    (self.root / setting.place).write_text(setting.good[0], encoding="utf-8")
            except OSError as error:
                raise TuningError(
                    f"redis_manage_host on {self.server.endpoint}: {error.filename} cannot be written: {error.strerror}; "
                    "run as root, or set redis_manage_host to false"
                ) from error

    def warnings(self, values: Mapping[str, str], forks: bool) -> list[str]:
        """What of SETTINGS hurts this server, where the host is this one and nobody manages it."""
        if self.server.pid is None or not forks:
            return []
        found = []
        for setting in SETTINGS:
            value = self._read(setting)
            if not value or value in setting.good:
                continue
            own = setting.name == "transparent_hugepage" and values.get("disable-thp", "yes") == "yes"
            if own and self.server.version >= _DISABLES_HUGE_PAGES_SINCE:
                continue  # the server turns them off for itself
            found.append(
                f"{setting.name} of the host of {self.server.endpoint} is {value}: {setting.why}; "
                f"set it to {setting.good[0]}, or let redis_manage_host"
            )
        return found

    def why_too_many_clients(self, maxclients: int) -> str | None:
        """Why the server's process cannot have so many, with the numbers; None when it can, or is not here."""
        try:
            lines = (self.root / f"proc/{self.server.pid}/limits").read_text(encoding="utf-8").splitlines()
        except OSError:
            return None
        limit = next(line.split()[4] for line in lines if line.startswith("Max open files"))
        if limit == "unlimited" or maxclients + _OWN_FILES <= int(limit):
            return None
        return (
            f"{maxclients} clients and {_OWN_FILES} files of its own are more than the {limit} that its process may open; "
            "raise LimitNOFILE of its unit and restart it, or lower maxclients"
        )

    def _read(self, setting: Setting) -> str:
        """The kernel's value, the one in brackets where it lists them all; empty where there is no such setting."""
        try:
            text = (self.root / setting.place).read_text(encoding="utf-8").strip()
        except OSError:
            return ""
        match = re.search(r"\[(\w+)\]", text)
        return match[1] if match else text

    def _text(self, setting: Setting) -> str:
        path = self.root / setting.kept_in
        return path.read_text(encoding="utf-8") if os.access(path, os.R_OK) else ""
