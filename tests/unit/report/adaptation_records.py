"""Records of adaptations, and how the page shows one."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any

import numpy as np
import small_reports
from hypothesis import strategies as st

from edgetl.report.html import Details, render_html
from edgetl.report.model import Report
from edgetl.types import Split

EVIL = "<script>alert('x')</script>"
Record = dict[str, Any]


def epoch(number: int, train_loss: float | None, held_out: float | None = None) -> Record:
    return {
        "epoch": number,
        "learning_rate": 1e-3,
        "train_loss": train_loss,
        "held_out": None if held_out is None else {"loss": held_out, "top1": 0.5},
        "seconds": 0.1,
    }


HISTORY: Record = {
    "trials": {
        "finetune last-5": [[epoch(1, 2.0, 1.5), epoch(2, 1.0, 1.2)]],
        "finetune last-3": [
            [epoch(1, 2.0, 1.0), epoch(2, 1.0, 0.6), epoch(3, 0.8, 0.7)],
            [epoch(1, 1.0, 0.8), epoch(2, 0.5, 0.4)],
        ],
    },
    "final": [epoch(1, 1.5), epoch(2, 0.9)],
}


def candidate(name: str, kind: str = "head", **changes: Any) -> Record:
    row: Record = {
        "name": name,
        "kind": kind,
        "setting": "C 0.1",
        "state": "judged",
        "images": 100,
        "top1": 0.8,
        "top1_low": 0.711,
        "top1_high": 0.867,
        "loss": 0.61,
        "difference_points": None,
        "difference_low": None,
        "difference_high": None,
        "folds": 3,
        "seconds": 1.9,
        "chosen": False,
    }
    return row | changes


def record(**changes: Any) -> Record:
    told: Record = {
        "schema": 2,
        "strategy": "finetune",
        "reason": "Fine-tuning had 88 of 100 right, ridge 80.",
        "audit": {
            "matched": 262,
            "dropped": ["classifier.weight"],
            "new": ["classifier.weight", "classifier.bias"],
            "notes": ["taken from `model_ema`, the averaged weights; not model"],
        },
        "augment": "natural",
        "epochs": 2,
        "frozen_parameters": 541112,
        "trained_parameters": 1686040,
        "head": "ridge",
        "learning_rate": 0.0005,
        "trained_parts": [f"blocks.{number}" for number in range(8)],
        "device": "cpu",
        "threads": 2,
        "seconds": 171.3,
        "source": "timm mobilenetv2_100",
        "licence": "apache-2.0",
        "resize": {
            "policy": "crop",
            "reason": "crop: a ridge had more right with it",
            "candidates": [
                {"policy": "squash", "top1": 0.74, "loss": 0.73},
                {"policy": "crop", "top1": 0.8, "loss": 0.6},
            ],
        },
        "candidates": [
            candidate("ridge", seconds=0.02),
            candidate("logistic", difference_points=-1.0, difference_low=-5.2, difference_high=3.3),
            candidate(
                "finetune last-3",
                "finetune",
                setting="last-3",
                top1=0.88,
                top1_high=0.93,
                difference_points=8.0,
                seconds=31.2,
                chosen=True,
            ),
            candidate(
                "finetune last-5",
                "finetune",
                setting="last-5",
                state="dropped",
                folds=1,
                images=34,
                difference_points=-6.1,
            ),
            candidate("all", "finetune", state="diverged", top1=None, top1_low=None, top1_high=None, loss=None),
        ],
        "guards": [
            {"guard": "sanity probe", "verdict": "pass", "sentence": "Better than random.", "numbers": {}},
            {"guard": "negative transfer", "verdict": "rolled back", "sentence": "Fine-tuning lost.", "numbers": {}},
            {"guard": "overfitting", "verdict": "failed", "sentence": "By heart.", "numbers": {}},
        ],
        "budget": {"minutes": 3.0, "estimated_minutes": 2.4, "sentence": "2.4 of 3 min."},
        "folds": 3,
        "held_out_images": 100,
    }
    return told | changes


def report(adapt: Mapping[str, Any]) -> Report:
    return small_reports.report(adapt=dict(adapt))


class Section(HTMLParser):
    """Rows of the tables, badges and labels of plots between the heading `Adaptation` and the next section."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.inside = False
        self.words: list[str] = []
        self.rows: list[str] = []
        self.badges: list[str] = []
        self.plots: list[str] = []
        self.regions_without_keyboard = 0
        self.tags: set[str] = set()
        self._class = ""
        self._in_row = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        if tag == "section":
            self.inside = known.get("aria-labelledby") == "adaptation"
        if not self.inside:
            return
        self.tags.add(tag)
        self._class = known.get("class") or ""
        if tag == "tr":
            self.rows.append("")
            self._in_row = True
        if known.get("role") == "img":
            self.plots.append(known.get("aria-label") or "")
        self.regions_without_keyboard += "scroll" in self._class and known.get("tabindex") != "0"

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag != "section"
        self._in_row = self._in_row and tag != "tr"
        self._class = ""

    def handle_data(self, data: str) -> None:
        if not self.inside:
            return
        self.words.append(data)
        if self._in_row:
            self.rows[-1] = " ".join(f"{self.rows[-1]} {data}".split())
        if "badge" in self._class:
            self.badges.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def row(self, name: str) -> str:
        return next(row for row in self.rows if row.startswith(name))


def section(adapt: Mapping[str, Any], history: Mapping[str, Any] | None = None) -> Section:
    details = Details(Split(("a",), (), (), (), "crop", "", ""), np.zeros((0, 1), np.float32), (), history or {})
    parser = Section()
    parser.feed(render_html(report(adapt), details))
    return parser


@functools.cache
def usual() -> Section:
    """The page of a usual record: read by many tests, drawn once."""
    return section(record(), HISTORY)


def without_plots(**changes: Any) -> Record:
    told = record()
    return told | {"candidates": [row | {"seconds": None} for row in told["candidates"]]} | changes


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(candidate(""))), inner, max_size=3)
    ),
    max_leaves=6,
)
