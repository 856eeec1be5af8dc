# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox: its services together."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from . import home, hosts, load, state
from .edge import Edge
from .kubernetes import Kubernetes
from .pgbouncer import PgBouncer
from .postgres import Postgres
from .processes import SandboxError, service_account
from .redis_server import RedisServer
from .service import Program, Service

KINDS: dict[str, type[Service]] = {kind.name: kind for kind in (Postgres, PgBouncer, RedisServer, Edge, Kubernetes)}
DEFAULT = tuple(name for name, kind in KINDS.items() if not kind.optional)
NOT_UP = "the sandbox is not up: run 'retune sandbox up'"
GRANTS = "grants"  # among what is complete
SMALLEST = {"events": 1, "leads": 21, "keys": 1}  # what the load's scripts need


class Sandbox:
    """Private, untuned services on loopback, in a directory of their own."""

    def __init__(self, directory: Path, inventory: Path) -> None:
        self.directory = home.normal(directory)
        self.hosts_file = inventory / "hosts.yml"
        self.account = service_account()

    def up(
        self,
        *,
        events: int = 1_000_000,
        leads: int = 100_000,
        keys: int = 20_000,
        services: Collection[str] = DEFAULT,
        grant: Callable[[], None] | None = None,
    ) -> None:
        """Starts what is not running; data that is there stays, whatever the sizes. Ready when it returns.

        ``grant`` is called once, when the inventory is there: it lets the role that tunes PostgreSQL do so.
        """
        wanted = _wanted(services)
        _require_programs(wanted)
        hosts.check(self.hosts_file)
        sizes = {"events": events, "leads": leads, "keys": keys}
        for name, least in SMALLEST.items():
            if sizes[name] < least:
                raise SandboxError(f"{name} is {sizes[name]}: give at least {least}")
        place = home.make(self.directory, self.account)
        with home.locked(place):
            known = state.load(place) or state.create(place)
            state.add_ports(known)
            state.make_passwords(known)
            # The sizes of complete data stay; those of the rest are asked for now.
            kept = {"events": "postgres", "leads": "postgres", "keys": "redis"}
            known.sizes |= {name: n for name, n in sizes.items() if kept[name] not in known.complete}
            known.services = [name for name in KINDS if name in known.services or name in wanted]
            known.save()
            for name in wanted:
                KINDS[name](known, self.account).start()
            hosts.write(self.hosts_file, [each for each in self._services(known) if each.ready()])
            if grant is not None and "postgres" in known.complete and GRANTS not in known.complete:
                grant()
                known.complete.append(GRANTS)
                known.save()

    def down(self) -> None:
        """Stops everything and removes the data; harmless when not up."""
        hosts.remove(self.hosts_file)
        place = home.find(self.directory)
        if place is None:
            home.discard(self.directory, None)
            return
        with home.locked(place):
            known = state.load(place)
            if known is not None:
                for service in reversed(self._services(known)):
                    service.stop()
            home.discard(self.directory, place)

    def restart(self, services: Collection[str] = ()) -> None:
        """Stops and starts these services, or all that were asked for; data and settings stay."""
        known = self._known()
        wanted = [name for name in KINDS if name in _wanted(services)] if services else known.services
        with home.locked(known.home):
            for name in wanted:
                service = KINDS[name](known, self.account)
                service.stop()
                service.start()

    def status(self) -> dict[str, dict[str, Any]]:
        """Endpoint, readiness (by a real request) and pid of each service that was asked for; empty when not up."""
        place = home.find(self.directory)
        known = None if place is None else state.load(place)
        if known is None:
            return {}
        return {
            each.name: {"endpoint": each.endpoint, "ready": each.ready(), "pid": each.pid} for each in self._services(known)
        }

    def load(self, seconds: int) -> dict[str, dict[str, int]]:
        """Drives the services for about this long; counts by kind of load."""
        known = self._known()
        return load.drive(self._services(known), seconds)

    def _known(self) -> state.State:
        place = home.find(self.directory)
        known = None if place is None else state.load(place)
        if known is None or not known.services:
            raise SandboxError(NOT_UP)
        return known

    def _services(self, known: state.State) -> list[Service]:
        return [KINDS[name](known, self.account) for name in known.services]


def _wanted(services: Collection[str]) -> list[str]:
    """The services in the order in which they start; the pooler brings its server along."""
    unknown = sorted(set(services) - set(KINDS))
    if unknown:
        raise SandboxError(f"there is no service '{unknown[0]}': choose from {', '.join(KINDS)}")
    names = {*services, "postgres"} if "pgbouncer" in services else set(services)
    return [name for name in KINDS if name in names]


def _require_programs(names: Collection[str]) -> None:
    missing = [program for name in names for program in KINDS[name].missing()]
    if not missing:
        return
    packaged, built = [each for each in missing if each.package], [each for each in missing if not each.package]
    reasons = []
    if packaged:
        packages = list(dict.fromkeys(str(program.package) for program in packaged))
        noun = "package" if len(packages) == 1 else "packages"
        reasons.append(f"{_listed(packaged)} not installed: run 'make setup' (Debian {noun} {', '.join(packages)})")
    if built:
        reasons.append(f"{_listed(built)} not built: run 'make envtest'")
    raise SandboxError("; ".join(reasons))


def _listed(programs: list[Program]) -> str:
    names = [program.name for program in programs]
    return f"{names[0]} is" if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]} are"
