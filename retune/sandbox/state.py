# SPDX-License-Identifier: GPL-3.0-or-later
"""What the sandbox remembers: ports, sizes, which services are complete (state.json) and passwords (pgpass)."""

import json
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path

from . import files
from .home import STATE
from .processes import LOOPBACK, SandboxError, free_ports

PORTS = ("postgres", "pgbouncer", "redis", "edge", "upstream", "kubernetes")
SUPERUSER = "postgres"
APP = "leads_app"
MIGRATE = "leads_migrate"
TUNING = "tuning"
POOL_ADMIN = "pgbouncer_admin"


@dataclass
class State:
    """The contents of state.json; written before anything starts."""

    home: Path
    ports: dict[str, int] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)  # events, leads, keys: what the data was made with
    services: list[str] = field(default_factory=list)  # what was ever asked for
    complete: list[str] = field(default_factory=list)  # whose data and configuration were made to the end

    def save(self) -> None:
        contents = {key: value for key, value in asdict(self).items() if key != "home"}
        files.write(self.home / STATE, json.dumps(contents, indent=2) + "\n")

    @property
    def passfile(self) -> Path:
        return self.home / "pgpass"

    def password(self, user: str) -> str:
        for line in self.passfile.read_text(encoding="utf-8").splitlines():
            *_, name, password = line.split(":")
            if name == user:
                return password
        raise SandboxError(f"{self.passfile} lacks user '{user}': run 'retune sandbox down', then 'up'")


def load(home: Path) -> State | None:
    """The remembered state; None when `up` did not get as far as writing it."""
    try:
        return State(home, **json.loads((home / STATE).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise SandboxError(f"{home / STATE} is damaged: stop the services and remove {home}") from error


def create(home: Path) -> State:
    """A new state with free ports."""
    state = State(home)
    add_ports(state)
    state.save()
    return state


def add_ports(state: State) -> None:
    """Gives a free port to what has none: a sandbox may be older than a service."""
    lacking = [name for name in PORTS if name not in state.ports]
    state.ports |= dict(zip(lacking, free_ports(len(lacking)), strict=True))


def make_passwords(state: State) -> None:
    """Random passwords in a libpq password file, unless it is there."""
    if state.passfile.exists():
        return
    server, pool = state.ports["postgres"], state.ports["pgbouncer"]
    users = {SUPERUSER: (server,), APP: (server, pool), MIGRATE: (server, pool), TUNING: (server,), POOL_ADMIN: (pool,)}
    lines = []
    for user, ports in users.items():
        password = secrets.token_urlsafe(24)  # neither ':' nor '\', which the format would need escaped
        lines += [f"{LOOPBACK}:{port}:*:{user}:{password}\n" for port in ports]
    files.write(state.passfile, "".join(lines))
