"""Average precision equals that of COCO's own tools, and draws of images equal repeated images."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from made_up_objects import detections, random_found, random_truths
from numpy.typing import NDArray

from edgetl.tasks.detection.average_precision import average_precision, drawn_precisions, over_classes
from edgetl.tasks.detection.detections import Detections
from edgetl.tasks.detection.match import EVERYTHING, IOU_THRESHOLDS, match, size_thirds
from edgetl.types import Box, Boxes

CLASSES = 3


def pycocotools_precisions(
    found: Sequence[Detections], truths: Sequence[Boxes], areas: Sequence[tuple[float, float]]
) -> Any:
    """(S, T, C) average precision, NaN for classes without objects."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    annotations = [
        {"image_id": image, "category_id": box.label + 1, "iscrowd": int(box.ignore), **_sized(box)}
        for image, boxes in enumerate(truths)
        for box in boxes
    ]
    coco = COCO()
    coco.dataset = {
        "images": [{"id": image} for image in range(len(truths))],
        "categories": [{"id": label + 1} for label in range(CLASSES)],
        "annotations": [{"id": number, **each} for number, each in enumerate(annotations, start=1)],
    }
    results = [
        {"image_id": image, "category_id": int(label) + 1, "score": float(score), "bbox": _as_sides(corners)}
        for image, objects in enumerate(found)
        for corners, score, label in zip(objects.boxes, objects.scores, objects.labels, strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(results), "bbox")
        evaluation.params.areaRng = [list(each) for each in areas]
        evaluation.params.areaRngLbl = [str(number) for number in range(len(areas))]
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][:, :, :, :, -1]  # (T, R, C, S)
    return np.where(precision < 0, np.nan, precision).mean(axis=1).transpose(2, 0, 1)


def _sized(box: Box) -> dict[str, object]:
    width, height = box.x1 - box.x0, box.y1 - box.y0
    return {"bbox": [box.x0, box.y0, width, height], "area": width * height}


def _as_sides(corners: NDArray[np.float32]) -> list[float]:
    x0, y0, x1, y1 = map(float, corners)
    return [x0, y0, x1 - x0, y1 - y0]


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("ignored", [0.0, 0.3])
def test_average_precision_equals_that_of_pycocotools(seed: int, ignored: float) -> None:
    truths = random_truths(25, CLASSES, seed, ignored=ignored)
    found = random_found(truths, CLASSES, seed + 100)
    areas = size_thirds(truths)
    assert len(areas) == 4
    expected = pycocotools_precisions(found, truths, areas)
    matches = match(found, truths, CLASSES, areas)
    for size in range(len(areas)):
        mine = average_precision(matches, size=size)
        np.testing.assert_allclose(mine.each, expected[size], rtol=0, atol=1e-12)
        assert mine.mean == pytest.approx(np.nanmean(expected[size]), abs=1e-12)
        assert mine.ap50 == pytest.approx(np.nanmean(expected[size][0]), abs=1e-12)


def test_only_the_hundred_best_objects_of_a_class_count_as_in_pycocotools() -> None:
    truths = random_truths(4, CLASSES, 5)
    found = random_found(truths, CLASSES, 6, most=900)
    assert max(np.bincount(objects.labels).max() for objects in found) > 100
    expected = pycocotools_precisions(found, truths, [EVERYTHING])
    mine = average_precision(match(found, truths, CLASSES))
    np.testing.assert_allclose(mine.each, expected[0], rtol=0, atol=1e-12)


def test_the_thresholds_are_those_of_coco() -> None:
    from pycocotools.cocoeval import Params

    assert tuple(Params("bbox").iouThrs) == IOU_THRESHOLDS


@pytest.mark.parametrize("size", range(4))
def test_a_weight_counts_an_image_that_often(size: int) -> None:
    truths = random_truths(12, CLASSES, 1)
    # no two scores are equal: ties are broken by the order of images, which repeating changes
    generator = np.random.default_rng(4)
    found = [
        Detections(each.boxes, np.sort(generator.random(each.labels.size).astype(np.float32))[::-1], each.labels)
        for each in random_found(truths, CLASSES, 2)
    ]
    areas = size_thirds(truths)
    weights = np.random.default_rng(3).multinomial(12, np.full(12, 1 / 12), size=5)
    matches = match(found, truths, CLASSES, areas)
    draws = over_classes(drawn_precisions(matches, weights.astype(np.float64), size=size))
    for row, drawn in zip(weights, draws, strict=True):
        repeated = np.repeat(np.arange(12), row)
        expected = average_precision(
            match([found[image] for image in repeated], [truths[image] for image in repeated], CLASSES, areas),
            size=size,
        )
        assert drawn == pytest.approx([expected.mean, expected.ap50], abs=1e-12, nan_ok=True)
        one = average_precision(matches, row.astype(np.float64), size=size)
        assert one.mean == pytest.approx(expected.mean, abs=1e-12, nan_ok=True)


def test_all_found_exactly_is_one_and_nothing_found_is_zero() -> None:
    truths: list[Boxes] = [(Box(0, 0, 10, 10, 0),), (Box(5, 5, 30, 20, 2), Box(40, 5, 50, 20, 0))]
    found = [
        detections([[box.x0, box.y0, box.x1, box.y1] for box in boxes], [0.5] * len(boxes), [b.label for b in boxes])
        for boxes in truths
    ]
    every = average_precision(match(found, truths, CLASSES))
    assert every.mean == pytest.approx(1.0, abs=1e-12)
    assert np.isnan(every.classes[1])
    nothing = average_precision(match([detections([], [], [])] * 2, truths, CLASSES))
    assert nothing.mean == 0.0


def test_objects_on_an_ignored_region_do_not_count() -> None:
    crowd = Box(0, 0, 100, 100, 0, ignore=True)
    truths: list[Boxes] = [(crowd, Box(200, 0, 220, 20, 0))]
    inside = [[10.0 * n, 10.0, 10.0 * n + 8, 30.0] for n in range(5)]
    found = [detections([*inside, [200, 0, 220, 20]], [0.9] * 5 + [0.5], [0] * 6)]
    assert average_precision(match(found, truths, 1)).mean == pytest.approx(1.0, abs=1e-12)


def test_an_image_of_background_only_counts_false_objects() -> None:
    truths: list[Boxes] = [(), (Box(0, 0, 10, 10, 0),)]
    found = [detections([[0, 0, 9, 9]], [0.9], [0]), detections([[0, 0, 10, 10]], [0.5], [0])]
    assert average_precision(match(found, truths, 1)).mean == pytest.approx(0.5, abs=1e-12)


def test_boxes_that_are_not_finite_match_nothing() -> None:
    truths: list[Boxes] = [(Box(0, 0, 10, 10, 0),)]
    bad = [[float("nan")] * 4, [0.0, 0.0, float("inf"), float("inf")], [0.0, 0.0, 10.0, 10.0]]
    found = [detections(bad, [0.9, 0.8, 0.7], [0, 0, 0])]
    assert average_precision(match(found, truths, 1)).mean == pytest.approx(1 / 3, abs=1e-12)


def test_a_label_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="labels below 1; found 1 in image 0"):
        match([detections([[0, 0, 1, 1]], [0.5], [1])], [()], 1)
    with pytest.raises(ValueError, match="found 0 and 1"):
        match([], [()], 1)


def test_every_third_of_the_sizes_has_a_third_of_the_objects() -> None:
    truths: list[Boxes] = [tuple(Box(0, 0, side, side, 0) for side in range(1, 10)), (Box(0, 0, 99, 99, 0, True),)]
    areas = size_thirds(truths)
    matches = match([detections([], [], [])] * 2, truths, 1, areas)
    assert matches.truths.sum(axis=(1, 2)).tolist() == [9, 3, 3, 3]
    assert size_thirds([()]) == (EVERYTHING,)
