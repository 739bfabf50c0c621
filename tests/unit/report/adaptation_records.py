"""Records of adaptations, and how the page shows one."""

from __future__ import annotations

import functools
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any, Literal

import numpy as np
import small_reports

from edgetl.adapt.record import (
    Adaptation,
    Budget,
    Candidate,
    Epoch,
    Guard,
    HeldOut,
    History,
    ResizeCandidate,
    ResizeChoice,
)
from edgetl.report.html import Details, render_html
from edgetl.report.model import Report
from edgetl.types import Split
from edgetl.types.findings import Audit

EVIL: Any = "<script>alert('x')</script>"


def epoch(number: int, train_loss: float, held_out: float | None = None) -> Epoch:
    return Epoch(number, 1e-3, train_loss, None if held_out is None else HeldOut(held_out, 0.5))


HISTORY = History(
    trials={
        "finetune last-5": ((epoch(1, 2.0, 1.5), epoch(2, 1.0, 1.2)),),
        "finetune last-3": (
            (epoch(1, 2.0, 1.0), epoch(2, 1.0, 0.6), epoch(3, 0.8, 0.7)),
            (epoch(1, 1.0, 0.8), epoch(2, 0.5, 0.4)),
        ),
    },
    final=(epoch(1, 1.5), epoch(2, 0.9)),
)


_RIDGE = Candidate(
    "",
    "head",
    "C 0.1",
    "judged",
    folds=3,
    seconds=1.9,
    images=100,
    top1=0.8,
    top1_low=0.711,
    top1_high=0.867,
    loss=0.61,
)


def candidate(name: str, kind: Literal["head", "finetune"] = "head", **changes: Any) -> Candidate:
    return replace(_RIDGE, name=name, kind=kind, **changes)


_USUAL = Adaptation(
    strategy="finetune",
    reason="Fine-tuning had 88 of 100 right, ridge 80.",
    audit=Audit(
        matched=262,
        dropped=("classifier.weight",),
        new=("classifier.weight", "classifier.bias"),
        notes=("taken from `model_ema`, the averaged weights; not model",),
    ),
    augment="natural",
    epochs=2,
    frozen_parameters=541112,
    trained_parameters=1686040,
    head="ridge",
    learning_rate=0.0005,
    trained_parts=tuple(f"blocks.{number}" for number in range(8)),
    device="cpu",
    threads=2,
    seconds=171.3,
    source="timm mobilenetv2_100",
    licence="apache-2.0",
    resize=ResizeChoice(
        "crop",
        "crop: a ridge had more right with it",
        (ResizeCandidate("squash", 0.74, 0.73), ResizeCandidate("crop", 0.8, 0.6)),
    ),
    candidates=(
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
    ),
    guards=(
        Guard("sanity probe", "pass", "Better than random.", {}),
        Guard("negative transfer", "rolled back", "Fine-tuning lost.", {}),
        Guard("overfitting", "failed", "By heart.", {}),
    ),
    learning_curve=None,
    budget=Budget(3.0, 2.4, "2.4 of 3 min."),
    folds=3,
    held_out_images=100,
)


def record(**changes: Any) -> Adaptation:
    return replace(_USUAL, **changes)


def report(adapt: Adaptation | None) -> Report:
    return small_reports.report(adapt=adapt)


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


def section(adapt: Adaptation | None, history: History | None = None) -> Section:
    split = Split(("a",), (), (), (), "crop", "", "")
    details = Details(split, np.zeros((0, 1), np.float32), (), history or History())
    parser = Section()
    parser.feed(render_html(report(adapt), details))
    return parser


@functools.cache
def usual() -> Section:
    """The page of a usual record: read by many tests, drawn once."""
    return section(record(), HISTORY)


def without_plots(**changes: Any) -> Adaptation:
    return record(candidates=tuple(replace(row, seconds=None) for row in _USUAL.candidates), **changes)
