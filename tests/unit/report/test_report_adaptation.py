from __future__ import annotations

import functools
import io
import itertools
import math
import re
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any

import matplotlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from edgetl.report.adaptation import Adaptation, Curve, plain, read_curves, show_adaptation
from edgetl.report.adaptation_plots import accuracy_seconds, learning_curves
from edgetl.report.html import Details, render_html
from edgetl.report.model import Data, Reference, Report
from edgetl.report.terminal import show_report
from edgetl.types import Split

EVIL = "<script>alert('x')</script>"
Record = dict[str, Any]


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


def report(adapt: Mapping[str, Any]) -> Report:
    return Report(
        name="demo",
        verdict="pass",
        recipe={},
        classes=("a",),
        reference=Reference(top1=1, top1_low=1, top1_high=1, macro_f1=1, macro_f1_low=1, macro_f1_high=1, images=1),
        bundles=(),
        data=Data(
            shots=1,
            val=1,
            shots_per_class=(1,),
            val_per_class=(1,),
            resize="crop",
            resize_reason="",
            digest="",
            skipped=(),
        ),
        adapt=dict(adapt),
    )


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


def test_the_reason_stands_first_and_the_budget_is_told() -> None:
    text = usual().text
    assert text.startswith("Adaptation Fine-tuning had 88 of 100 right, ridge 80. 2.4 of 3 min.")
    assert "Judged on 100 shots, each held out once in 3 folds" in text


def test_every_candidate_has_a_row_with_its_intervals() -> None:
    found = usual()
    assert found.row("logistic") == (
        "logistic head: C 0.1 80.0 71.1–86.7 −1.00 −5.2…3.3 0.610 3 100 images 1.9 s judged"
    )
    assert found.row("all").endswith("fine-tuning: C 0.1 – – – 3 100 images 1.9 s diverged")


def test_the_chosen_candidate_is_marked_by_a_word() -> None:
    found = usual()
    assert [row.split()[0] for row in found.rows if "chosen" in row.split()] == ["last-3", "crop"]


def test_differences_are_against_the_best_head_which_is_named_as_such() -> None:
    found = usual()
    assert "best head" in found.row("ridge")
    assert "best head" not in found.row("last-3")
    assert "8.00" in found.row("last-3")


def test_a_dropped_candidate_says_after_how_many_folds() -> None:
    assert "dropped after 1 of 3 folds" in usual().row("last-5")
    assert section(without_plots(folds=None)).row("last-5").endswith("dropped")


def test_fine_tuning_is_named_by_its_depth_once() -> None:
    assert usual().row("last-3").startswith("last-3 chosen fine-tuning 88.0")


def test_what_was_over_budget_took_no_time() -> None:
    row = candidate("finetune all", "finetune", state="over budget", folds=0, images=0, seconds=0.0) | dict.fromkeys(
        ("top1", "top1_low", "top1_high", "loss")
    )
    assert section(record(candidates=[row])).row("all") == "all fine-tuning: C 0.1 – – – – – over budget"


def test_a_closed_form_takes_less_than_can_be_told() -> None:
    assert "< 0.1 s" in usual().row("ridge")


def test_guards_have_badges_that_are_words() -> None:
    found = usual()
    assert found.badges == ["pass", "rolled back", "failed"]
    assert found.row("Negative transfer") == "Negative transfer rolled back Fine-tuning lost."


def test_every_verdict_of_a_guard_has_a_style_of_its_own() -> None:
    page = render_html(report({}), Details(Split(("a",), (), (), (), "crop", "", ""), np.zeros((0, 1), np.float32), ()))
    for verdict in ("pass", "warn", "rolled-back", "failed", "not-measured"):
        assert f".badge.{verdict} {{" in page


def test_the_resize_choice_is_told_with_what_it_was_compared_to() -> None:
    found = usual()
    assert "resized by crop : a ridge had more right with it. " in found.text
    assert found.row("squash") == "squash 74.0 0.730"


def test_details_tell_parameters_weights_and_time() -> None:
    facts = dict(show_adaptation(record(probe_strength=0.1234567)).facts)
    assert facts["Trained"] == "fine-tuning, 2 epochs on all shots"
    assert facts["Parameters"] == "1,686,040 trained, 541,112 frozen"
    assert facts["Trained parts"].endswith("blocks.5 and 2 more")
    assert facts["Head"] == "ridge"
    assert facts["Learning rate"] == "0.0005"
    assert facts["Weights"] == (
        "262 tensors filled from the checkpoint, 1 of it left out, 2 new; "
        "taken from `model_ema`, the averaged weights; not model"
    )
    assert facts["Device"] == "cpu, 2 threads"
    assert facts["Time"] == "2 min 51 s"
    assert facts["Probe strength"] == "0.1235"


def test_tables_and_plots_can_be_reached_and_read_without_sight() -> None:
    found = usual()
    assert found.regions_without_keyboard == 0
    assert len(found.plots) == 2
    assert "last-3 88.0 % (71.1–93.0) in 31 s, chosen" in found.plots[0]
    assert (
        "last-3: training loss 0.75 at the end and held-out loss 0.5 at its smallest, after epoch 2 of 2"
        in (found.plots[1])
    )


def test_what_the_record_says_is_escaped() -> None:
    guards = [{"guard": EVIL, "verdict": EVIL, "sentence": EVIL}]
    told = record(reason=EVIL, guards=guards, candidates=[candidate(EVIL, setting=EVIL, state=EVIL)], augment=EVIL)
    found = section(told, {"trials": {EVIL: [[epoch(1, 1.0, 1.0)]]}})
    assert "script" not in found.tags
    assert found.text.count(EVIL) >= 6


def test_a_head_without_folds_is_told_as_not_judged() -> None:
    row = candidate("ridge", state="not judged", top1=None, top1_low=None, top1_high=None, loss=None, folds=0, images=0)
    found = section(record(strategy="probe", candidates=[row], folds=0, held_out_images=0, epochs=0))
    assert "Nothing could be held out" in found.text
    assert found.row("ridge") == "ridge head: C 0.1 – – – – 1.9 s not judged"
    assert found.plots == []


def test_an_empty_record_is_told_as_such() -> None:
    assert section({}).text == "Adaptation Nothing was recorded."


@pytest.mark.parametrize("key", sorted(record()))
def test_a_missing_key_leaves_its_place_empty(key: str) -> None:
    told = without_plots()
    del told[key]
    assert section(told).text.startswith("Adaptation")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(candidate(""))), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(
    st.dictionaries(st.sampled_from(sorted(record())), JSON),
    st.dictionaries(st.sampled_from(["trials", "final"]), JSON),
)
def test_any_record_can_be_read(adapt: Record, history: Record) -> None:
    assert isinstance(show_adaptation(adapt), Adaptation)
    assert all(len(curve.train) == len(curve.held_out) for curve in read_curves(adapt, history))


def test_curves_are_means_over_folds_up_to_the_epoch_that_all_reached() -> None:
    chosen, other, final = read_curves(record(), HISTORY)
    assert chosen == Curve("last-3", 2, (1.5, 0.75), (0.9, 0.5), ended_after=2)
    assert (other.name, other.folds, other.ended_after) == ("last-5", 1, None)
    assert (final.name, final.train) == ("all shots", (1.5, 0.9))
    assert all(map(math.isnan, final.held_out))


def test_a_loss_that_was_not_finite_is_a_gap() -> None:
    (curve,) = read_curves({}, {"trials": {"all": [[epoch(1, 2.0, 1.0), epoch(2, None, None)]]}})
    assert math.isnan(curve.train[1])
    picture = learning_curves([curve])
    assert picture is not None
    assert "all: training loss 2 at the end and held-out loss 1 at its smallest, after epoch 1 of 2" in picture.text


def test_an_interval_that_rounding_moved_past_its_estimate_is_drawn() -> None:
    rows = [candidate("ridge", top1=1.0, top1_low=0.96, top1_high=1 - 1e-16 - 1e-15)]
    assert accuracy_seconds(show_adaptation({"candidates": rows}).candidates) is not None


def test_a_training_that_diverged_does_not_press_the_others_flat() -> None:
    calm = Curve("calm", 1, (2.0, 1.0), (1.5, 0.5))
    wild = Curve("wild", 1, (2.0, 4000.0), (1.0, 9000.0))
    picture = learning_curves([calm, wild])
    assert picture is not None
    assert "4000" not in re.sub(r"<[^>]*>", "", picture.svg)


def test_without_anything_to_draw_there_are_no_plots() -> None:
    assert accuracy_seconds([]) is None
    assert accuracy_seconds(show_adaptation({"candidates": [candidate("ridge", seconds=None)]}).candidates) is None
    assert learning_curves([]) is None
    assert learning_curves([Curve("all", 1, (math.nan,), (math.nan,))]) is None


def test_many_candidates_of_one_speed_keep_names_apart() -> None:
    rows = [candidate(f"head-{number}", seconds=1.0) for number in range(12)]
    picture = accuracy_seconds(show_adaptation({"candidates": rows}).candidates)
    assert picture is not None
    places = re.findall(r'x="([\d.]+)" y="[\d.]+" transform="rotate\(-38', picture.svg)
    across = sorted(float(place) for place in places)
    assert len(across) == 12
    assert min(b - a for a, b in itertools.pairwise(across)) > 9.5 / math.sin(math.radians(38))  # letters


def test_many_trainings_are_cut_to_what_a_page_can_hold() -> None:
    picture = learning_curves([Curve(f"try-{number}", 1, (1.0, 0.5), (1.0, 0.6)) for number in range(11)])
    assert picture is not None
    assert picture.text.endswith("2 more in adapt.json.")


def test_figures_are_the_same_bytes_every_time_and_take_their_colours_from_the_page() -> None:
    before = dict(matplotlib.rcParams)
    candidates, curves = show_adaptation(record()).candidates, read_curves(record(), HISTORY)
    first = accuracy_seconds(candidates), learning_curves(curves)
    assert first == (accuracy_seconds(candidates), learning_curves(curves))
    assert dict(matplotlib.rcParams) == before
    for picture in first:
        assert picture is not None
        assert "var(--int8)" in picture.svg
        assert "http" not in picture.svg
        assert not re.search(r"#0[0-9a-f]0[0-9a-f]0", picture.svg)  # a stand-in that was not replaced


def test_values_are_told_in_words() -> None:
    told = {"max_abs_diff": 1e-6, "images": 4, "same": True, "names": ["a", None]}
    assert plain(told) == "max abs diff 1e-06, images 4, same yes, names a, –"


def test_the_terminal_tells_guards_that_did_not_pass() -> None:
    stream = io.StringIO()
    show_report(report(record()), Console(file=stream, width=80))
    lines = stream.getvalue().splitlines()
    assert "note: Fine-tuning lost." in lines
    assert "failed: By heart." in lines
    assert not any(line.startswith("Sanity probe") for line in lines)
