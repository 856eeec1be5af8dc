# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes of the sandbox: run as an unprivileged user, recognised, waited for and stopped."""

import contextlib
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

LOOPBACK = "127.0.0.1"
POLL_SECONDS = 0.05
COMMAND_SECONDS = 90


class SandboxError(Exception):
    """What is wrong with the sandbox and what to do about it, in one sentence."""


@dataclass(frozen=True)
class Account:
    """The user that the services run as."""

    name: str
    uid: int
    gid: int
    switch: bool  # whether this is another user than the invoking one


def service_account() -> Account:
    """The invoking user, or an unprivileged one when that is root (the servers refuse root)."""
    if os.geteuid() != 0:
        return Account(_own_name(), os.geteuid(), os.getegid(), switch=False)
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(name, entry.pw_uid, entry.pw_gid, switch=True)
    raise SandboxError("there is no user 'postgres' to run the sandbox as: install the Debian package postgresql")


def _own_name() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # a container may run as a number that has no name
        return str(os.geteuid())


def find_program(name: str) -> str | None:
    """The path of a program; servers live in sbin, which an ordinary user's PATH lacks."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin"]))


def run(account: Account, argv: Sequence[str | Path], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Runs a command as the account, with an environment of its own, for at most 90 s."""
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": str(cwd)}
    command = [str(argument) for argument in argv]
    try:
        return subprocess.run(
            command,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            umask=0o077,
            check=False,
            timeout=COMMAND_SECONDS,
            user=account.uid if account.switch else None,
            group=account.gid if account.switch else None,
            extra_groups=[] if account.switch else None,
        )
    except subprocess.TimeoutExpired as error:
        raise SandboxError(f"{command[0]} did not end within {COMMAND_SECONDS} s: see the logs in {cwd}") from error


def spawn(account: Account, argv: Sequence[str | Path], cwd: Path, log: Path) -> None:
    """Starts a program that goes on by itself, in a session of its own; what it says goes to the log."""
    done = run(account, ["sh", "-c", 'exec setsid -f "$@" >>"$0" 2>&1', log, *argv], cwd)
    if done.returncode != 0:
        raise SandboxError(f"{argv[0]} was not started: {(done.stderr or done.stdout).strip()}")


def owned(folder: Path, uid: int, names: Collection[str], ending: Sequence[str] = ()) -> list[psutil.Process]:
    """The user's processes of these names that work in the folder or name it in their command line.

    Where ``ending`` is given, their command line has to end so.
    """
    mentions = re.compile(re.escape(str(folder)) + r"(?=[/\s'\"]|$)")
    found = []
    for process in psutil.process_iter():
        try:
            if process.uids().real == uid and process.name() in names:
                command = process.cmdline()
                if ending and command[-len(ending) :] != list(ending):
                    continue
                if Path(process.cwd()).is_relative_to(folder) or mentions.search(" ".join(command)):
                    found.append(process)
        except psutil.Error:  # ended meanwhile, or a zombie
            continue
    return found


def leader(processes: Sequence[psutil.Process]) -> psutil.Process | None:
    """The process that is the parent of the others."""
    pids = {process.pid for process in processes}
    for process in processes:
        with contextlib.suppress(psutil.Error):
            if process.ppid() not in pids:
                return process
    return None


def stop(find: Callable[[], list[psutil.Process]], first: signal.Signals, grace: float) -> bool:
    """Asks the leader to stop; kills what is left after `grace` seconds. False when something survives."""
    main = leader(find())
    if main is not None:
        _send(main, first)
        if poll(lambda: not find(), grace):
            return True
    for process in find():
        _send(process, signal.SIGKILL)
    return poll(lambda: not find(), 10)


def _send(process: psutil.Process, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)  # psutil refuses a pid that was reused since it was found


def poll(condition: Callable[[], bool], seconds: float) -> bool:
    """Waits until the condition holds, for at most `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def free_ports(count: int) -> list[int]:
    """Distinct free TCP ports on loopback."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((LOOPBACK, 0))
        return [each.getsockname()[1] for each in sockets]


def port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections in TIME_WAIT are no obstacle
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
