"""How far boxes and scores are from the expected ones, and which places show the same object."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from edgetl.errors import ParityError
from edgetl.tasks.base import Outputs
from edgetl.tasks.detection.closeness import agreeing, compare, distance


def outputs(boxes: Sequence[Sequence[float]], scores: Sequence[Sequence[float]]) -> Outputs:
    """Of one image."""
    return {"boxes": np.array([boxes], np.float32), "scores": np.array([scores], np.float32)}


LEFT, RIGHT, FAR = [0, 0, 20, 20], [40, 0, 60, 20], [80, 80, 90, 90]
EXPECTED = outputs([LEFT, RIGHT, FAR], [[0.9, 0.0], [0.1, 0.8], [0.01, 0.0]])


def test_equal_outputs_are_at_no_distance() -> None:
    assert distance(EXPECTED, EXPECTED).tolist() == [0.0]
    assert agreeing(EXPECTED, EXPECTED) == (2, 2)


def test_scores_and_corners_count_by_the_larger_difference() -> None:
    found = outputs([LEFT, [42, 0, 62, 20], FAR], [[0.7, 0.0], [0.1, 0.8], [0.01, 0.0]])
    # 0.2 of the score, 2 of 20 pixels
    assert distance(found, EXPECTED)[0] == pytest.approx(np.sqrt((0.2**2 + 0.1**2) / 2), rel=1e-4)


def test_places_without_an_object_do_not_count() -> None:
    found = outputs([LEFT, RIGHT, LEFT], [[0.9, 0.0], [0.1, 0.8], [0.04, 0.03]])
    assert distance(found, EXPECTED)[0] == 0


def test_objects_in_another_order_are_the_same_objects() -> None:
    order = [1, 2, 0]
    found = {name: values[:, order] for name, values in EXPECTED.items()}
    assert distance(found, EXPECTED)[0] == 0
    assert agreeing(found, EXPECTED) == (2, 2)


def test_an_object_that_only_one_of_the_two_finds_counts_in_both_directions() -> None:
    lost = outputs([LEFT, RIGHT, FAR], [[0.9, 0.0], [0.0, 0.0], [0.01, 0.0]])
    assert distance(lost, EXPECTED)[0] == pytest.approx(np.sqrt(0.8**2 / 3), rel=1e-4)
    assert distance(EXPECTED, lost)[0] == pytest.approx(np.sqrt(0.8**2 / 3), rel=1e-4)


def test_a_box_that_is_elsewhere_is_no_further_than_all_of_the_range() -> None:
    found = outputs([[500, 500, 520, 520], RIGHT, FAR], [[0.9, 0.0], [0.1, 0.8], [0.01, 0.0]])
    assert distance(found, EXPECTED)[0] == pytest.approx(np.sqrt(0.5), rel=1e-4)


def test_an_object_of_another_class_does_not_agree() -> None:
    found = outputs([LEFT, RIGHT, FAR], [[0.9, 0.0], [0.8, 0.1], [0.01, 0.0]])
    assert agreeing(found, EXPECTED) == (1, 2)


def test_an_image_without_objects_is_at_no_distance() -> None:
    nothing = outputs([LEFT], [[0.0, 0.0]])
    assert distance(nothing, nothing)[0] == 0
    assert agreeing(nothing, nothing) == (0, 0)


def test_an_exported_model_may_order_its_places_otherwise() -> None:
    found = {name: values[:, [1, 2, 0]] for name, values in EXPECTED.items()}
    close = compare(found, EXPECTED, kind="float32", where="m.onnx")
    assert (close.difference, close.agreement) == (0.0, 1.0)


@pytest.mark.parametrize(
    "found",
    [
        outputs([LEFT, RIGHT, FAR], [[0.9, 0.0], [0.1, 0.8], [0.6, 0.0]]),  # one too many
        outputs([LEFT, RIGHT, FAR], [[0.9, 0.0], [0.1, 0.1], [0.01, 0.0]]),  # one is lost
        outputs([LEFT, [40, 5, 60, 25], FAR], [[0.9, 0.0], [0.1, 0.8], [0.01, 0.0]]),  # one is elsewhere
    ],
)
def test_an_exported_model_that_finds_other_objects_is_refused(found: Outputs) -> None:
    with pytest.raises(ParityError, match=r"m\.onnx: the ONNX model differs"):
        compare(found, EXPECTED, kind="float32", where="m.onnx")
