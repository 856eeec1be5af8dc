# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that pgbouncer.ini names: who may connect how (auth_hba_file), and the users' secrets (auth_file).

No SHOW tells what PgBouncer loaded of them. So another content gets another name: SHOW CONFIG then tells, by the name, which
one is in force, a file that was written and never loaded is seen, and the former file is there for the way back.
The syntax of both is in PgBouncer's documentation of its configuration.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.leadgen.tuning.plugins.module_utils import _pgbouncer_ini as ini
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._pgbouncer_changes import Change, Pooler
from ansible_collections.leadgen.tuning.plugins.module_utils._replace_file import new_file, remove_leftovers
from ansible_collections.leadgen.tuning.plugins.module_utils._settings import HIDDEN

HBA_ARGUMENT: dict[str, Any] = {
    "type": "list",
    "elements": "dict",
    "options": {
        "type": {"type": "str", "choices": ["local", "host", "hostssl", "hostnossl"], "default": "host"},
        "databases": {"type": "list", "elements": "str", "default": ["all"]},
        "users": {"type": "list", "elements": "str", "default": ["all"]},
        "address": {"type": "str"},
        "method": {"type": "str", "required": True},
        "options": {"type": "dict", "default": {}},
    },
}
_ENDINGS = {"auth_hba_file": "conf", "auth_file": "txt"}
_PLAIN = re.compile(r"[\w@+./:=-]+")
_USER = re.compile(r'\s*"((?:[^"]|"")*)"\s+"((?:[^"]|"")*)"')


@dataclass(frozen=True)
class NamedFile:
    """A file as it is wanted, and the setting that names it."""

    setting: str
    path: Path
    text: str
    is_new: bool
    changes: list[Change]


def wanted_files(pooler: Pooler, options: Mapping[str, Any]) -> list[NamedFile]:
    """The files of ``hba`` and ``passwords``, each the present one where it says the same.

    :raises TuningError: for a wrong rule, or a present file that cannot be read.
    """
    found = []
    for option, setting in (("hba", "auth_hba_file"), ("passwords", "auth_file")):
        if options[option]:
            if setting in options["settings"]:
                raise pooler.error(f"pgbouncer_settings.{setting}", f"pgbouncer_{option} makes this file; name one of both")
            found.append(_hba_file(pooler, options) if option == "hba" else _password_file(pooler, options["passwords"]))
    return found


def write_files(pooler: Pooler, files: Sequence[NamedFile]) -> None:
    """Write the new ones, readable by PgBouncer's user alone.

    :raises TuningError: when one cannot be written; none is left then.
    """
    try:
        for file in files:
            if file.is_new:
                new_file(file.path, file.text, pooler.process.uid, pooler.process.gid)
    except OSError as error:
        remove_files(files)
        raise not_writable(pooler, error) from error


def not_writable(pooler: Pooler, error: OSError) -> TuningError:
    """The error that a file or the folder of its configuration cannot be written."""
    return TuningError(
        f"{error.filename or pooler.file} of the PgBouncer at {pooler.endpoint} cannot be written: {error.strerror}; "
        "nothing was changed; run as the owner of the file and its folder, or as root"
    )


def remove_files(files: Sequence[NamedFile]) -> None:
    """Take back what ``write_files`` wrote."""
    for file in files:
        if file.is_new:
            file.path.unlink(missing_ok=True)


def remove_former_files(pooler: Pooler, files: Sequence[NamedFile], text: str) -> None:
    """Remove those of earlier runs that neither the new pgbouncer.ini nor the former one names: they hold secrets."""
    remove_leftovers(pooler.file)
    for file in files:
        remove_leftovers(file.path)
        named = {pooler.sections(each).get(ini.MAIN, {}).get(file.setting) for each in (text, pooler.text)}
        for _, path in _generations(pooler, file.setting):
            if str(path) not in named:
                path.unlink(missing_ok=True)


def _hba_file(pooler: Pooler, options: Mapping[str, Any]) -> NamedFile:
    auth_type = options["settings"].get("auth_type") or pooler.config["auth_type"]["value"]
    if auth_type != "hba":
        raise pooler.error("pgbouncer_hba", f"auth_type is {auth_type}, with which no rule is read; set auth_type to hba")
    lines = [_rule(pooler, number, rule) for number, rule in enumerate(options["hba"], 1)]
    present = [line.strip() for line in _present(pooler, "auth_hba_file").splitlines()]
    present = [line for line in present if line and not line.startswith("#")]
    before, after = ([each for each in one if each not in other] for one, other in ((present, lines), (lines, present)))
    shown = ("; ".join(before), "; ".join(after)) if before or after else ("; ".join(present), "; ".join(lines))
    changes = [] if present == lines else [_change("hba", None, *shown)]
    return _file(pooler, "auth_hba_file", "".join(f"{line}\n" for line in lines), changes)


def _rule(pooler: Pooler, number: int, rule: Mapping[str, Any]) -> str:
    label = f"pgbouncer_hba, rule {number},"
    if (rule["type"] == "local") == bool(rule["address"]):
        reason = "takes no address" if rule["type"] == "local" else "needs an address, such as 10.0.0.0/8"
        raise pooler.error(label, f"{rule['type']} {reason}")
    words = [rule["type"], *(",".join(map(_word, rule[names])) for names in ("databases", "users")), rule["address"]]
    words += [rule["method"], *(f"{name}={_word(str(value))}" for name, value in rule["options"].items())]
    line = " ".join(filter(None, words))
    if not line.isprintable():
        raise pooler.error(label, "has a character that cannot be printed")
    return line


def _word(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else '"' + text.replace('"', '""') + '"'


def _password_file(pooler: Pooler, passwords: Mapping[str, Any]) -> NamedFile:
    text, changes, missing, lines = _present(pooler, "auth_file"), [], dict(passwords), []
    for number, line in enumerate(text.splitlines(), 1):
        user = _user(pooler, number, line)
        if user is None or user[0] not in passwords:
            lines.append(line)
            continue
        name, present = user
        wanted = missing.pop(name, None)
        if wanted is not None:
            lines.append(_user_line(pooler, name, wanted))
        if wanted != present:
            changes.append(_change("passwords", name, f"{HIDDEN}, another", "absent" if wanted is None else HIDDEN))
    for name, wanted in missing.items():
        if wanted is not None:
            lines.append(_user_line(pooler, name, wanted))
            changes.append(_change("passwords", name, "absent", HIDDEN))
    return _file(pooler, "auth_file", "".join(f"{line}\n" for line in lines), changes)


def _user(pooler: Pooler, number: int, line: str) -> tuple[str, str] | None:
    """The name and the secret of a line; None for one that has none."""
    if not line.strip() or line.lstrip().startswith(";"):
        return None
    match = _USER.match(line)
    if not match:
        raise pooler.error("pgbouncer_passwords", f"line {number} of the present auth_file is no user; mend that first")
    return match[1].replace('""', '"'), match[2].replace('""', '"')


def _user_line(pooler: Pooler, name: str, secret: Any) -> str:
    if not isinstance(secret, str) or not secret or not (name + secret).isprintable():
        raise pooler.error(f"pgbouncer_passwords.{name}", "has to be a text on one line: a password or its SCRAM secret")
    return " ".join('"' + text.replace('"', '""') + '"' for text in (name, secret))


def _change(section: str, entry: str | None, before: str, after: str) -> Change:
    """One that is displayed: the name of the file, a setting, is what has it written and loaded."""
    name = "" if entry else section
    return Change(section, entry, name, before, after, None, None, write=False, reload=True, restart=False)


def _present(pooler: Pooler, setting: str) -> str:
    name = pooler.in_file.get(ini.MAIN, {}).get(setting)
    if not name:
        return ""
    path = pooler.process.path(name)
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise pooler.error(f"pgbouncer_settings.{setting}", f"{path} cannot be read: {reason}; mend that first") from error


def _file(pooler: Pooler, setting: str, text: str, changes: list[Change]) -> NamedFile:
    present = pooler.in_file.get(ini.MAIN, {}).get(setting)
    if present and not changes:
        return NamedFile(setting, Path(present), text, False, [])
    number = max((number for number, _ in _generations(pooler, setting)), default=0) + 1
    return NamedFile(setting, _path(pooler, setting, str(number)), text, True, changes)


def _path(pooler: Pooler, setting: str, number: str) -> Path:
    return pooler.file.with_name(f"{pooler.file.stem}-{setting.removesuffix('_file')}-{number}.{_ENDINGS[setting]}")


def _generations(pooler: Pooler, setting: str) -> Iterator[tuple[int, Path]]:
    """The files that runs have made, by their numbers."""
    pattern = re.compile(re.escape(_path(pooler, setting, "N").name).replace(r"\-N\.", r"\-(\d+)\."))
    for entry in os.scandir(pooler.file.parent):
        match = pattern.fullmatch(entry.name)
        if match:
            yield int(match[1]), Path(entry.path)
