# SPDX-License-Identifier: GPL-3.0-or-later
"""What is rendered for GitOps brings about the same as an apply would, and stays as it is."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.kubernetes_server import Cluster
from tests.integration.test_kubernetes_workload import SHAPES, everything
from tests.integration.workloads import Object, apply, failure, tune

needs_kubectl = pytest.mark.skipif(
    shutil.which("kubectl") is None, reason="there is no kubectl, which builds with Kustomize"
)


def built(overlay: Path) -> list[Object]:
    """What Kustomize makes of the overlay."""
    done = subprocess.run(["kubectl", "kustomize", overlay], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


@needs_kubectl
@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape != "with_options_of_a_config_map"])
def test_the_rendered_component_brings_the_same_about(cluster: Cluster, namespace: str, tmp_path: Path, shape: str) -> None:
    made = SHAPES[shape](namespace)
    apply(cluster, made, "argocd-controller")
    asked = {**everything(made["kind"], namespace), "take": []}
    rendered = tmp_path / "rendered"
    options: dict[str, Any] = {"render_directory": str(rendered)}
    plan = tune(cluster, asked, check=True, **options)
    assert contents(rendered) == {}
    assert tune(cluster, asked, **options) == plan
    before = contents(rendered)
    assert b"s3cret" not in b"".join(before.values())
    assert not [name for name in before if "secret" in name]
    assert tune(cluster, asked, **options)["changed"] is False

    (tmp_path / "workload.yaml").write_text(yaml.safe_dump(made))
    overlay = {"resources": ["workload.yaml"], "components": ["rendered"]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    for body in built(tmp_path):
        apply(cluster, body, "argocd-controller")
    without_secrets = {**asked, "secrets": {}}
    assert tune(cluster, without_secrets, check=True)["diff"] == {"before": {}, "after": {}}
    assert tune(cluster, asked, **options)["changed"] is False
    assert contents(rendered) == before


def test_what_is_not_asked_for_any_more_goes(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    made = apply(cluster, SHAPES["plain"](namespace))
    asked = everything(made["kind"], namespace)
    options: dict[str, Any] = {"render_directory": str(tmp_path)}
    tune(cluster, asked, **options)
    asked.pop("autoscaling")
    plan = tune(cluster, asked, **options)
    gone = f"{tmp_path}/{namespace}-horizontalpodautoscaler-lead-api.yaml"
    assert plan["diff"]["before"][gone].endswith(" lines")
    assert plan["diff"]["after"][gone] is None
    assert not Path(gone).exists()


def test_a_file_of_anothers_is_not_written_over(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    made = apply(cluster, SHAPES["plain"](namespace))
    (tmp_path / "kustomization.yaml").write_text("resources: []\n")
    error = failure(lambda: tune(cluster, everything(made["kind"], namespace), render_directory=str(tmp_path)))
    assert "kustomization.yaml was not rendered by this role" in str(error)
    assert contents(tmp_path) == {"kustomization.yaml": b"resources: []\n"}
