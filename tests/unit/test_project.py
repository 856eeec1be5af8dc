# SPDX-License-Identifier: GPL-3.0-or-later
"""The checkout, its inventories and its log are found, or the error says what is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from retune.errors import RetuneError
from retune.project import Environment, find_environment, find_project, log_directory


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A checkout with the inventories staging, production and, without hosts, sandbox and empty."""
    for name in ("production", "staging", "sandbox", "empty"):
        (tmp_path / "inventories" / name).mkdir(parents=True)
    for name in ("production", "staging"):
        (tmp_path / "inventories" / name / "hosts.yml").write_text("all: {}\n")
    (tmp_path / "inventories" / "README.md").write_text("not an environment\n")
    (tmp_path / "playbooks").mkdir()
    (tmp_path / "playbooks" / "apply.yml").write_text("[]\n")
    (tmp_path / "galaxy.yml").write_text("{}\n")
    return tmp_path


def test_by_name(project: Path) -> None:
    assert find_environment(project, "staging") == Environment("staging", project / "inventories" / "staging")


def test_by_path(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = project / "elsewhere" / "qa"
    elsewhere.mkdir(parents=True)
    (elsewhere / "hosts.yml").write_text("all: {}\n")
    monkeypatch.chdir(project)
    for given in (str(elsewhere), "elsewhere/qa", "./elsewhere/qa/"):
        assert find_environment(project, given) == Environment("qa", elsewhere.resolve())


@pytest.mark.parametrize("given", ["stagin", "README.md", "no/such", "/no/such"])
def test_unknown(project: Path, given: str) -> None:
    with pytest.raises(RetuneError) as refused:
        find_environment(project, given)
    assert repr(given) in str(refused.value)
    assert "there is: empty, production, sandbox, staging" in str(refused.value)
    assert "README" not in str(refused.value).replace(repr(given), "")


@pytest.mark.parametrize(("given", "remedy"), [("sandbox", "retune sandbox up"), ("empty", "write the environment's hosts")])
def test_without_hosts(project: Path, given: str, remedy: str) -> None:
    with pytest.raises(RetuneError, match=remedy) as refused:
        find_environment(project, given)
    assert str(project / "inventories" / given / "hosts.yml") in str(refused.value)


@pytest.mark.parametrize("folder", [".", "playbooks", "inventories/staging"])
def test_the_checkout_is_around_the_working_directory(project: Path, folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project / folder)
    assert find_project() == project.resolve()


def test_outside_a_checkout_it_is_the_packages_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_project() == Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("missing", ["galaxy.yml", "playbooks/apply.yml"])
def test_half_a_checkout_is_none(project: Path, missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / missing).unlink()
    monkeypatch.chdir(project)
    assert find_project() != project.resolve()


def test_no_checkout_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("retune.project.__file__", str(tmp_path / "site-packages" / "retune" / "project.py"))
    with pytest.raises(RetuneError, match=r"no playbooks/apply\.yml here or above"):
        find_project()


def test_log_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RETUNE_LOG_DIRECTORY", raising=False)
    assert log_directory(tmp_path) == tmp_path / "performance-log"
    monkeypatch.setenv("RETUNE_LOG_DIRECTORY", "/srv/log")
    assert log_directory(tmp_path) == Path("/srv/log")
