# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of the sandbox: atomic writes, owned folders, configuration templates."""

import os
import shutil
import tempfile
from pathlib import Path

import jinja2

from .processes import Account

SOURCES = Path(__file__).parent


def write(path: Path, text: str, *, mode: int = 0o600, owner: Account | None = None) -> None:
    """Replaces the file at once; never follows a link, so that it is safe in a folder of another user."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fchmod(handle, mode)
            if owner is not None and owner.switch:
                os.fchown(handle, owner.uid, owner.gid)
            os.fsync(handle)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def make_folder(path: Path, owner: Account) -> None:
    """A private folder of the account."""
    path.mkdir(mode=0o700, exist_ok=True)
    if owner.switch:
        os.chown(path, owner.uid, owner.gid, follow_symlinks=False)


def remove(path: Path) -> None:
    """Removes a file, a link or a tree, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def render(template: str, **values: object) -> str:
    """The text of a configuration template of this package."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(SOURCES),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - configuration files, not HTML
    )
    return environment.get_template(template).render(**values)
