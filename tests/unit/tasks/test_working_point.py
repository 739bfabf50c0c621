from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_objects import detections, random_found, random_truths

from edgetl.tasks.detection.match import Matches, match
from edgetl.tasks.detection.working_point import best_threshold, counts_at, precision, recall, utility
from edgetl.types import Box, Boxes

CLASSES = 3


def mean_f1(matches: Matches, threshold: float) -> float:
    counts = counts_at(matches, threshold)
    hits, reported, truths = (each.sum(axis=0) for each in (counts.hits, counts.reported, counts.truths))
    known = truths > 0
    return float((2 * hits[known] / (reported + truths)[known]).mean())


def two_images() -> Matches:
    """The first has two objects, of which one is found and another one is invented; the second has none."""
    truths: list[Boxes] = [(Box(0, 0, 10, 10, 0), Box(20, 0, 30, 10, 1)), ()]
    found = [detections([[0, 0, 10, 10], [50, 50, 60, 60]], [0.9, 0.4], [0, 1]), detections([[0, 0, 5, 5]], [0.3], [0])]
    return match(found, truths, CLASSES)


def test_recall_and_precision_at_a_threshold() -> None:
    counts = counts_at(two_images(), 0.35)
    assert recall(counts, np.ones((1, 2))).tolist() == [0.5]
    assert precision(counts) == 0.5
    assert precision(counts_at(two_images(), 0.95)) is None


def test_recall_of_a_draw_counts_an_image_that_often() -> None:
    counts = counts_at(two_images(), 0.35)
    assert recall(counts, np.array([[2.0, 0.0]])).tolist() == [0.5]
    assert np.isnan(recall(counts, np.array([[0.0, 2.0]]))).all()


def test_a_score_at_the_threshold_is_reported_as_on_the_device() -> None:
    threshold = float(np.float32(0.9))
    assert counts_at(two_images(), threshold).reported.sum() == 1
    assert counts_at(two_images(), float(np.nextafter(np.float32(threshold), np.float32(1)))).reported.sum() == 0


def test_utility_is_f1_of_each_image() -> None:
    assert utility(two_images(), 0.35).tolist() == [0.5, 1.0]
    assert utility(two_images(), 0.1).tolist() == [0.5, 0.0]
    assert utility(two_images(), 0.5) == pytest.approx([2 / 3, 1.0])


def test_objects_on_an_ignored_region_change_neither_utility_nor_precision() -> None:
    truths: list[Boxes] = [(Box(0, 0, 10, 10, 0), Box(50, 50, 90, 90, 0, ignore=True))]
    found = [detections([[0, 0, 10, 10], [55, 55, 65, 65]], [0.9, 0.8], [0, 0])]
    matches = match(found, truths, 1)
    assert utility(matches, 0.1).tolist() == [1.0]
    assert precision(counts_at(matches, 0.1)) == 1.0


@given(st.integers(0, 200))
def test_no_other_threshold_is_better_than_the_best_one(seed: int) -> None:
    truths = random_truths(6, CLASSES, seed)
    matches = match(random_found(truths, CLASSES, seed + 1), truths, CLASSES)
    best = best_threshold(matches)
    if matches.truths.any():
        reached = mean_f1(matches, best)
        assert all(mean_f1(matches, score) <= reached + 1e-12 for score in np.unique(matches.score).tolist())


def test_the_best_threshold_lies_between_two_scores() -> None:
    assert best_threshold(two_images()) == pytest.approx(0.65, abs=1e-6)


def test_without_an_object_found_right_the_threshold_is_the_given_one() -> None:
    nothing = match([detections([], [], [])], [(Box(0, 0, 9, 9, 0),)], 1)
    assert best_threshold(nothing) == 0.5
    wrong = match([detections([[50, 50, 60, 60]], [0.9], [0])], [(Box(0, 0, 9, 9, 0),)], 1)
    assert best_threshold(wrong, otherwise=0.3) == 0.3
