# SPDX-License-Identifier: GPL-3.0-or-later
"""Print docs/controls.md from guide/controls.yml and guide/review.yml.

``python tools/controls_table.py > docs/controls.md`` writes the page; ``--check`` exits 1 if the page is stale.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent

INTRO = """\
# Controls

Every recommendation of the tuning guide is a control. Its id is the tag of each task that brings it about.
**Enforced**: a role brings it about, and a plan shows the drift. **Measured**: the audit gives a figure and a verdict.
**Checked in code**: the application's source is scanned.

This page is printed by `python tools/controls_table.py > docs/controls.md`; edit `guide/` instead.
"""


def load(path: Path, key: str) -> list[dict[str, Any]]:
    """The list under the one top-level ``key`` of a YAML file."""
    entries: list[dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))[key]
    return entries


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; a bar inside a cell is escaped, or it would end the cell."""
    lines = [header, ["---"] * len(header), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def control_row(control: dict[str, Any]) -> list[str]:
    status = f"{control['status']}. {control['note']}" if "note" in control else control["status"]
    return [
        f"`{control['id']}`",
        ", ".join(control["section"]) or "none",
        control["recommendation"],
        ", ".join(control["kind"]).replace("_", " "),
        control["role"],
        control["proof"],
        status,
    ]


def review_row(item: dict[str, Any]) -> list[str]:
    threshold = item["threshold"]
    limit = f"`{threshold['operator']} {threshold['value']}` {threshold['unit']}"
    return [f"`{item['id']}`", item["question"], item["measure"], limit, item["status"]]


def render(root: Path = ROOT) -> str:
    """The whole page."""
    controls = [control_row(control) for control in load(root / "guide/controls.yml", "controls")]
    review = [review_row(item) for item in load(root / "guide/review.yml", "review")]
    return "\n".join(
        [
            INTRO,
            table(["Control", "Guide", "What it asks for", "Kind", "Role", "Proof", "Status"], controls),
            "## Review checklist\n",
            table(["Control", "Question", "Measure", "Passes if", "Status"], review),
        ]
    )


def main(argv: Sequence[str] | None = None, root: Path = ROOT) -> int:
    parser = argparse.ArgumentParser(description="Print docs/controls.md from the guide's data.")
    parser.add_argument("--check", action="store_true", help="exit 1 if docs/controls.md is stale; print no page")
    page = render(root)
    if not parser.parse_args(argv).check:
        sys.stdout.write(page)
        return 0
    written = root / "docs/controls.md"
    if written.is_file() and written.read_text(encoding="utf-8") == page:
        return 0
    print("docs/controls.md is stale: run python tools/controls_table.py > docs/controls.md", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
