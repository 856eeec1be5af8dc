# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the programs of an API server are looked for, and what the program in the place of nodes says of a pod."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from retune.sandbox import envtest, pods


def put(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True)
    for name in names or envtest.PROGRAMS:
        (folder / name).touch(mode=0o755)
    return folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without any programs, and no others on the machine."""
    for name in ("KUBEBUILDER_ASSETS", "RETUNE_ENVTEST", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(envtest, "SYSTEM", tmp_path / "system")
    monkeypatch.setattr(envtest, "SYSTEM_CACHE", tmp_path / ".cache")
    return tmp_path


def test_there_are_none(home: Path) -> None:
    assert envtest.binaries() is None


def test_the_first_place_that_has_them_wins(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each place that is filled comes before those that were filled earlier."""
    assert put(home / ".cache/retune/envtest/1.35.4") == envtest.binaries()
    monkeypatch.setenv("RETUNE_ENVTEST", str(home / "own"))
    assert put(home / "own") == envtest.binaries()
    for version in ("1.9.12-linux-amd64", "1.31.0-linux-amd64", "1.35.0-linux-amd64", "1.35.10-linux-amd64"):
        assert put(home / ".local/share/kubebuilder-envtest/k8s" / version) == envtest.binaries()
    assert put(home / "system") == envtest.binaries()
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(home / "assets"))
    assert put(home / "assets") == envtest.binaries()


def test_the_newest_is_told_by_its_numbers(home: Path) -> None:
    place = home / ".cache/retune/envtest"
    newest = put(place / "1.35.10")
    for name in ("1.35.9", "1.9.20", "notes", "1.35.10.lock", "1.35.11.Xy3kQz"):
        put(place / name)
    assert envtest.binaries() == newest


def test_a_folder_without_the_controllers_does_not_do(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """setup-envtest fetches no kube-controller-manager."""
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(put(home / "assets", "etcd", "kube-apiserver", "kubectl")))
    made = put(home / ".cache/retune/envtest/1.35.4")
    assert envtest.binaries() == made


def pod(**metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "api", "namespace": "leads", "uid": "8f0e", **metadata},
        "spec": {"containers": [{"name": "api", "image": "registry.example/api:1"}]},
        "status": {"phase": "Pending"},
    }


@pytest.mark.parametrize("annotations", [None, {}, {pods.NEVER_READY: "false"}, {pods.NEVER_READY: "true"}])
def test_a_pod_is_settled_once(annotations: dict[str, str] | None) -> None:
    made = pod(annotations=annotations)
    assert not pods.is_settled(made)
    made["status"] = pods.running(made)
    assert pods.is_settled(made)
    ready = annotations != {pods.NEVER_READY: "true"}
    assert [each["ready"] for each in made["status"]["containerStatuses"]] == [ready]


def test_a_pod_that_may_be_ready_after_all_is_settled_anew() -> None:
    made = pod(annotations={pods.NEVER_READY: "true"})
    made["status"] = pods.running(made)
    made["metadata"]["annotations"] = {}
    assert not pods.is_settled(made)


def test_a_pod_that_is_deleted_is_left_alone() -> None:
    assert pods.is_settled(pod(deletionTimestamp="2025-04-01T00:00:00Z"))
