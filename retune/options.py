# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible's own options, handed on with Ansible's own meaning and without a secret on the command line."""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Sequence
from pathlib import Path

from retune.errors import RetuneError


def _write_private(path: Path, text: str) -> Path:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def extra_vars_arguments(given: Sequence[str], folder: Path) -> list[str]:
    """``-e`` options of ansible-playbook, in the order given, with every value in a private file of ``folder``.

    :raises RetuneError: when a file is missing or a value is neither key=value, @file, YAML nor JSON.
    """
    arguments: list[str] = []
    for number, text in enumerate(given):
        if text.startswith("@"):
            path = Path(text[1:]).expanduser().resolve()
            if not path.is_file():
                raise RetuneError(f"-e {text}: there is no such file")
        elif text.startswith(("{", "[")):
            path = _write_private(folder / f"extra_vars_{number}.yml", text)
        else:
            path = _write_private(folder / f"extra_vars_{number}.json", json.dumps(_key_values(text)))
        arguments += ["-e", f"@{path}"]
    return arguments


def _key_values(text: str) -> dict[str, str]:
    from ansible.errors import AnsibleError  # noqa: PLC0415 - slow to import, and seldom needed
    from ansible.parsing.splitter import parse_kv  # noqa: PLC0415 - slow to import, and seldom needed

    try:
        values: dict[str, str] = parse_kv(text)
    except AnsibleError:
        values = {}  # the error's own text quotes the value, which may be a secret
    if not values or "_raw_params" in values:
        raise RetuneError("-e takes key=value, @file, or a dictionary in YAML or JSON")
    return values


def vault_arguments(ids: Sequence[str], password_files: Sequence[str], ask: bool, folder: Path) -> list[str]:
    """``--vault-id`` options; what has to be asked for is asked here, and kept in a private file of ``folder``."""
    wanted = [
        *ids,
        *(["@prompt"] if ask else []),
        *(f"default@{Path(path).expanduser().resolve()}" for path in password_files),
    ]
    arguments: list[str] = []
    for number, text in enumerate(wanted):
        label, at, source = text.partition("@")
        label, source = (label or "default", source) if at else ("default", label)
        if source == "prompt":
            password = getpass.getpass(f"Vault password ({label}): ")
            source = str(_write_private(folder / f"vault_{number}", password))
        else:
            source = str(Path(source).expanduser().resolve())
        arguments += ["--vault-id", f"{label}@{source}"]
    return arguments
