"""Precision over recall, and which classes are confused, for plots and tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgetl.tasks.detection.average_precision import RECALLS
from edgetl.tasks.detection.detections import Detections
from edgetl.tasks.detection.match import HIT, IGNORED, IOU_THRESHOLDS, Matches, overlaps

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgetl.types import Boxes

    Floats = NDArray[np.float64]


def precision_curve(matches: Matches, label: int, *, threshold: int = 0) -> Floats:
    """(101,) precision at the recalls 0, 0.01, ... 1 of one class, the best at this recall or a higher one; its mean is
    the average precision. NaN without labeled objects.

    threshold  index of the overlap: 0 is 0.5
    """
    truths = int(matches.truths[0, :, label].sum())
    if not truths:
        return np.full(RECALLS.size, np.nan)
    outcome = matches.outcome[0, threshold, matches.label == label]
    outcome = outcome[outcome != IGNORED]
    hits = np.flatnonzero(outcome == HIT)
    right = np.arange(1, hits.size + 1)
    best = np.maximum.accumulate((right / (hits + 1))[::-1])[::-1]
    place = np.searchsorted(right / truths, RECALLS, side="left")
    return np.where(place < hits.size, np.append(best, 0.0)[np.minimum(place, hits.size)], 0.0)


def confusion(
    found: Sequence[Detections], truths: Sequence[Boxes], classes: int, score_threshold: float
) -> NDArray[np.int64]:
    """(C + 1, C + 1): row is the class of a labeled object, column that of the reported one that lies on it; the last
    row and column are the background: objects invented and missed.

    Pairs of one class come first, best score first, then pairs of different classes, both from the overlap 0.5 on. So
    the diagonal is what recall counts. Objects on ignored regions of their class are left out.
    """
    cells = np.zeros((classes + 1, classes + 1), np.int64)
    for objects, boxes in zip(found, truths, strict=True):
        paired = pair(objects, boxes, score_threshold)
        own = np.array([box.label for box in boxes], np.int64)
        ignored = np.array([box.ignore for box in boxes], np.bool_)
        counts = ~paired.on_region(boxes)
        for label, truth in zip(objects.labels[paired.shown][counts].tolist(), paired.of[counts].tolist(), strict=True):
            cells[own[truth] if truth >= 0 else classes, label] += 1
        missed = ~ignored & ~np.isin(np.arange(own.size), paired.of)
        cells[:, classes] += np.bincount(own[missed], minlength=classes + 1)
    return cells


@dataclass(frozen=True)
class Paired:
    """The objects that are reported in an image, and the labeled ones on which they lie.

    shown  int64 (K,) indices of the objects, best score first
    of     int64 (K,) index of the truth of each, -1 for none
    """

    shown: NDArray[np.int64]
    of: NDArray[np.int64]

    def on_region(self, boxes: Boxes) -> NDArray[np.bool_]:
        """(K,) whether each lies on an ignored region, so that it counts neither as right nor as wrong."""
        ignored = np.array([*(box.ignore for box in boxes), False], np.bool_)
        return (self.of >= 0) & ignored[self.of]


def pair(objects: Detections, boxes: Boxes, score_threshold: float) -> Paired:
    """Pair the objects of an image of at least this score with labeled ones, as in `confusion`."""
    shown = np.flatnonzero(objects.scores >= np.float32(score_threshold))
    shown = shown[np.argsort(-objects.scores[shown].astype(np.float64), kind="stable")]
    labels, corners = objects.labels[shown], objects.boxes[shown].astype(np.float64)
    own = np.array([box.label for box in boxes], np.int64)
    ignored = np.array([box.ignore for box in boxes], np.bool_)
    places = np.array([(box.x0, box.y0, box.x1, box.y1) for box in boxes], np.float64).reshape(-1, 4)
    shared = overlaps(corners, places, ignored)
    of = _pairs(shared, labels[:, None] == own[None, :], ignored)
    rest = _pairs(np.where((of >= 0)[:, None] | np.isin(np.arange(own.size), of), 0.0, shared), ~ignored, ignored)
    return Paired(shown, np.where(of >= 0, of, rest))


def _pairs(shared: Floats, allowed: NDArray[np.bool_], ignored: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(K,) the truth that each object takes, -1 for none: the free one with the largest overlap, one that counts before
    an ignored region, which any number may take. shared, allowed (K, G)"""
    taken = np.zeros(ignored.size, np.bool_)
    of = np.full(len(shared), -1, np.int64)
    usable = (shared >= IOU_THRESHOLDS[0]) & allowed
    for each in np.flatnonzero(usable.any(axis=1)):
        free = usable[each] & ~taken
        free = free & ~ignored if (free & ~ignored).any() else free
        if free.any():
            # of equal overlaps the later one, as in `match`
            of[each] = ignored.size - 1 - int(np.where(free, shared[each], -1.0)[::-1].argmax())
            taken[of[each]] = not ignored[of[each]]
    return of
