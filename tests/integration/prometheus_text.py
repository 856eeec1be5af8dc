# SPDX-License-Identifier: GPL-3.0-or-later
"""A strict reader of Prometheus' text format 0.0.4, for metrics without histograms and escapes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="[^"\\\n]*"'
COMMENT = re.compile(rf"# (?P<what>HELP|TYPE) (?P<name>{NAME}) (?P<text>\S.*)")
SAMPLE = re.compile(rf"(?P<name>{NAME})(?:\{{(?P<labels>{LABEL}(?:,{LABEL})*)\}})? (?P<value>\S+)")
SUFFIXES = {"gauge": [""], "counter": [""], "summary": ["_sum", "_count"]}


@dataclass
class Family:
    """A metric: its samples are by what follows its name, such as ``_sum{kind="minor"}``."""

    help: str
    type: str = ""
    samples: dict[str, float] = field(default_factory=dict)


def parse(text: str) -> dict[str, Family]:
    """The metrics by name. Each has one HELP, then one TYPE, then all of its samples, each of them once."""
    assert text.endswith("\n"), "the last line must end as well"
    families: dict[str, Family] = {}
    last = ""
    for line in text[:-1].split("\n"):
        if comment := COMMENT.fullmatch(line):
            if comment["what"] == "HELP":
                assert comment["name"] not in families, f"a second time: {line}"
                last = comment["name"]
                families[last] = Family(comment["text"])
                continue
            assert comment["name"] == last, f"not with its metric: {line}"
            assert not families[last].type, f"a second time: {line}"
            assert comment["text"] in SUFFIXES, f"no such type: {line}"
            families[last].type = comment["text"]
            continue
        sample = SAMPLE.fullmatch(line)
        assert sample, f"no sample: {line!r}"
        family = families[last]
        suffix = sample["name"].removeprefix(last)
        assert suffix in SUFFIXES[family.type], f"not with its metric: {line}"
        key = suffix + (f"{{{sample['labels']}}}" if sample["labels"] else "")
        assert key not in family.samples, f"a second time: {line}"
        family.samples[key] = float(sample["value"])
    return families
