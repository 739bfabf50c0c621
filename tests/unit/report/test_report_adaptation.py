"""The page's section on adaptation, and what the terminal says of it."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from adaptation_records import (
    EVIL,
    candidate,
    epoch,
    record,
    report,
    section,
    usual,
    without_plots,
)
from rich.console import Console

from edgetl.adapt.record import Guard, History
from edgetl.report.adaptation import facts, plain
from edgetl.report.html import Details, render_html
from edgetl.report.terminal import show_report
from edgetl.types import Split


def test_the_reason_stands_first_and_the_budget_is_told() -> None:
    text = usual().text
    assert text.startswith("Adaptation Fine-tuning had 88 of 100 right, ridge 80. 2.4 of 3 min.")
    assert "Evaluated on 100 shots, each held out once in 3 folds" in text


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
    assert section(without_plots(folds=0)).row("last-5").endswith("dropped")


def test_fine_tuning_is_named_by_its_depth_once() -> None:
    assert usual().row("last-3").startswith("last-3 chosen fine-tuning 88.0")


def test_what_was_over_budget_took_no_time() -> None:
    unknown: dict[str, Any] = dict.fromkeys(("top1", "top1_low", "top1_high", "loss"))
    row = candidate("finetune all", "finetune", state="over budget", folds=0, images=0, seconds=0.0, **unknown)
    assert section(record(candidates=(row,))).row("all") == "all fine-tuning: C 0.1 – – – – – over budget"


def test_a_closed_form_takes_less_than_can_be_told() -> None:
    assert "< 0.1 s" in usual().row("ridge")


def test_guards_have_badges_that_are_words() -> None:
    found = usual()
    assert found.badges == ["pass", "rolled back", "failed"]
    assert found.row("Negative transfer") == "Negative transfer rolled back Fine-tuning lost."


def test_every_verdict_of_a_guard_has_a_style_of_its_own() -> None:
    page = render_html(
        report(None), Details(Split(("a",), (), (), (), "crop", "", ""), np.zeros((0, 1), np.float32), ())
    )
    for verdict in ("pass", "warn", "rolled-back", "failed", "not-measured"):
        assert f".badge.{verdict} {{" in page


def test_the_resize_choice_is_told_with_what_it_was_compared_to() -> None:
    found = usual()
    assert "resized by crop : a ridge had more right with it. " in found.text
    assert found.row("squash") == "squash 74.0 0.730"


def test_details_tell_parameters_weights_and_time() -> None:
    found = dict(facts(record()))
    assert found["Trained"] == "fine-tuning, 2 epochs on all shots"
    assert found["Parameters"] == "1,686,040 trained, 541,112 frozen"
    assert found["Trained parts"].endswith("blocks.5 and 2 more")
    assert found["Head"] == "ridge"
    assert found["Learning rate"] == "0.0005"
    assert found["Weights"] == (
        "262 tensors loaded from the checkpoint, 1 of the checkpoint unused, 2 new; "
        "taken from `model_ema`, the averaged weights; not model"
    )
    assert found["Device"] == "cpu, 2 threads"
    assert found["Time"] == "2 min 51 s"


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
    rows = (candidate(EVIL, setting=EVIL, state=EVIL),)
    told = record(reason=EVIL, guards=(Guard(EVIL, EVIL, EVIL, {}),), candidates=rows, augment=EVIL)
    found = section(told, History({EVIL: ((epoch(1, 1.0, 1.0),),)}))
    assert "script" not in found.tags
    assert found.text.count(EVIL) >= 6


def test_a_head_without_folds_is_told_as_not_judged() -> None:
    row = candidate("ridge", state="not judged", top1=None, top1_low=None, top1_high=None, loss=None, folds=0, images=0)
    found = section(record(strategy="probe", candidates=(row,), folds=0, held_out_images=0, epochs=0))
    assert "Nothing could be held out" in found.text
    assert found.row("ridge") == "ridge head: C 0.1 – – – – 1.9 s not judged"
    assert found.plots == []


def test_where_nothing_was_recorded_the_page_says_so() -> None:
    assert section(None).text == "Adaptation Nothing was recorded."


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
