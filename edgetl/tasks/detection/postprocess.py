"""From the outputs of a detector to the objects in an image. `runtime/src/postprocess.cpp` gives the same bits.

All arithmetic is float32 in the order written here. NMS is greedy and per class: Felzenszwalb et al., Object Detection
with Discriminatively Trained Part-Based Models, PAMI 2010, section 6.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from edgetl.tasks.detection.detections import Detections, Postprocess

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgetl.types.frames import Frame

    Floats = NDArray[np.float32]
    Indices = NDArray[np.int64]


def postprocess(
    boxes: Floats, scores: Floats, frames: Sequence[Frame], settings: Postprocess
) -> tuple[Detections, ...]:
    """The objects of each image.

    boxes   float32 (N, A, 4), corners x0 y0 x1 y1 in input pixels
    scores  float32 (N, A, C)
    frames  one for each image, with which the boxes return to its pixels
    raises  ValueError if the shapes do not fit one another.
    """
    if boxes.shape != (*scores.shape[:2], 4) or scores.ndim != 3 or len(frames) != len(scores):
        raise ValueError(
            f"expected boxes (N, A, 4), scores (N, A, C) and N frames; found {boxes.shape}, {scores.shape} and "
            f"{len(frames)}"
        )
    with np.errstate(over="ignore", invalid="ignore"):  # areas of huge boxes: infinite in C++ too
        return tuple(_of_image(*one, settings) for one in zip(boxes, scores, frames, strict=True))


def is_finite(boxes: Floats, scores: Floats, settings: Postprocess) -> bool:
    """Whether all scores are finite, and the boxes of all that reach the threshold."""
    shown = (scores >= np.float32(settings.score_threshold)).any(axis=2)
    return bool(np.isfinite(scores).all() and np.isfinite(boxes[shown]).all())


def _of_image(boxes: Floats, scores: Floats, frame: Frame, settings: Postprocess) -> Detections:
    anchors, labels = np.divmod(_candidates(boxes, scores, settings), scores.shape[1])
    kept = _suppress(boxes[anchors], labels, settings)
    anchors, labels = anchors[kept], labels[kept]
    return Detections(frame.to_image(boxes[anchors]), scores[anchors, labels], labels)


def _candidates(boxes: Floats, scores: Floats, settings: Postprocess) -> Indices:
    """Indices anchor * C + class, best score first, then by index. A score or a box that is not finite is none."""
    flat = scores.reshape(-1)
    usable = np.isfinite(scores) & np.isfinite(boxes).all(axis=1, keepdims=True)
    passed = np.flatnonzero(usable.reshape(-1) & (flat >= np.float32(settings.score_threshold)))
    most = settings.max_candidates
    if len(passed) > most:
        lowest = np.partition(flat[passed], -most)[-most]
        passed = passed[flat[passed] >= lowest]
    order = np.argsort(-flat[passed], kind="stable")
    return passed[order][:most]


def _suppress(boxes: Floats, labels: Indices, settings: Postprocess) -> Indices:
    """Positions of the boxes (K, 4), best first, that no better box of their class overlaps too much.

    A side of negative length counts as 0, so an inverted box has no area and suppresses nothing.
    """
    x0, y0, x1, y1 = np.ascontiguousarray(boxes.T)
    areas = np.maximum(x1 - x0, np.float32(0)) * np.maximum(y1 - y0, np.float32(0))
    limit = np.float32(settings.iou_threshold)
    rest, kept = np.arange(len(boxes)), list[int]()
    while len(rest) and len(kept) < settings.max_detections:
        best, rest = rest[0], rest[1:]
        kept.append(int(best))
        w = np.maximum(np.minimum(x1[best], x1[rest]) - np.maximum(x0[best], x0[rest]), np.float32(0))
        h = np.maximum(np.minimum(y1[best], y1[rest]) - np.maximum(y0[best], y0[rest]), np.float32(0))
        inter = w * h
        union = (areas[best] + areas[rest]) - inter
        rest = rest[(labels[rest] != labels[best]) | ~(inter > limit * union)]
    return np.array(kept, np.int64)
