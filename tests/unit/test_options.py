# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible's options are handed on in their order, and no value is on a command line."""

from __future__ import annotations

import getpass
import json
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from retune.errors import RetuneError
from retune.options import extra_vars_arguments, vault_arguments


def files_of(arguments: list[str], option: str = "-e") -> list[Path]:
    """The files that the arguments name."""
    assert arguments[::2] == [option] * (len(arguments) // 2)
    assert all(argument.startswith("@") for argument in arguments[1::2])
    return [Path(argument.removeprefix("@")) for argument in arguments[1::2]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=1", {"a": "1"}),
        ("a=1 b=2", {"a": "1", "b": "2"}),
        ("a='x y' b=\"z w\"", {"a": "x y", "b": "z w"}),
        ("a=b=c", {"a": "b=c"}),
        ("a=", {"a": ""}),
        ("a=\u00e4", {"a": "\u00e4"}),
        ("url=postgresql://u:p@h/d", {"url": "postgresql://u:p@h/d"}),
        ('{"a": 1, "b": [true, null]}', {"a": 1, "b": [True, None]}),
        ("{a: 1, b: {c: d}}", {"a": 1, "b": {"c": "d"}}),
    ],
)
def test_extra_vars(text: str, expected: dict[str, Any], tmp_path: Path) -> None:
    (path,) = files_of(extra_vars_arguments([text], tmp_path))
    assert yaml.safe_load(path.read_text(encoding="utf-8")) == expected
    assert path.parent == tmp_path
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    if path.suffix == ".json":
        assert json.loads(path.read_text(encoding="utf-8")) == expected


def test_extra_vars_keep_their_order_and_their_secrets(tmp_path: Path) -> None:
    given = tmp_path / "given.yml"
    given.write_text("a: 2\n")
    folder = tmp_path / "private"
    folder.mkdir()
    texts = ["password=sesame1 a=1", f"@{given}", '{"password": "sesame2"}', "{password: sesame3}", "password=sesame4"]
    arguments = extra_vars_arguments(texts, folder)
    assert "sesame" not in " ".join(arguments)
    paths = files_of(arguments)
    assert paths[1] == given
    merged: dict[str, Any] = {}
    for path in paths:
        merged.update(yaml.safe_load(path.read_text()))
    assert merged == {"a": 2, "password": "sesame4"}
    assert [yaml.safe_load(path.read_text()).get("password") for path in paths] == [
        "sesame1",
        None,
        "sesame2",
        "sesame3",
        "sesame4",
    ]
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in folder.iterdir())


def test_no_extra_vars(tmp_path: Path) -> None:
    assert extra_vars_arguments([], tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_named_by_its_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "vars.yml").write_text("{}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    expected = ["-e", f"@{tmp_path.resolve() / 'vars.yml'}"]
    assert extra_vars_arguments(["@vars.yml"], tmp_path) == expected
    assert extra_vars_arguments(["@~/vars.yml"], tmp_path) == expected


@pytest.mark.parametrize("text", ["@missing.yml", "@", "@/", "@~/missing.yml"])
def test_a_file_that_is_not_there(text: str, tmp_path: Path) -> None:
    with pytest.raises(RetuneError, match="no such file") as refused:
        extra_vars_arguments([text], tmp_path)
    assert text in str(refused.value)


@pytest.mark.parametrize("text", ["", "sesame", "a=1 sesame", "a='sesame", 'a="sesame b=2'])
def test_what_is_no_extra_variable(text: str, tmp_path: Path) -> None:
    with pytest.raises(RetuneError, match="key=value") as refused:
        extra_vars_arguments([text], tmp_path)
    assert "sesame" not in str(refused.value)


@pytest.mark.parametrize(
    ("ids", "password_files", "expected"),
    [
        ([], [], []),
        (["dev@{here}/a"], [], ["dev@{here}/a"]),
        (["{here}/a"], [], ["default@{here}/a"]),
        ([], ["{here}/a", "{here}/b"], ["default@{here}/a", "default@{here}/b"]),
        (["dev@{here}/a", "prod@{here}/b"], ["{here}/c"], ["dev@{here}/a", "prod@{here}/b", "default@{here}/c"]),
        (["dev@a"], ["~/b"], ["dev@{here}/a", "default@{here}/b"]),
        # Ansible's own reading: the label ends at the first @
        (["dev@{here}/u@x/a"], [], ["dev@{here}/u@x/a"]),
        ([], ["{here}/u@x/a"], ["default@{here}/u@x/a"]),
    ],
)
def test_vault_arguments(
    ids: list[str], password_files: list[str], expected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    here = str(tmp_path.resolve())
    arguments = vault_arguments(
        [text.format(here=here) for text in ids],
        [text.format(here=here) for text in password_files],
        ask=False,
        folder=tmp_path,
    )
    assert arguments[::2] == ["--vault-id"] * len(expected)
    assert arguments[1::2] == [text.format(here=here) for text in expected]


def test_a_password_is_asked_for_and_kept_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answer(prompt: str = "") -> str:
        asked.append(prompt)
        return f"sesame{len(asked)}"

    monkeypatch.setattr(getpass, "getpass", answer)
    arguments = vault_arguments(["dev@prompt"], [], ask=True, folder=tmp_path)
    assert ["dev" in asked[0], "default" in asked[1], len(asked)] == [True, True, 2]
    assert "sesame" not in " ".join(arguments)
    labels, sources = zip(*(argument.split("@", 1) for argument in arguments[1::2]), strict=True)
    assert labels == ("dev", "default")
    assert [Path(source).read_text() for source in sources] == ["sesame1", "sesame2"]
    assert all(stat.S_IMODE(Path(source).stat().st_mode) == 0o600 for source in sources)
