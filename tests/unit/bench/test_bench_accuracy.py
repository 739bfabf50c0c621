from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgetl.errors import BackendError
from edgetl.tasks.base import load_task
from edgetl.tasks.classification.accuracy import compare, stratified
from edgetl.tasks.running import answer_all
from edgetl.types import Placement


class Means:
    """An engine whose logits are the image's color means."""

    def infer(self, inputs: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        return {"logits": inputs["image"].mean(axis=(1, 2)).astype(np.float32)}

    def placement(self) -> Placement:
        return Placement(())


class Wrong(Means):
    def __init__(self, outputs: Mapping[str, NDArray[Any]]) -> None:
        self.outputs = outputs

    def infer(self, inputs: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        return self.outputs


def one_hot(classes: list[int], scale: float = 1.0) -> NDArray[np.float32]:
    return np.asarray(np.eye(3, dtype=np.float32)[classes] * scale, dtype=np.float32)


TASK = load_task("classification")
LABELS = np.array([0, 1, 2, 0])


def test_predict_keeps_the_order_over_batches_of_different_size() -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 4, 4, 3), dtype=np.uint8)
    logits = answer_all(TASK, {"": Means()}, [images[:3], images[3:]])[""]
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, images.mean(axis=(1, 2)), rtol=1e-6)


def test_several_engines_read_the_images_once() -> None:
    reads: list[int] = []

    def batches() -> Any:
        for number in range(3):
            reads.append(number)
            yield np.zeros((2, 4, 4, 3), np.uint8)

    logits = answer_all(TASK, {"a": Means(), "b": Means()}, batches())
    assert reads == [0, 1, 2]
    assert {name: rows.shape for name, rows in logits.items()} == {"a": (6, 3), "b": (6, 3)}


def test_a_missing_output_is_named() -> None:
    with pytest.raises(BackendError, match="int8 build: the model has no output named `logits`"):
        answer_all(TASK, {"int8": Wrong({"scores": np.zeros((1, 2))})}, [np.zeros((1, 2, 2, 3), np.uint8)])


def test_logits_of_another_shape_are_refused_with_both_shapes() -> None:
    with pytest.raises(BackendError, match=r"expected logits of shape \(2, ...\); the runtime returned \(1, 3\)"):
        answer_all(TASK, {"": Wrong({"logits": np.zeros((1, 3))})}, [np.zeros((2, 2, 2, 3), np.uint8)])


def test_no_image_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one batch"):
        answer_all(TASK, {"": Means()}, [])


def test_a_build_that_loses_one_of_four_images_drops_25_points() -> None:
    found = compare(one_hot([0, 1, 1, 0]), LABELS, one_hot([0, 1, 2, 0]))
    assert found.images == 4
    assert found.top1.value == 0.75
    assert found.drop_points.value == 25.0
    assert found.drop_points.low < 0 < found.drop_points.high
    assert found.agreement.value == 0.75
    assert found.confusion == ((2, 0, 0), (0, 1, 0), (0, 1, 0))
    assert found.macro_f1.value == pytest.approx((1 + 2 / 3 + 0) / 3)


def test_a_build_that_is_better_has_a_negative_drop() -> None:
    assert compare(one_hot([0, 1, 2, 0]), LABELS, one_hot([0, 1, 2, 2])).drop_points.value == -25.0


def test_closeness_is_the_largest_difference_and_the_mean_cosine() -> None:
    reference = one_hot([0, 1, 2, 0])
    found = compare(one_hot([0, 1, 2, 0], scale=1.5), LABELS, reference)
    assert found.max_abs_diff == 0.5
    assert found.mean_cosine == pytest.approx(1.0)
    turned = compare(one_hot([0, 1, 2, 1]), LABELS, reference)
    assert turned.mean_cosine == pytest.approx(0.75)


def test_nan_logits_are_wrong_answers_and_are_counted() -> None:
    logits = one_hot([0, 1, 2, 0])
    logits[0, 0] = np.nan
    logits[1, 1] = np.inf
    found = compare(logits, LABELS, one_hot([0, 1, 2, 0]))
    assert found.not_finite == 2
    assert found.top1.value == 0.5
    assert found.agreement.value == 0.5
    assert found.max_abs_diff == 0
    assert sum(map(sum, found.confusion)) == 2


def test_only_nan_logits_still_make_a_result() -> None:
    found = compare(np.full((4, 3), np.nan, np.float32), LABELS, one_hot([0, 1, 2, 0]))
    assert (found.top1.value, found.mean_cosine, found.not_finite) == (0.0, 0.0, 4)


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="of one shape"):
        compare(one_hot([0]), LABELS, one_hot([0, 1, 2, 0]))


def test_stratified_takes_classes_in_turn() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1, 2])
    assert stratified(labels, 3).tolist() == [0, 4, 6]
    assert stratified(labels, 5).tolist() == [0, 4, 6, 1, 5]
    assert stratified(labels, 100).tolist() == [0, 4, 6, 1, 5, 2, 3]


@settings(deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(1, 60))
def test_a_stratified_draw_never_takes_a_class_twice_more_than_another_that_has_more(
    labels: list[int], count: int
) -> None:
    array = np.array(labels)
    picked = array[stratified(array, count)]
    assert len(picked) == min(count, len(labels))
    for label in set(labels):
        taken, there = int((picked == label).sum()), labels.count(label)
        if taken < there:
            assert all(int((picked == other).sum()) <= taken + 1 for other in set(labels))
