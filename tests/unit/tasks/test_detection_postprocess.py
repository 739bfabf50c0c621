from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from edgetl.tasks.detection.detections import Detections, Postprocess
from edgetl.tasks.detection.postprocess import postprocess
from edgetl.types.frames import Frame

SAME_SIZE = Frame(height=100, width=100, rows=100, columns=100, top=0, left=0)
SETTINGS = Postprocess(score_threshold=0.25, iou_threshold=0.5)


def found(boxes: object, scores: object, settings: Postprocess = SETTINGS, frame: Frame = SAME_SIZE) -> Detections:
    one = postprocess(np.array([boxes], np.float32), np.array([scores], np.float32), [frame], settings)
    return one[0]


def test_scores_from_the_threshold_on_are_reported_best_first() -> None:
    objects = found([[0, 0, 10, 10], [20, 20, 30, 30], [40, 40, 50, 50]], [[0.25], [0.2499], [0.75]])
    assert objects.boxes.tolist() == [[40, 40, 50, 50], [0, 0, 10, 10]]
    assert objects.scores.tolist() == [0.75, 0.25]
    assert [objects.boxes.dtype, objects.scores.dtype, objects.labels.dtype] == [np.float32, np.float32, np.int64]


def test_of_two_overlapping_boxes_of_a_class_the_better_one_is_kept() -> None:
    objects = found([[0, 0, 10, 10], [0, 0, 10, 9]], [[0.5, 0.8], [0.6, 0.3]])
    assert list(zip(objects.labels, objects.boxes[:, 3], strict=True)) == [(1, 10), (0, 9)]


def test_an_overlap_of_exactly_the_limit_is_allowed() -> None:
    half = [[0, 0, 10, 10], [0, 0, 10, 5]]
    assert len(found(half, [[0.9], [0.8]]).scores) == 2
    assert len(found(half, [[0.9], [0.8]], dataclasses.replace(SETTINGS, iou_threshold=0.49)).scores) == 1


def test_a_suppressed_box_suppresses_nothing() -> None:
    chain = [[0, 0, 10, 10], [3, 0, 13, 10], [6, 0, 16, 10]]  # overlaps of neighbors: 0.54; of the ends: 0.25
    assert found(chain, [[0.9], [0.8], [0.7]]).boxes[:, 0].tolist() == [0, 6]


def test_equal_scores_are_taken_in_the_order_of_their_index() -> None:
    apart = [[10 * i, 0, 10 * i + 5, 5] for i in range(10)]
    objects = found(apart, [[0.5, 0.5]] * 10, dataclasses.replace(SETTINGS, max_candidates=5))
    assert objects.boxes[:, 0].tolist() == [0, 0, 10, 10, 20]
    assert objects.labels.tolist() == [0, 1, 0, 1, 0]


def test_a_candidate_that_is_not_finite_is_left_out() -> None:
    nan, inf = float("nan"), float("inf")
    boxes = [[0, 0, 5, 5], [10, 0, 15, 5], [20, 0, 25, 5], [nan, 0, 35, 5], [40, 0, inf, 5], [50, 0, 55, 5]]
    objects = found(boxes, [[nan], [inf], [-inf], [0.9], [0.9], [0.5]])
    assert objects.boxes.tolist() == [[50, 0, 55, 5]]


def test_nothing_above_the_threshold_gives_no_objects() -> None:
    objects = found([[0, 0, 5, 5]], [[0.1, 0.2]])
    assert objects.boxes.shape == (0, 4)
    assert objects.scores.shape == objects.labels.shape == (0,)


def test_no_images_give_no_detections() -> None:
    assert postprocess(np.zeros((0, 7, 4), np.float32), np.zeros((0, 7, 2), np.float32), [], SETTINGS) == ()


def test_one_anchor_may_be_an_object_of_several_classes() -> None:
    assert found([[1, 2, 3, 4]], [[0.5, 0.1, 0.9]]).labels.tolist() == [2, 0]


@pytest.mark.parametrize("box", [[5, 5, 5, 5], [5, 5, 5, 9], [9, 9, 5, 5], [9, 5, 5, 9]])
def test_boxes_without_area_suppress_nothing(box: list[int]) -> None:
    assert len(found([box, box, [4, 4, 10, 10]], [[0.9], [0.8], [0.7]]).scores) == 3


def test_huge_boxes_are_clipped_to_the_image() -> None:
    objects = found([[-3e38, -3e38, 3e38, 3e38]] * 2, [[0.9], [0.8]])
    assert objects.boxes.tolist() == [[0, 0, 100, 100]] * 2  # their areas are infinite: no overlap can be said


def test_the_limit_of_candidates_counts_before_suppression_and_that_of_detections_after() -> None:
    boxes = [[0, 0, 10, 10], [0, 0, 10, 10], [50, 50, 60, 60], [70, 70, 80, 80]]
    scores = [[0.9], [0.8], [0.7], [0.6]]
    limits = [dataclasses.replace(SETTINGS, max_candidates=2), dataclasses.replace(SETTINGS, max_detections=2)]
    assert [found(boxes, scores, limit).boxes[:, 0].tolist() for limit in limits] == [[0], [0, 50]]


def test_boxes_return_to_the_pixels_of_their_image() -> None:
    frame = Frame(height=50, width=200, rows=25, columns=100, top=37, left=0)
    assert found([[10, 47, 20, 57]], [[0.9]], frame=frame).boxes.tolist() == [[20, 20, 40, 40]]


def test_each_image_has_its_own_frame() -> None:
    boxes, scores = np.array([[[0, 0, 10, 10]]] * 2, np.float32), np.full((2, 1, 1), 0.9, np.float32)
    doubled = Frame(height=200, width=200, rows=100, columns=100, top=0, left=0)
    ends = [one.boxes[0, 2] for one in postprocess(boxes, scores, [SAME_SIZE, doubled], SETTINGS)]
    assert ends == [10, 20]


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected boxes \(N, A, 4\)"):
        postprocess(np.zeros((1, 5, 4), np.float32), np.zeros((1, 6, 2), np.float32), [SAME_SIZE], SETTINGS)
    with pytest.raises(ValueError, match="and 0"):
        postprocess(np.zeros((1, 5, 4), np.float32), np.zeros((1, 5, 2), np.float32), [], SETTINGS)


@pytest.mark.parametrize("seed", range(30))
def test_random_outputs_give_what_the_rule_says_word_by_word(seed: int) -> None:
    rng = np.random.default_rng(seed)
    corner, size = rng.uniform(0, 60, (80, 2)), rng.uniform(-2, 40, (80, 2))
    boxes = np.concatenate([corner, corner + size], axis=1).astype(np.float32)
    scores = (np.round(rng.uniform(0, 1, (80, 3)) * 20) / 20).astype(np.float32)  # many ties
    settings = Postprocess("detection", 0.3, 0.4, int(rng.integers(1, 300)), int(rng.integers(1, 40)))
    objects = found(boxes, scores, settings)
    expected = word_by_word(boxes, scores, settings)
    assert list(zip(objects.scores.tolist(), objects.labels.tolist(), objects.boxes.tolist(), strict=True)) == expected


def word_by_word(
    boxes: NDArray[np.float32], scores: NDArray[np.float32], settings: Postprocess
) -> list[tuple[float, int, list[float]]]:
    pairs = [(a, c) for a in range(len(boxes)) for c in range(scores.shape[1])]
    threshold, limit = np.float32(settings.score_threshold), np.float32(settings.iou_threshold)
    pairs = sorted((p for p in pairs if scores[p] >= threshold), key=lambda p: (-scores[p], p))
    kept: list[tuple[int, int]] = []
    for a, c in pairs[: settings.max_candidates]:
        others = [boxes[b] for b, label in kept if label == c]
        if not any(overlap(boxes[a], other) > limit * union(boxes[a], other) for other in others):
            kept.append((a, c))
    return [(float(scores[a, c]), c, _clipped(boxes[a])) for a, c in kept[: settings.max_detections]]


def overlap(a: NDArray[np.float32], b: NDArray[np.float32]) -> np.float32:
    w = max(np.float32(0), min(a[2], b[2]) - max(a[0], b[0]))
    return np.float32(w * max(np.float32(0), min(a[3], b[3]) - max(a[1], b[1])))


def union(a: NDArray[np.float32], b: NDArray[np.float32]) -> np.float32:
    return np.float32((overlap(a, a) + overlap(b, b)) - overlap(a, b))


def _clipped(box: NDArray[np.float32]) -> list[float]:
    return [float(min(max(value, np.float32(0)), np.float32(100))) for value in box]
