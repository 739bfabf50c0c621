"""Average precision of matched objects, for the images as they are and for weighted draws of them.

Precision at 101 recalls, the best at this recall or a higher one, averaged, as COCO's evaluation does it. An integer
weight counts an image that often. Precision is highest at hits only, so everything else is a count between them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgetl.tasks.detection.match import HIT, IGNORED, IOU_THRESHOLDS, Matches

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

RECALLS = np.linspace(0.0, 1.0, 101)
"""At which precision is averaged."""
_CHUNK_CELLS = 4_000_000  # bounds the memory of one block of draws


@dataclass(frozen=True)
class AveragePrecision:
    """Fractions, NaN for a class without labeled objects that count.

    each  float64 (T, C), by threshold of overlap and class
    """

    each: Floats

    @property
    def mean(self) -> float:
        """AP: the mean over thresholds from 0.5 to 0.95 and over classes with objects; NaN if there are none."""
        return float(over_classes(self.each.mean(axis=0)))

    @property
    def ap50(self) -> float:
        """AP at the overlap 0.5."""
        return float(over_classes(self.each[0]))

    @property
    def classes(self) -> Floats:
        """(C,) the mean over thresholds."""
        return np.asarray(self.each.mean(axis=0), np.float64)


def average_precision(matches: Matches, weights: Floats | None = None, *, size: int = 0) -> AveragePrecision:
    """Average precision of all images, or with weights (N,) of them; `size` is the index of a range of size."""
    given = np.ones(matches.images) if weights is None else np.asarray(weights, np.float64)
    return AveragePrecision(_by_class(matches, given[None, :], size)[0])


def drawn_precisions(matches: Matches, weights: Floats, *, size: int = 0) -> Floats:
    """weights (R, N) of the images in R draws -> (R, 2, C): AP and AP50 of each class, NaN without objects."""
    rows = max(1, _CHUNK_CELLS // max(1, matches.score.size))
    parts = []
    for start in range(0, len(weights), rows):
        each = _by_class(matches, weights[start : start + rows], size)
        parts.append(np.stack([each.mean(axis=1), each[:, 0]], axis=1))
    return np.concatenate(parts)


def over_classes(values: Floats) -> Floats:
    """(..., C) -> (...): the mean of those that are numbers, NaN if none is."""
    known = ~np.isnan(values)
    count = known.sum(axis=-1)
    total = np.where(known, values, 0.0).sum(axis=-1)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan), np.float64)


def _by_class(matches: Matches, weights: Floats, size: int) -> Floats:
    """(R, T, C)."""
    truths = weights @ matches.truths[size]
    found = np.full((len(weights), len(IOU_THRESHOLDS), matches.classes), np.nan)
    for label in np.flatnonzero(matches.truths[size].sum(axis=0)):
        counted = (matches.outcome[size] != IGNORED).any(axis=0)
        mine = np.flatnonzero((matches.label == label) & counted)
        weight = weights[:, matches.image[mine]]
        seen = np.cumsum(weight, axis=1)
        for threshold in range(len(IOU_THRESHOLDS)):
            outcome = matches.outcome[size, threshold, mine]
            found[:, threshold, label] = _area_under(outcome, weight, seen, truths[:, label])
    return found


def _area_under(outcome: NDArray[np.int8], weight: Floats, seen: Floats, truths: Floats) -> Floats:
    """(R,) average precision of one class, best score first: outcome (D,), weight and its sum so far (R, D), objects
    (R,); NaN for draws without objects."""
    hits, ignored = np.flatnonzero(outcome == HIT), np.flatnonzero(outcome == IGNORED)
    right = np.cumsum(weight[:, hits], axis=1)
    among = seen[:, hits]
    if ignored.size:
        passed = np.cumsum(weight[:, ignored], axis=1)
        before = np.searchsorted(ignored, hits)
        among = among - np.where(before > 0, passed[:, before - 1], 0.0)
    exists = truths > 0
    # a hit of weight 0 before all others is no object of this draw
    precision = np.divide(right, among, out=np.zeros_like(right), where=among > 0)
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    recall = right / np.where(exists, truths, 1.0)[:, None]
    reached = np.searchsorted(RECALLS, recall, side="right")  # how many of the 101 recalls
    area: Floats = (best * np.diff(reached, axis=1, prepend=0)).sum(axis=1) / RECALLS.size
    return np.where(exists, area, np.nan)
