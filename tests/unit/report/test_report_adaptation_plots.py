"""The figures of the adaptation section."""

from __future__ import annotations

import itertools
import math
import re

import matplotlib
from adaptation_records import (
    HISTORY,
    candidate,
    epoch,
    record,
)

from edgetl.adapt.record import History
from edgetl.report.adaptation import Curve, curves
from edgetl.report.adaptation_plots import accuracy_seconds, learning_curves


def test_curves_are_means_over_folds_up_to_the_epoch_that_all_reached() -> None:
    chosen, other, final = curves(record(), HISTORY)
    assert chosen == Curve("last-3", 2, (1.5, 0.75), (0.9, 0.5), ended_after=2)
    assert (other.name, other.folds, other.ended_after) == ("last-5", 1, None)
    assert (final.name, final.train) == ("all shots", (1.5, 0.9))
    assert all(map(math.isnan, final.held_out))


def test_a_loss_that_was_not_finite_is_a_gap() -> None:
    (curve,) = curves(record(), History({"all": ((epoch(1, 2.0, 1.0), epoch(2, math.nan)),)}))
    assert math.isnan(curve.train[1])
    picture = learning_curves([curve])
    assert picture is not None
    assert "all: training loss 2 at the end and held-out loss 1 at its smallest, after epoch 1 of 2" in picture.text


def test_an_interval_that_rounding_moved_past_its_estimate_is_drawn() -> None:
    rows = [candidate("ridge", top1=1.0, top1_low=0.96, top1_high=1 - 1e-16 - 1e-15)]
    assert accuracy_seconds(rows) is not None


def test_a_training_that_diverged_does_not_press_the_others_flat() -> None:
    calm = Curve("calm", 1, (2.0, 1.0), (1.5, 0.5))
    wild = Curve("wild", 1, (2.0, 4000.0), (1.0, 9000.0))
    picture = learning_curves([calm, wild])
    assert picture is not None
    assert "4000" not in re.sub(r"<[^>]*>", "", picture.svg)


def test_without_anything_to_draw_there_are_no_plots() -> None:
    assert accuracy_seconds([]) is None
    assert accuracy_seconds([candidate("ridge", seconds=None)]) is None
    assert learning_curves([]) is None
    assert learning_curves([Curve("all", 1, (math.nan,), (math.nan,))]) is None


def test_many_candidates_of_one_speed_keep_names_apart() -> None:
    rows = [candidate(f"head-{number}", seconds=1.0) for number in range(12)]
    picture = accuracy_seconds(rows)
    assert picture is not None
    places = re.findall(r'x="([\d.]+)" y="[\d.]+" transform="rotate\(-38', picture.svg)
    across = sorted(float(place) for place in places)
    assert len(across) == 12
    assert min(b - a for a, b in itertools.pairwise(across)) > 9.5 / math.sin(math.radians(38))  # letters


def test_many_trainings_are_cut_to_what_a_page_can_hold() -> None:
    picture = learning_curves([Curve(f"try-{number}", 1, (1.0, 0.5), (1.0, 0.6)) for number in range(11)])
    assert picture is not None
    assert picture.text.endswith("2 more in adapt.json.")


def test_figures_are_the_same_bytes_every_time_and_take_their_colors_from_the_page() -> None:
    before = dict(matplotlib.rcParams)
    candidates, drawn = record().candidates, curves(record(), HISTORY)
    first = accuracy_seconds(candidates), learning_curves(drawn)
    assert first == (accuracy_seconds(candidates), learning_curves(drawn))
    assert dict(matplotlib.rcParams) == before
    for picture in first:
        assert picture is not None
        assert "var(--int8)" in picture.svg
        assert "http" not in picture.svg
        assert not re.search(r"#0[0-9a-f]0[0-9a-f]0", picture.svg)  # a stand-in that was not replaced
