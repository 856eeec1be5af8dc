# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the programs of a Kubernetes API server are."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager")
SYSTEM = Path("/usr/local/kubebuilder/bin")
SYSTEM_CACHE = Path("/var/cache")


def binaries() -> Path | None:
    """The first folder that has all the programs: those of different releases do not mix."""
    return next((folder for folder in _folders() if _is_complete(folder)), None)


def _folders() -> Iterator[Path]:
    """What the environment names, the usual places of setup-envtest, and what `make envtest` made; new before old."""
    if os.environ.get("KUBEBUILDER_ASSETS"):
        yield Path(os.environ["KUBEBUILDER_ASSETS"])
    yield SYSTEM
    yield from _newest_first(Path.home() / ".local" / "share" / "kubebuilder-envtest" / "k8s")
    if os.environ.get("RETUNE_ENVTEST"):
        yield Path(os.environ["RETUNE_ENVTEST"])
    yield from _newest_first(_cache() / "retune" / "envtest")


def _cache() -> Path:
    """As in tools/envtest.sh: root's own cache may be closed to the account that runs the programs."""
    if os.geteuid() == 0:
        return SYSTEM_CACHE
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def _newest_first(place: Path) -> list[Path]:
    """The folders of a place that are named by a version, as `1.35.4` or `1.35.0-linux-amd64`."""
    versions = [(match[0], path) for path in place.glob("*") if (match := re.match(r"\d+(\.\d+)+(?=-|$)", path.name))]
    ordered = sorted(versions, key=lambda each: [int(part) for part in each[0].split(".")], reverse=True)
    return [path for _, path in ordered]


def _is_complete(folder: Path) -> bool:
    return all(os.access(folder / name, os.X_OK) for name in PROGRAMS)
