"""Found objects against labeled ones, as COCO matches them; all statistics of detection start from the result.

Source: T.-Y. Lin et al. 2014, "Microsoft COCO: Common Objects in Context", and its evaluation tools, whose rules for
ties are kept: of two truths with the same overlap the later one is taken, and of two objects with the same score the
one of the earlier image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgetl.tasks.detection.detections import Detections

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgetl.types import Boxes

    Floats = NDArray[np.float64]

IOU_THRESHOLDS = tuple(float(iou) for iou in np.linspace(0.5, 0.95, 10))
MOST_OBJECTS = 100
"""Of each class in an image, best score first; further ones do not count."""
FALSE, HIT, IGNORED = 0, 1, 2

EVERYTHING = (0.0, float("inf"))


@dataclass(frozen=True)
class Matches:
    """Found objects against labeled ones, for S ranges of size and the T thresholds of overlap.

    image, label  int64 (D,): of each found object, best score first
    score         float32 (D,)
    outcome       int8 (S, T, D): FALSE, HIT, or IGNORED: on an ignored region, or not of this size
    truths        int64 (S, N, C): labeled objects that count, by image and class
    areas         the S ranges in square pixels of the image, with both ends; the first one is everything
    """

    image: NDArray[np.int64]
    label: NDArray[np.int64]
    score: NDArray[np.float32]
    outcome: NDArray[np.int8]
    truths: NDArray[np.int64]
    areas: tuple[tuple[float, float], ...] = (EVERYTHING,)

    @property
    def images(self) -> int:
        return int(self.truths.shape[1])

    @property
    def classes(self) -> int:
        return int(self.truths.shape[2])


def match(
    found: Sequence[Detections],
    truths: Sequence[Boxes],
    classes: int,
    areas: tuple[tuple[float, float], ...] = (EVERYTHING,),
) -> Matches:
    """Match the objects found in image i with its labeled ones, `truths[i]`, class by class, best score first.

    areas  ranges of size, such as those of `size_thirds`: labeled objects of another size are ignored, and so are found
           ones that match none and are of another size
    Raises ValueError if the lengths differ or a label is not below `classes`.
    """
    if len(found) != len(truths):
        raise ValueError(f"expected objects and truths of the same images; found {len(found)} and {len(truths)}")
    counted = np.zeros((len(areas), len(truths), classes), np.int64)
    rows: list[tuple[NDArray[np.float32], NDArray[np.int8]]] = []
    image: list[int] = []
    label: list[int] = []
    for index, (objects, boxes) in enumerate(zip(found, truths, strict=True)):
        for each in sorted({*objects.labels.tolist(), *(box.label for box in boxes)}):
            if not 0 <= each < classes:
                raise ValueError(f"expected labels below {classes}; found {each} in image {index}")
            truth = _Truths.of(boxes, each, areas)
            counted[:, index, each] = truth.counts.sum(axis=1)
            scores, corners = _best(objects, each)
            if scores.size:
                rows.append((scores, _outcome(corners, truth, areas)))
                image += [index] * scores.size
                label += [each] * scores.size
    empty = np.zeros((len(areas), len(IOU_THRESHOLDS), 0), np.int8)
    score = np.concatenate([np.zeros(0, np.float32), *(scores for scores, _ in rows)])
    order = np.argsort(-score.astype(np.float64), kind="stable")
    return Matches(
        image=np.array(image, np.int64)[order],
        label=np.array(label, np.int64)[order],
        score=score[order],
        outcome=np.concatenate([empty, *(outcome for _, outcome in rows)], axis=2)[:, :, order],
        truths=counted,
        areas=areas,
    )


def size_thirds(truths: Sequence[Boxes]) -> tuple[tuple[float, float], ...]:
    """Everything, then the three ranges of area that hold a third each of the labeled objects that count."""
    sizes = np.sort([(box.x1 - box.x0) * (box.y1 - box.y0) for boxes in truths for box in boxes if not box.ignore])
    if not sizes.size:
        return (EVERYTHING,)
    low, high = (float(sizes[-(-sizes.size * third // 3) - 1]) for third in (1, 2))
    above = [float(np.nextafter(edge, np.inf)) for edge in (low, high)]
    return (EVERYTHING, (0.0, low), (above[0], high), (above[1], float("inf")))


@dataclass(frozen=True)
class _Truths:
    """The objects of one class in an image.

    corners  float64 (G, 4);  ignored  bool (G,): regions, which any number of objects may match
    counts   bool (S, G): whether they count, for each range of size
    """

    corners: Floats
    ignored: NDArray[np.bool_]
    counts: NDArray[np.bool_]

    @staticmethod
    def of(boxes: Boxes, label: int, areas: Sequence[tuple[float, float]]) -> _Truths:
        mine = [box for box in boxes if box.label == label]
        corners = np.array([(box.x0, box.y0, box.x1, box.y1) for box in mine], np.float64).reshape(-1, 4)
        ignored = np.array([box.ignore for box in mine], np.bool_)
        size = _area(corners)
        inside = np.array([(size >= low) & (size <= high) for low, high in areas], np.bool_)
        return _Truths(corners, ignored, inside & ~ignored)


def _best(objects: Detections, label: int) -> tuple[NDArray[np.float32], Floats]:
    """Scores (K,) and corners (K, 4) of the objects of a class that are looked at, best score first."""
    mine = np.flatnonzero(objects.labels == label)
    order = mine[np.argsort(-objects.scores[mine].astype(np.float64), kind="stable")][:MOST_OBJECTS]
    return objects.scores[order], objects.boxes[order].astype(np.float64)


def _outcome(corners: Floats, truth: _Truths, areas: Sequence[tuple[float, float]]) -> NDArray[np.int8]:
    """int8 (S, T, K) of the objects (K, 4), which take their truths in turn."""
    shared = overlaps(corners, truth.corners, truth.ignored)
    sizes = _area(corners)
    outside = np.array([(sizes < low) | (sizes > high) for low, high in areas], np.bool_)
    outcome = np.where(outside[:, None, :], IGNORED, FALSE).astype(np.int8)
    outcome = np.repeat(outcome, len(IOU_THRESHOLDS), axis=1)
    taken = np.zeros((len(areas), len(IOU_THRESHOLDS), len(truth.ignored)), np.bool_)
    for each in np.flatnonzero((shared >= IOU_THRESHOLDS[0]).any(axis=1)):
        _take(shared[each], truth, taken, outcome[:, :, each])
    return outcome


def _take(overlap: Floats, truth: _Truths, taken: NDArray[np.bool_], outcome: NDArray[np.int8]) -> None:
    """Give an object the free truth that it overlaps most, one that counts before one that is ignored.

    overlap (G,); taken (S, T, G) and outcome (S, T) are updated
    """
    enough = overlap >= np.array(IOU_THRESHOLDS)[:, None]
    free = enough & (~taken | truth.ignored)
    counting = free & truth.counts[:, None, :]
    choice = np.where(counting.any(axis=2, keepdims=True), counting, free)
    ranked = np.where(choice, overlap, -1.0)
    best = overlap.size - 1 - ranked[:, :, ::-1].argmax(axis=2)
    ranges, thresholds = np.nonzero(choice.any(axis=2))
    chosen = best[ranges, thresholds]
    taken[ranges, thresholds, chosen] = True
    outcome[ranges, thresholds] = np.where(truth.counts[ranges, chosen], HIT, IGNORED)


def overlaps(found: Floats, truth: Floats, ignored: NDArray[np.bool_]) -> Floats:
    """(K, G): intersection over union, over the area of the found object for ignored regions."""
    with np.errstate(all="ignore"):  # the boxes of a build may be infinite
        ends = np.minimum(found[:, None, 2:], truth[None, :, 2:])
        sides = np.maximum(ends - np.maximum(found[:, None, :2], truth[None, :, :2]), 0.0)
        shared = sides[:, :, 0] * sides[:, :, 1]
        own = _area(found)[:, None]
        whole = np.where(ignored, own, own + _area(truth)[None, :] - shared)
        ratio: Floats = np.where(shared > 0, shared / whole, 0.0)
    return ratio


def _area(corners: Floats) -> Floats:
    with np.errstate(all="ignore"):
        area: Floats = (corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])
    return area
