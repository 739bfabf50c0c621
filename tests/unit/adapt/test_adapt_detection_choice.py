"""How a way of training is chosen: folds, utility, leads, guards."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from edgetl.adapt.detection.budget import enough
from edgetl.adapt.detection.folds import detection_folds
from edgetl.adapt.detection.guards import negative_transfer, overfitting, small_objects, too_little_data
from edgetl.adapt.detection.held_out import Judged, lead, mean_difference, utilities
from edgetl.adapt.detection.search import Tried, choose, finds_little
from edgetl.adapt.detection.ways import Way
from edgetl.tasks.detection.detections import Detections
from edgetl.tasks.detection.match import match
from edgetl.types import Box, Boxes


def objects(*labels: int, ignore: bool = False) -> Boxes:
    return tuple(Box(0.0, 0.0, 10.0, 10.0, label, ignore) for label in labels)


def test_every_fold_trains_on_every_class_and_every_image_is_held_out_once() -> None:
    truths = [objects(0), objects(0, 1), objects(1), objects(2, 2), objects(0, 2), objects(1, 2), objects(), objects()]
    folds = detection_folds(truths, 3, seed=0)
    assert len(folds) == 3
    assert sorted(index for fold in folds for index in fold.held_out) == list(range(8))
    for fold in folds:
        assert {box.label for index in fold.train for box in truths[index]} == {0, 1, 2}
        assert not set(fold.train) & set(fold.held_out)
    assert folds == detection_folds(truths, 3, seed=0)


def test_images_of_one_group_are_held_out_together() -> None:
    truths = [objects(0, 1)] * 8
    groups = ["a", "a", "b", "b", "c", "c", "d", "d"]
    for fold in detection_folds(truths, 2, 0, groups):
        assert not {groups[index] for index in fold.train} & {groups[index] for index in fold.held_out}


def test_a_class_in_one_image_allows_no_folds_and_ignored_regions_are_no_objects() -> None:
    assert detection_folds([objects(0, 1), objects(0), objects(0)], 3, 0) == ()
    assert detection_folds([objects(0), objects(0, ignore=True), objects()], 3, 0) == ()


def test_no_more_folds_than_needed_are_evaluated() -> None:
    folds = detection_folds([objects(0)] * 150, 3, 0)
    assert enough(folds) == folds[:1]
    few = detection_folds([objects(0)] * 12, 3, 0)
    assert enough(few) == few


def test_utility_is_the_mean_f1_over_overlaps() -> None:
    truths = [objects(0), objects(0), objects()]
    exact = Detections(np.array([[0, 0, 10, 10]], np.float32), np.array([0.9], np.float32), np.array([0]))
    loose = Detections(np.array([[0, 0, 10, 8]], np.float32), np.array([0.8], np.float32), np.array([0]))
    none = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))
    found = utilities(match([exact, loose, none], truths, 1), 0.5)
    # an overlap of 0.8 is enough for 0.5, 0.55, ..., 0.8: seven of ten
    assert found.tolist() == pytest.approx([1.0, 0.7, 1.0])
    assert utilities(match([exact, loose, none], truths, 1), 0.85).tolist() == pytest.approx([1.0, 0.0, 1.0])


def way(name: str, *, frozen: bool) -> Way:
    return Way(name, name, {}, 0.01, frozen, 8, 1, frozen)


def tried(name: str, utility: list[float] | None, *, frozen: bool = True) -> Tried:
    judged = None if utility is None else Judged(np.array(utility), 0.5)
    return Tried(way(name, frozen=frozen), (), judged, 0.0)


def test_the_best_frozen_way_is_chosen_unless_training_the_backbone_leads_clearly() -> None:
    low, high = tried("low", [0.4, 0.6, 0.5, 0.5]), tried("high", [0.5, 0.7, 0.6, 0.6])
    better = tried("deep", [0.6, 0.8, 0.6, 0.7], frozen=False)
    noisy = tried("deep", [0.9, 0.2, 0.9, 0.41], frozen=False)
    assert choose([low, high]) is high
    assert choose([low, high, better]) is better
    assert choose([low, high, noisy]) is high
    assert choose([noisy, high], finetune=True) is noisy
    assert choose([low, tried("deep", None, frozen=False)]) is low
    assert choose([tried("a", None), tried("b", None)]).way.name == "a"
    assert choose([tried("deep", [0.1, 0.2], frozen=False)]).way.name == "deep"


def test_where_little_is_found_training_the_backbone_need_not_lead_clearly() -> None:
    frozen, noisy = tried("low", [0.0, 0.1, 0.0, 0.1]), tried("deep", [0.3, 0.0, 0.0, 0.0], frozen=False)
    assert choose([frozen, noisy]) is noisy
    assert choose([frozen, tried("deep", [0.0, 0.0, 0.1, 0.0], frozen=False)]) is frozen
    assert finds_little(frozen)
    assert finds_little(noisy)
    assert not finds_little(tried("low", [0.1, 0.2, 0.0, 0.2]))
    assert not finds_little(tried("unknown", None))


def test_weights_of_a_classifier_are_trained_unless_the_frozen_backbone_leads_clearly() -> None:
    frozen = tried("head", [0.4, 0.6, 0.5, 0.5])
    close, behind = tried("deep", [0.5, 0.3, 0.6, 0.5], frozen=False), tried("deep", [0.3, 0.5, 0.4, 0.3], frozen=False)
    assert choose([frozen, close], classifier=True) is close
    assert choose([frozen, behind], classifier=True) is frozen
    assert choose([frozen, close]) is frozen


def test_a_lead_is_counted_in_standard_errors() -> None:
    assert lead(np.array([1.0, 2.0]), np.array([1.0, 2.0])) == 0
    assert lead(np.array([1.5, 2.5]), np.array([1.0, 2.0])) == np.inf
    differences = np.array([0.1, 0.3, 0.2])
    expected = differences.mean() / (differences.std(ddof=1) / 3**0.5)
    assert lead(differences, np.zeros(3)) == pytest.approx(expected)


def test_a_difference_may_be_below_zero() -> None:
    worse, better = np.array([0.1, 0.2, 0.3, 0.2]), np.array([0.4, 0.4, 0.5, 0.5])
    interval = mean_difference(worse, better, None)
    assert interval.value == pytest.approx(-0.25)
    assert -1 <= interval.low < -0.25 < interval.high < 0


def test_guards_say_what_was_found() -> None:
    utility = np.array([0.5, 0.6, 0.7])
    worse = ("head", utility - 0.1)
    assert negative_transfer("deep", utility, worse, None, None).verdict == "pass"
    assert negative_transfer("head", utility, None, ("deep", utility - 0.1), None).verdict == "rolled back"
    unclear = negative_transfer("deep", utility - 0.11, worse, None, None)
    assert unclear.verdict == "pass"
    assert "do not tell" in unclear.sentence
    asked = negative_transfer("deep", utility - 0.2, worse, None, None, asked_for=True)
    assert asked.verdict == "warn"
    assert "the recipe asks for it" in asked.sentence
    assert negative_transfer("head", np.full(3, 0.01), None, None, None).verdict == "failed"
    assert overfitting(0.95, np.full(8, 0.4), None).verdict == "warn"
    assert overfitting(0.6, np.full(8, 0.55), None).verdict == "pass"
    short = too_little_data({"cat": 3, "dog": 12}, {"cat": 1, "dog": 9}, None, None)
    assert short.verdict == "warn"
    assert "Fewer than 10 objects of cat (3)" in short.sentence
    assert too_little_data({"cat": 30}, {"cat": 20}, np.full(20, 0.5), None).verdict == "pass"


def test_folds_are_alike_in_their_share_of_each_class() -> None:
    truths = [objects(*([0] * (index % 3 + 1)), 1) for index in range(12)]
    for fold in detection_folds(truths, 3, 0):
        counts = Counter(box.label for index in fold.held_out for box in truths[index])
        assert counts[1] == 4
        assert 6 <= counts[0] <= 10


def test_objects_that_are_small_only_in_the_input_ask_for_a_larger_one() -> None:
    small = small_objects(np.array([18.0, 20.0, 22.0]), 320, 416 / 320)
    assert small.verdict == "warn"
    assert "20 of 320 pixels (median); set backbone.input_size to 384" in small.sentence
    tiny = small_objects(np.array([6.0]), 320, 416 / 320)
    assert "set backbone.input_size to 416" in tiny.sentence  # the images have no more pixels
    assert small_objects(np.array([20.0]), 320, 1.0).verdict == "pass"
    assert small_objects(np.array([90.0]), 320, 2.0).verdict == "pass"
