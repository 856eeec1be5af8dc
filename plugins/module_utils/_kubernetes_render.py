# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked for as a Kustomize component in a folder, for those who apply by GitOps.

The component has a strategic merge patch for each workload, and what belongs to it as patches or as objects of its own. It
says all that is asked for, whatever the cluster has of it already, so the folder stays as it is when it has been applied.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.leadgen.tuning.plugins.module_utils._errors import TuningError
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_fields import without_none
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_plan import Wanted
from ansible_collections.leadgen.tuning.plugins.module_utils._kubernetes_reading import RENDERED
from ansible_collections.leadgen.tuning.plugins.module_utils._replace_file import new_file, replace_file

_HEADER = "# Rendered by leadgen.tuning: change its inventory instead.\n---\n"
_COMPONENT = "kustomization.yaml"
_READABLE = 0o644


def files_of(asked: Iterable[Wanted]) -> dict[str, str]:
    """The text of each file of the component, by its name; without Secrets, for which a folder of Git is no place."""
    files: dict[str, str] = {}
    resources, patches = [], []
    for wanted in asked:
        body = wanted.body
        if body["kind"] == "Secret":
            continue
        name = "-".join((body["metadata"]["namespace"], body["kind"].lower(), body["metadata"]["name"])) + ".yaml"
        if wanted.live is None:
            metadata = {**body["metadata"], "annotations": {RENDERED: "true"}}
            resources.append(name)
            files[name] = _text({**without_none(body), "metadata": metadata})
        else:
            patches.append(name)
            files[name] = _text(body)
    component: dict[str, Any] = {"apiVersion": "kustomize.config.k8s.io/v1alpha1", "kind": "Component"}
    if resources:
        component["resources"] = sorted(set(resources))
    if patches:
        component["patches"] = [{"path": name} for name in sorted(set(patches))]
    return {**files, _COMPONENT: _text(component)}


def _text(value: Mapping[str, Any]) -> str:
    return _HEADER + yaml.safe_dump(dict(value), sort_keys=True, default_flow_style=False, width=1000)


def bring_about(folder: Path, files: Mapping[str, str], check_mode: bool) -> dict[str, Any]:
    """Make the folder hold these files, and none of those that were rendered before and are not asked for any more.

    :raises TuningError: when the folder cannot be read or written, or holds a file of that name that was not rendered.
    """
    try:
        present = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.yaml")} if folder.exists() else {}
        former = {name: text for name, text in present.items() if text.startswith(_HEADER)}
        foreign = sorted(files.keys() & (present.keys() - former.keys()))
        if foreign:
            raise TuningError(
                f"kubernetes_render_directory {folder}: {foreign[0]} was not rendered by this role; name an empty folder"
            )
        changed = {name for name in (*files, *former) if former.get(name) != files.get(name)}
        if changed and not check_mode:
            folder.mkdir(exist_ok=True)
            for name in sorted(changed):
                _write(folder / name, files.get(name))
    except OSError as error:
        raise TuningError(f"kubernetes_render_directory {folder}: {error.strerror or error}; make it writable") from error
    lines = {name: (_lines(former.get(name)), _lines(files.get(name))) for name in sorted(changed)}
    return {
        "changed": bool(changed),
        "diff": {
            "before": {f"{folder}/{name}": before for name, (before, _after) in lines.items()},
            "after": {f"{folder}/{name}": after for name, (_before, after) in lines.items()},
        },
        "owners": {},
    }


def _write(path: Path, text: str | None) -> None:
    if text is None:
        path.unlink()
    elif path.exists():
        replace_file(path, text)
    else:
        about = path.parent.stat()
        new_file(path, text, about.st_uid, about.st_gid)
        path.chmod(_READABLE)


def _lines(text: str | None) -> str | None:
    return None if text is None else f"{text.count(chr(10))} lines"
