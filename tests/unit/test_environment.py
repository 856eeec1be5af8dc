# SPDX-License-Identifier: GPL-3.0-or-later
"""A run is given what Ansible and the services' clients use, and no secret that nobody asked for."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retune.environment import KEEP, run_environment, scrubbed

SECRETS = [
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "PGPASSWORD",
    "REDISCLI_AUTH",
    "GITHUB_TOKEN",
    "CI_JOB_TOKEN",
    "DATABASE_URL",
    "VAULT_TOKEN",
    "MY_PATH",
    "home",
]


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_dropped_unless_it_is_named(name: str) -> None:
    assert scrubbed({name: "sesame", "PATH": "/bin"}) == {"PATH": "/bin"}
    assert scrubbed({name: "sesame", KEEP: name}) == {name: "sesame"}
    assert scrubbed({name: "sesame", KEEP: f"OTHER , {name} "}) == {name: "sesame"}


@pytest.mark.parametrize("name", ["PGBACKREST_REPO1_S3_KEY_SECRET", "PGADMIN_DEFAULT_PASSWORD", "PGBOUNCER_AUTH_PASSWORD"])
def test_a_secret_of_another_program_is_dropped(name: str) -> None:
    # They begin with PG, and no client of PostgreSQL's reads them.
    assert scrubbed({name: "sesame"}) == {}


@pytest.mark.parametrize(
    "name",
    [
        "HOME",
        "PATH",
        "LANG",
        "LC_ALL",
        "SSH_AUTH_SOCK",
        "KUBECONFIG",
        "ANSIBLE_CONFIG",
        "ANSIBLE_VAULT_PASSWORD_FILE",
        "PGHOST",
        "PGPASSFILE",
        "PGSSLROOTCERT",
        "XDG_RUNTIME_DIR",
        "RETUNE_LOG_DIRECTORY",
        "https_proxy",
    ],
)
def test_what_a_run_needs_is_kept(name: str) -> None:
    assert scrubbed({name: "x"}) == {name: "x"}


NAMES = st.sampled_from((*SECRETS, "PATH", "PGHOST", "LC_ALL", KEEP))


@given(environ=st.dictionaries(NAMES, st.sampled_from(("", "x", "PGPASSWORD,AWS_SESSION_TOKEN", "GITHUB_TOKEN"))))
def test_scrubbing_only_takes_away(environ: dict[str, str]) -> None:
    kept = scrubbed(environ)
    assert kept.items() <= environ.items()
    allowed = set(environ.get(KEEP, "").split(","))
    assert not (set(kept) & set(SECRETS)) - allowed
    assert {"PATH", "PGHOST", "LC_ALL"} & set(environ) <= set(kept)


def test_run_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sesame")
    monkeypatch.delenv("ANSIBLE_CONFIG", raising=False)
    monkeypatch.delenv(KEEP, raising=False)
    environment = run_environment(tmp_path, "staging", tmp_path / "record.json")
    assert environment["RETUNE_ENVIRONMENT"] == "staging"
    assert environment["PATH"].split(os.pathsep) == [str(Path(sys.executable).parent), "/usr/bin"]
    assert environment["ANSIBLE_CONFIG"] == str(tmp_path / "ansible.cfg")
    assert environment["RETUNE_RECORD_FILE"] == str(tmp_path / "record.json")
    assert "AWS_SECRET_ACCESS_KEY" not in environment


def test_the_checkouts_configuration_is_used_whatever_the_shell_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSIBLE_CONFIG", "/etc/own.cfg")
    assert run_environment(tmp_path, "staging", tmp_path / "record.json")["ANSIBLE_CONFIG"] == str(tmp_path / "ansible.cfg")
