"""How far boxes and scores are from the expected ones: whether an exported model is its torch network, and by how much
another computation of it differs.

In two-stage networks the order of places depends on the scores of regions, so small differences exchange them: places
are compared with their partners. Only places where something may be found count: boxes of the many others are noise.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from edgetl.errors import ParityError
from edgetl.tasks.base import Closeness, Outputs
from edgetl.tasks.detection.detections import BOXES, SCORES
from edgetl.types import ModelKind

_SAME = 0.5  # overlap (IoU) of two boxes, from which on a place is its own partner

Floats = NDArray[np.float64]


def partners(boxes: Floats, others: Floats, asked: NDArray[np.bool_], offered: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(N, A): for each place of `boxes` (N, A, 4) the place of `others` (N, A, 4) that shows the same object.

    asked, offered  (N, A): places with an object; all others are their own partners, as are places whose boxes overlap
                    by half. The others' partner is the offered one with the largest overlap, if that is larger.
    """
    found = np.tile(np.arange(boxes.shape[1]), (len(boxes), 1))
    own = _overlaps(boxes, others)
    for image in range(len(boxes)):
        places, choice = np.flatnonzero(asked[image] & (own[image] < _SAME)), np.flatnonzero(offered[image])
        if places.size and choice.size:
            overlaps = _overlaps(boxes[image, places][:, None], others[image, choice][None])
            better = overlaps.max(axis=1) > own[image, places]
            found[image, places[better]] = choice[overlaps.argmax(axis=1)[better]]
    return found


def _overlaps(first: Floats, second: Floats) -> Floats:
    """Intersection over union of boxes (..., 4), broadcast; 0 for boxes without area."""
    low, high = np.maximum(first[..., :2], second[..., :2]), np.minimum(first[..., 2:], second[..., 2:])
    shared = np.maximum(high - low, 0).prod(axis=-1)
    areas = [np.maximum(each[..., 2:] - each[..., :2], 0).prod(axis=-1) for each in (first, second)]
    union = areas[0] + areas[1] - shared
    overlaps: Floats = np.divide(shared, union, out=np.zeros(union.shape), where=union > 0)
    return overlaps


_POSSIBLE, _SURE = 0.05, 0.25
# float differs by the order of sums only; of INT8 a step that rounds the other way travels on
_TOLERANCES: dict[ModelKind, float] = {"int8": 0.10, "mixed": 0.10, "float16": 2e-2, "float32": 1e-3}
_LARGEST = 0.25
_LEFT_OUT = 0.05
_LEAST_AGREEMENT = 0.95
_SMALLEST_SIDE = 1.0  # pixels


def differences(found: Outputs, expected: Outputs) -> NDArray[np.float64]:
    """(N, A): at each place the larger of two differences, 0 where neither has a score of 0.05: of the scores, and,
    where both are sure of an object, of the corners as a share of the box's longer side."""
    scores, true_scores = (each[SCORES].astype(np.float64) for each in (found, expected))
    boxes, true_boxes = (each[BOXES].astype(np.float64) for each in (found, expected))
    best, true_best = scores.max(axis=2), true_scores.max(axis=2)
    off = np.abs(scores - true_scores).max(axis=2)
    sides = (true_boxes[..., 2:] - true_boxes[..., :2]).max(axis=2)
    moved = np.abs(boxes - true_boxes).max(axis=2) / np.maximum(sides, _SMALLEST_SIDE)
    sure = np.minimum(best, true_best) >= _SURE
    worst: NDArray[np.float64] = np.where(sure, np.maximum(off, moved), off)
    return np.where(np.maximum(best, true_best) >= _POSSIBLE, worst, 0.0)


def distance(found: Outputs, expected: Outputs) -> NDArray[np.float64]:
    """(N,): root mean square of the differences over the places of an image where something may be found: those of
    `expected` with their partners in `found`, and the other way round. A difference counts as 1 at most. Scores range
    from 0 to 1, so this is a share of their spread."""
    squares, counts = np.zeros(len(found[SCORES])), np.zeros(len(found[SCORES]))
    for each, counted in _both_ways(found, expected):
        squares += (np.where(counted, np.minimum(each, 1.0), 0.0) ** 2).sum(axis=1)
        counts += counted.sum(axis=1)
    rms: NDArray[np.float64] = np.sqrt(squares / np.maximum(counts, 1))
    return rms


def agreeing(found: Outputs, expected: Outputs) -> tuple[int, int]:
    """(same, all): of the places where an object surely is, how many have its class at their partner."""
    scores, true_scores = _at_partners(found, expected)[SCORES], expected[SCORES]
    sure = true_scores.max(axis=2) >= _SURE
    same = (scores.argmax(axis=2) == true_scores.argmax(axis=2)) & sure
    return int(same.sum()), int(sure.sum())


def _both_ways(found: Outputs, expected: Outputs) -> Iterator[tuple[NDArray[np.float64], NDArray[np.bool_]]]:
    """(N, A) differences and which of them count: of the places where something is expected, from their partners, and
    of those where something was found."""
    pairs = (
        (expected, _at_partners(found, expected), expected),
        (found, found, _at_partners(expected, found)),
    )
    for places, first, second in pairs:
        yield differences(first, second), places[SCORES].max(axis=2) >= _POSSIBLE


def _at_partners(outputs: Outputs, of: Outputs) -> Outputs:
    """`outputs` at the partner of each place of `of`."""
    boxes, others = (each[BOXES].astype(np.float64) for each in (of, outputs))
    possible = [each[SCORES].max(axis=2) >= _POSSIBLE for each in (of, outputs)]
    index = partners(boxes, others, *possible)[..., None]
    return {name: np.take_along_axis(outputs[name], index, axis=1) for name in (BOXES, SCORES)}


def compare(
    found: Outputs, expected: Outputs, *, kind: ModelKind, where: str, exact: Outputs | None = None
) -> Closeness:
    """Compare an exported model with its torch network.

    exact  the float network's outputs. Two computations of one INT8 network that break rounding ties differently are
           two draws of its rounding error, so they may differ by as much as rounding moved `expected` away from these,
           up to a quarter.
    Of INT8 and float16 the largest twentieth of the differences is left out: a place at the edge of two objects may go
    to either, and of two regions that are nearly as good a two-stage network may keep the other.
    raises  ParityError with the numbers, the model and what to do.
    """
    if any(found[name].shape != expected[name].shape for name in (BOXES, SCORES)):
        shapes = [tuple(each[BOXES].shape) for each in (expected, found)]
        raise ParityError(f"{where}: expected boxes of shape {shapes[0]}, found {shapes[1]}; export again")
    rounded = kind != "float32"
    tolerance = _TOLERANCES[kind]
    if exact is not None:
        tolerance = max(tolerance, min(_largest(expected, exact, rounded), _LARGEST))
    difference = _largest(found, expected, rounded)
    same, objects = agreeing(found, expected)
    agreement = same / objects if objects else 1.0
    finite = all(np.isfinite(found[name]).all() for name in (BOXES, SCORES))
    if not (finite and difference <= tolerance and agreement >= _LEAST_AGREEMENT):
        raise ParityError(
            f"{where}: the ONNX model differs from the torch network on {len(found[SCORES])} images: scores and boxes "
            f"differ by up to {difference:.3g} (allowed {tolerance:.3g}), the class agrees for {100 * agreement:.1f} % "
            "of the objects; quantize or export again, or report this detector"
        )
    return Closeness(difference, tolerance, agreement)


def _largest(found: Outputs, expected: Outputs, rounded: bool) -> float:
    places = np.concatenate([each[counted & (each > 0)] for each, counted in _both_ways(found, expected)])
    if not places.size:
        return 0.0
    return float(np.quantile(places, 1 - _LEFT_OUT)) if rounded else float(places.max())
