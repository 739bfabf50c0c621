"""Objects that held-out detectors find surely where nobody labeled one."""

from __future__ import annotations

import numpy as np

from edgetl.adapt.detection.unlabeled import MOST, unlabeled
from edgetl.tasks.detection.detections import Detections
from edgetl.types import Box, Boxes, Sample

CLASSES = ("cell", "plate")


def sample(name: str, *boxes: Box) -> Sample:
    return Sample(name, boxes, "0" * 64)


def found(*objects: tuple[float, float, float, float, float, int]) -> Detections:
    rows = np.array(sorted(objects, key=lambda each: -each[4]), np.float32).reshape(-1, 6)
    return Detections(rows[:, :4], rows[:, 4], rows[:, 5].astype(np.int64))


LABELED: Boxes = (Box(0, 0, 20, 20, 0), Box(40, 0, 60, 20, 0), Box(80, 0, 100, 20, 0))
AS_LABELED = ((0, 0, 20, 20, 0.9, 0), (40, 0, 60, 20, 0.5, 0), (80, 0, 100, 20, 0.4, 0))


def test_a_sure_object_without_a_label_is_listed() -> None:
    (one,) = unlabeled([sample("a.png", *LABELED)], [found(*AS_LABELED, (0, 60, 20, 80, 0.6, 1))], CLASSES)
    assert (one.image, one.label, one.corners) == ("a.png", "plate", (0.0, 60.0, 20.0, 80.0))
    assert abs(one.score - 0.6) < 1e-6


def test_one_that_is_less_sure_than_half_of_the_labeled_ones_is_not() -> None:
    assert unlabeled([sample("a.png", *LABELED)], [found(*AS_LABELED, (0, 60, 20, 80, 0.45, 1))], CLASSES) == ()


def test_a_badly_drawn_box_another_class_and_a_part_of_an_object_are_labeled() -> None:
    near = ((10, 0, 30, 20, 0.8, 0), (40, 0, 60, 20, 0.8, 1), (82, 2, 90, 8, 0.8, 0))
    assert unlabeled([sample("a.png", *LABELED)], [found(*AS_LABELED, *near)], CLASSES) == ()


def test_an_ignored_region_has_no_unlabeled_objects() -> None:
    crowd = Box(0, 50, 100, 100, 0, ignore=True)
    assert unlabeled([sample("a.png", *LABELED, crowd)], [found(*AS_LABELED, (0, 60, 20, 80, 0.8, 1))], CLASSES) == ()


def test_a_place_counts_once_whatever_its_class() -> None:
    twice = ((0, 60, 20, 80, 0.8, 0), (1, 60, 20, 80, 0.7, 1), (50, 60, 70, 80, 0.95, 0))
    listed = unlabeled([sample("a.png", *LABELED)], [found(*AS_LABELED, *twice)], CLASSES)
    assert [(each.label, each.corners[0]) for each in listed] == [("cell", 50.0), ("cell", 0.0)]


def test_the_surest_of_all_images_are_listed() -> None:
    samples = [sample(f"{number}.png", *LABELED) for number in range(MOST + 5)]
    each = [found(*AS_LABELED, (0, 60, 20, 80, 0.6 + 0.01 * number, 1)) for number in range(MOST + 5)]
    listed = unlabeled(samples, each, CLASSES)
    assert [suspect.image for suspect in listed] == [f"{number}.png" for number in range(MOST + 4, 4, -1)]


def test_nothing_is_sure_if_no_labeled_object_was_found() -> None:
    assert unlabeled([sample("a.png", *LABELED)], [found((0, 60, 20, 80, 0.99, 1))], CLASSES) == ()
    assert unlabeled([sample("a.png")], [found()], CLASSES) == ()
