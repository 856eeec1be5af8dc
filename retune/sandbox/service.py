# SPDX-License-Identifier: GPL-3.0-or-later
"""What the services of the sandbox have in common."""

import signal
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import psutil

from . import files, processes
from .processes import LOOPBACK, Account, SandboxError
from .state import State

READY_SECONDS = 30


@dataclass(frozen=True)
class Program:
    """A program and the Debian package that has it, or none where `make envtest` builds it."""

    name: str
    package: str | None = None


class Service(ABC):
    """One service: a folder, a port, the processes that work in the folder."""

    name: ClassVar[str]
    needs: ClassVar[tuple[Program, ...]]
    optional: ClassVar[bool] = False  # started only where it is asked for by name
    ready_seconds: ClassVar[float] = READY_SECONDS
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    stop_seconds: ClassVar[float] = 10

    def __init__(self, state: State, account: Account) -> None:
        self.state = state
        self.account = account
        self.folder: Path = state.home / self.name
        self.port = state.ports[self.name]

    @property
    def endpoint(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    @property
    def ports(self) -> Sequence[int]:
        return (self.port,)

    @classmethod
    def program(cls, name: str) -> str | None:
        return processes.find_program(name)

    @classmethod
    def missing(cls) -> list[Program]:
        return [program for program in cls.needs if cls.program(program.name) is None]

    @abstractmethod
    def make(self) -> None:
        """Makes configuration and data files in the empty folder."""

    @abstractmethod
    def launch(self) -> None:
        """Starts the server; it goes on by itself."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether a real request is answered now."""

    @abstractmethod
    def host_variables(self) -> dict[str, object]:
        """What the inventory says about this host."""

    def fill(self) -> None:  # noqa: B027 - not every service has data
        """Puts data into the started server."""

    def processes(self) -> list[psutil.Process]:
        names = {program.name for program in self.needs}
        return processes.owned(self.folder, self.account.uid, names)

    @property
    def pid(self) -> int | None:
        main = processes.leader(self.processes())
        return None if main is None else main.pid

    def ready(self) -> bool:
        return self.pid is not None and self.answers()

    def start(self) -> None:
        """Starts the service unless it is ready; makes anew what an interrupted start left half made."""
        complete = self.name in self.state.complete
        if complete and self.pid is not None and processes.poll(self.ready, self.ready_seconds):
            return
        self.stop()
        for port in self.ports:
            if not processes.port_is_free(port):
                raise SandboxError(
                    f"port {port} of the sandbox's {self.name} is taken by another program: "
                    "stop that, or run 'retune sandbox down', then 'up'"
                )
        if not complete:
            files.remove(self.folder)
            files.make_folder(self.folder, self.account)
            self.make()
        self.launch()
        if not processes.poll(self.ready, self.ready_seconds):
            raise SandboxError(f"{self.name} was not ready within {self.ready_seconds} s: see the logs in {self.folder}")
        if not complete:
            self.fill()
            self.state.complete.append(self.name)
            self.state.save()

    def stop(self) -> None:
        if not processes.stop(self.processes, self.stop_signal, self.stop_seconds):
            raise SandboxError(f"{self.name} (pid {self.pid}) does not stop: end it, then run 'retune sandbox down'")

    def run(self, program: str, *arguments: str | Path) -> None:
        """Runs one of the service's programs to its end, as the service user, in its folder."""
        path = self.program(program)
        if path is None:
            raise SandboxError(f"{program} is not installed: run 'make setup'")
        done = processes.run(self.account, [path, *arguments], self.folder)
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip().splitlines()
            reason = said[-1] if said else f"exit status {done.returncode}"
            raise SandboxError(f"{program} failed ({reason}): see the logs in {self.folder}")

    def write(self, name: str, text: str) -> Path:
        """Writes a file of the service user in the folder."""
        path = self.folder / name
        files.write(path, text, owner=self.account)
        return path
