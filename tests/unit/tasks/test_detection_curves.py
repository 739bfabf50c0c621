from __future__ import annotations

import numpy as np
import pytest
from made_up_objects import detections, random_found, random_truths

from edgetl.tasks.detection.average_precision import average_precision
from edgetl.tasks.detection.curves import confusion, precision_curve
from edgetl.tasks.detection.match import match
from edgetl.tasks.detection.working_point import counts_at
from edgetl.types import Box, Boxes

CLASSES = 3


@pytest.mark.parametrize("seed", range(5))
def test_the_mean_of_a_curve_is_the_average_precision(seed: int) -> None:
    truths = random_truths(20, CLASSES, seed)
    matches = match(random_found(truths, CLASSES, seed + 1), truths, CLASSES)
    whole = average_precision(matches)
    for threshold in (0, 5, 9):
        curves = [precision_curve(matches, label, threshold=threshold) for label in range(CLASSES)]
        assert [curve.mean() for curve in curves] == pytest.approx(whole.each[threshold].tolist(), abs=1e-12)
        assert all((np.diff(curve) <= 0).all() for curve in curves)


def test_a_class_without_objects_has_no_curve() -> None:
    matches = match([detections([[0, 0, 9, 9]], [0.9], [0])], [()], CLASSES)
    assert np.isnan(precision_curve(matches, 0)).all()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("ignored", [0.0, 0.3])
def test_the_diagonal_is_what_recall_counts(seed: int, ignored: float) -> None:
    truths = random_truths(20, CLASSES, seed, ignored=ignored)
    found = random_found(truths, CLASSES, seed + 1)
    cells = confusion(found, truths, CLASSES, 0.4)
    counts = counts_at(match(found, truths, CLASSES), 0.4)
    assert np.diag(cells)[:CLASSES].tolist() == counts.hits.sum(axis=0).tolist()
    assert cells[:CLASSES].sum(axis=1).tolist() == counts.truths.sum(axis=0).tolist()
    assert cells[:, :CLASSES].sum() == counts.reported.sum()


def test_confused_invented_and_missed_objects_have_their_cells() -> None:
    truths: list[Boxes] = [(Box(0, 0, 10, 10, 0), Box(20, 0, 30, 10, 0), Box(40, 0, 50, 10, 1))]
    found = [
        detections(
            [[0, 0, 10, 10], [20, 0, 30, 10], [60, 0, 70, 10], [40, 0, 50, 10]], [0.9, 0.8, 0.7, 0.2], [0, 1, 1, 1]
        )
    ]
    assert confusion(found, truths, 2, 0.5).tolist() == [[1, 1, 0], [0, 0, 1], [0, 1, 0]]


def test_objects_on_an_ignored_region_of_their_class_are_left_out() -> None:
    truths: list[Boxes] = [(Box(0, 0, 90, 90, 0, ignore=True),)]
    found = [detections([[0, 0, 10, 10], [20, 0, 30, 10]], [0.9, 0.8], [0, 1])]
    assert confusion(found, truths, 2, 0.5).tolist() == [[0, 0, 0], [0, 0, 0], [0, 1, 0]]
