# SPDX-License-Identifier: GPL-3.0-or-later
"""The guide's data is well formed, its page is current, and the roles' tags agree with it."""

from __future__ import annotations

import re
import shutil
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools import controls_table

ROOT = controls_table.ROOT
CONTROLS = controls_table.load(ROOT / "guide/controls.yml", "controls")
REVIEW = controls_table.load(ROOT / "guide/review.yml", "review")
IDS = {control["id"] for control in CONTROLS}

KINDS = {"enforced", "measured", "checked_in_code"}
STATUSES = {"built", "planned"}
ROLES = {"postgres", "pgbouncer", "redis", "kubernetes", "workloads", "ingress", "cdn", "edge", "tools", "runner"}
OPERATORS = {"<", ">", "=="}
FIELDS = {"id", "section", "recommendation", "kind", "role", "proof", "status"}
SECTIONS = {
    *("2.1", "2.2", "2.3", "3.1", "3.2", "3.3", "4.1", "4.2", "4.3"),
    *("5.1", "5.2", "5.3", "6.1", "6.2", "6.3", "7", "8"),
}

NO_TASK = {"log.measured_change"}  # a property of every run, which no single task brings about
NESTED = ("block", "rescue", "always", "pre_tasks", "tasks", "post_tasks", "handlers", "roles")


def walk(entries: Any) -> Iterator[dict[str, Any]]:
    """Every play, block, task and role entry of a parsed file, however deeply nested."""
    for entry in entries or []:
        if isinstance(entry, dict):
            yield entry
            for key in NESTED:
                yield from walk(entry.get(key))


def tags_of(entry: dict[str, Any]) -> set[str]:
    """The tags of one entry that look like a control id, with those an include applies to what it includes."""
    holders = [entry, *(value["apply"] for value in entry.values() if isinstance(value, dict) and "apply" in value)]
    found: set[str] = set()
    for holder in holders:
        tags = holder.get("tags") or []
        for tag in [tags] if isinstance(tags, str) else tags:
            found.update(part.strip() for part in str(tag).split(","))
    return {tag for tag in found if "." in tag}


def control_tags(root: Path) -> dict[str, set[str]]:
    """Control tags by the role that carries them; those of the playbooks are under the empty name."""
    files = [(path.parent.parent.name, path) for path in root.glob("roles/*/tasks/*.yml")]
    files += [("", path) for path in root.glob("playbooks/*.yml")]
    found: dict[str, set[str]] = defaultdict(set)
    for role, path in files:
        for entry in walk(yaml.safe_load(path.read_text(encoding="utf-8"))):
            found[role] |= tags_of(entry)
    return found


def unknown_tags(root: Path, known: set[str]) -> set[str]:
    return set().union(*control_tags(root).values()) - known


def untagged_controls(root: Path, controls: list[dict[str, Any]]) -> set[str]:
    """Built and enforced controls that no task of their own role carries."""
    tags = control_tags(root)
    wanted = {c["id"]: c["role"] for c in controls if c["status"] == "built" and "enforced" in c["kind"]}
    return {control for control, role in wanted.items() if control not in tags[role] | NO_TASK}


# The data


def test_ids_are_unique_and_well_formed() -> None:
    assert len(IDS) == len(CONTROLS)
    assert [name for name in IDS if not re.fullmatch(r"[a-z0-9_]+\.[a-z0-9_]+", name)] == []


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control["id"])
def test_control_is_complete(control: dict[str, Any]) -> None:
    assert set(control) - {"note"} == FIELDS
    assert control["kind"]
    assert set(control["kind"]) <= KINDS
    assert control["status"] in STATUSES
    assert control["role"] in ROLES
    assert set(control["section"]) <= SECTIONS
    assert control["section"] or control["note"]  # what is not the guide's says so
    assert control["recommendation"].endswith(".")
    assert control["proof"].endswith(".")


def test_every_section_of_the_guide_is_covered() -> None:
    assert SECTIONS - {section for control in CONTROLS for section in control["section"]} == set()


def test_checklist_and_controls_agree() -> None:
    in_controls = {c["id"]: c["status"] for c in CONTROLS if c["id"].startswith("review.")}
    assert {item["id"]: item["status"] for item in REVIEW} == in_controls
    assert len(REVIEW) == len(in_controls)


@pytest.mark.parametrize("item", REVIEW, ids=lambda item: item["id"])
def test_checklist_item_is_complete(item: dict[str, Any]) -> None:
    assert set(item) == {"id", "question", "measure", "threshold", "status"}
    assert set(item["threshold"]) == {"operator", "value", "unit"}
    assert item["threshold"]["operator"] in OPERATORS
    assert type(item["threshold"]["value"]) in {int, float}


# The page


def test_page_is_current() -> None:
    assert (ROOT / "docs/controls.md").read_text(encoding="utf-8") == controls_table.render()


def test_check_tells_a_stale_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(ROOT / "guide", tmp_path / "guide")
    (tmp_path / "docs").mkdir()
    assert controls_table.main(["--check"], tmp_path) == 1  # no page at all
    assert controls_table.main([], tmp_path) == 0
    page = tmp_path / "docs/controls.md"
    page.write_text(capsys.readouterr().out, encoding="utf-8")
    assert controls_table.main(["--check"], tmp_path) == 0
    page.write_text("old\n", encoding="utf-8")
    assert controls_table.main(["--check"], tmp_path) == 1
    assert capsys.readouterr().err.startswith("docs/controls.md is stale")


def test_bar_in_a_cell_is_escaped() -> None:
    assert controls_table.table(["a"], [["x|y"]]) == "| a |\n| --- |\n| x\\|y |\n"


# The roles


def test_no_task_has_an_unknown_control() -> None:
    assert unknown_tags(ROOT, IDS) == set()


def test_every_built_control_is_tagged_in_its_role() -> None:
    assert untagged_controls(ROOT, CONTROLS) == set()


MADE_UP_TASKS = """
- name: Plain word and a list
  ansible.builtin.debug:
  tags: [always, demo.listed]
- name: Outer
  block:
    - name: Inner
      block:
        - {name: Deep, ansible.builtin.debug: {}, tags: demo.block}
  rescue:
    - {name: Rescue, ansible.builtin.debug: {}, tags: "demo.rescue, never"}
  always:
    - {name: Always, ansible.builtin.debug: {}, tags: [demo.always]}
- name: Include
  ansible.builtin.include_tasks:
    file: more.yml
    apply:
      tags: [demo.applied]
- name: A module's own option is not a tag
  some.cloud.module:
    tags: [demo.option]
"""
MADE_UP_PLAYBOOK = """
- name: Play
  hosts: all
  tags: demo.play
  roles:
    - {role: leadgen.tuning.demo, tags: [demo.role]}
  pre_tasks:
    - {name: Before, ansible.builtin.debug: {}, tags: [demo.before]}
"""


@pytest.fixture
def made_up(tmp_path: Path) -> Path:
    for name, text in {
        "roles/demo/tasks/main.yml": MADE_UP_TASKS,
        "roles/demo/tasks/empty.yml": "---\n",
        "playbooks/apply.yml": MADE_UP_PLAYBOOK,
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def made_up_control(name: str, **changes: Any) -> dict[str, Any]:
    return {"id": name, "role": "demo", "status": "built", "kind": ["enforced"], **changes}


def test_walk_finds_tags_wherever_they_are(made_up: Path) -> None:
    assert control_tags(made_up) == {
        "demo": {"demo.listed", "demo.block", "demo.rescue", "demo.always", "demo.applied"},
        "": {"demo.play", "demo.role", "demo.before"},
    }


def test_walk_of_an_empty_tree_finds_nothing(tmp_path: Path) -> None:
    assert control_tags(tmp_path) == {}
    assert unknown_tags(tmp_path, IDS) == set()


def test_unknown_tag_is_told(made_up: Path) -> None:
    known = set().union(*control_tags(made_up).values())
    assert unknown_tags(made_up, known) == set()
    assert unknown_tags(made_up, known - {"demo.rescue"}) == {"demo.rescue"}


@pytest.mark.parametrize(
    ("control", "missing"),
    [
        (made_up_control("demo.block"), set()),
        (made_up_control("demo.absent"), {"demo.absent"}),
        (made_up_control("demo.block", role="other"), {"demo.block"}),  # tagged, but in another role
        (made_up_control("demo.play"), {"demo.play"}),  # a playbook's tag is not the role's
        (made_up_control("demo.absent", status="planned"), set()),
        (made_up_control("demo.absent", kind=["measured"]), set()),
        (made_up_control("log.measured_change", role="runner"), set()),
    ],
)
def test_built_control_without_a_task_is_told(made_up: Path, control: dict[str, Any], missing: set[str]) -> None:
    assert untagged_controls(made_up, [control]) == missing
