# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the sandbox lives: its directory, or one under /var/tmp when the service user cannot enter that."""

import contextlib
import fcntl
import hashlib
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

from . import files
from .processes import Account, SandboxError

STATE = "state.json"
ELSEWHERE = Path("/var/tmp")  # noqa: S108 - survives a reboot; ownership and links are checked below
HOME_MODE = 0o711  # the service user passes through to its own folders and lists nothing


def normal(directory: Path) -> Path:
    """The absolute path; the last part may be our own link and is kept."""
    absolute = Path(os.path.abspath(directory))
    return absolute.parent.resolve() / absolute.name


def fallback(directory: Path) -> Path:
    digest = hashlib.sha256(str(directory).encode()).hexdigest()[:16]
    return ELSEWHERE / f"retune-sandbox-{digest}"


def find(directory: Path) -> Path | None:
    """The folder that holds an existing sandbox; None when there is none."""
    other = fallback(directory)
    if directory.is_symlink() and Path(os.readlink(directory)) != other:
        raise SandboxError(f"{directory} is a symbolic link that 'retune sandbox' did not make: remove it")
    for path in (directory, other):
        if os.path.lexists(path) and not (path == directory and path.is_symlink()):
            _check(path)
            return path
    return None


def make(directory: Path, account: Account) -> Path:
    """The folder for the sandbox, made if it is not there."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    existing = find(directory)
    if _can_enter(account, directory.parent):
        home = existing or directory
        home.mkdir(exist_ok=True)
    else:
        home = fallback(directory)
        if existing == directory:
            if os.listdir(directory):
                raise SandboxError(f"user '{account.name}' cannot enter {directory}: remove it and try again")
            directory.rmdir()
        home.mkdir(mode=HOME_MODE, exist_ok=True)
        _check(home)
        if not directory.is_symlink():
            directory.symlink_to(home)
    home.chmod(HOME_MODE)
    return home


def discard(directory: Path, home: Path | None) -> None:
    """Removes the sandbox; its mark goes last, so that an interrupted removal can be repeated."""
    if home is not None:
        for entry in home.iterdir():
            if entry.name != STATE:
                files.remove(entry)
        files.remove(home / STATE)
        home.rmdir()
    if directory.is_symlink():
        directory.unlink()


@contextlib.contextmanager
def locked(home: Path) -> Iterator[None]:
    """Keeps a second command from changing the same sandbox; ends with the process."""
    handle = os.open(home, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise SandboxError(f"another 'retune sandbox' command is at work in {home}: wait until it ends") from error
    finally:
        os.close(handle)


def _check(path: Path) -> None:
    """Refuses a folder that is not a sandbox of the invoking user: `down` removes it whole."""
    entry = path.lstat()
    if not stat.S_ISDIR(entry.st_mode):
        raise SandboxError(f"{path} is not a directory: remove it or choose another directory")
    if entry.st_uid != os.geteuid():
        raise SandboxError(f"{path} belongs to another user: remove it or choose another directory")
    names = os.listdir(path)
    if STATE not in names and any(not name.startswith(f".{STATE}.") for name in names):
        raise SandboxError(f"{path} holds other files and no sandbox: choose another directory")


def _can_enter(account: Account, folder: Path) -> bool:
    if not account.switch:
        return True
    command = ["test", "-x", str(folder)]
    done = subprocess.run(command, check=False, cwd="/", user=account.uid, group=account.gid, extra_groups=[])
    return done.returncode == 0
