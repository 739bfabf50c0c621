"""Scores at one threshold, as a device applies it: recall, precision, F1, and the threshold that is best."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgetl.tasks.detection.match import HIT, IGNORED, Matches

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

# at the overlap 0.5, all sizes
_EVERYTHING, _HALF = 0, 0


@dataclass(frozen=True)
class Counts:
    """float64 (N, C) by image and class: reported objects that are right, all that count, and labeled ones."""

    hits: Floats
    reported: Floats
    truths: Floats


def counts_at(matches: Matches, threshold: float) -> Counts:
    """Objects with at least the score `threshold`, compared in float32 as on the device, at the overlap 0.5."""
    outcome = matches.outcome[_EVERYTHING, _HALF]
    shown = matches.score >= np.float32(threshold)
    return Counts(
        _tally(matches, shown & (outcome == HIT)),
        _tally(matches, shown & (outcome != IGNORED)),
        matches.truths[_EVERYTHING].astype(np.float64),
    )


def utility(matches: Matches, threshold: float) -> Floats:
    """(N,) F1 of each image over all its classes: its own value for choosing between networks on few images.

    1 for an image without labeled and without reported objects.
    """
    counts = counts_at(matches, threshold)
    both = (counts.reported + counts.truths).sum(axis=1)
    shares: Floats = np.divide(2 * counts.hits.sum(axis=1), both, out=np.ones_like(both), where=both > 0)
    return shares


def recall(counts: Counts, weights: Floats) -> Floats:
    """weights (R, N) -> (R,): share of the labeled objects that are found, mean over classes; NaN without objects."""
    truths = weights @ counts.truths
    known = truths > 0
    each = np.divide(weights @ counts.hits, truths, out=np.zeros_like(truths), where=known)
    classes = known.sum(axis=1)
    return np.asarray(np.where(classes > 0, each.sum(axis=1) / np.maximum(classes, 1), np.nan), np.float64)


def precision(counts: Counts) -> float | None:
    """Share of the reported objects that are right, all classes together; None if nothing is reported."""
    reported = counts.reported.sum()
    return float(counts.hits.sum() / reported) if reported else None


def best_threshold(matches: Matches, otherwise: float = 0.5) -> float:
    """The score at which F1, as the mean over classes with labeled objects, is highest: for the shots only.

    Of several cuts that are as good, the one with the highest scores; of the scores between two objects, the middle,
    as a float32. `otherwise` if no object is found right.
    """
    outcome = matches.outcome[_EVERYTHING, _HALF]
    truths = matches.truths[_EVERYTHING].sum(axis=0)
    score = matches.score
    ends = np.flatnonzero(np.append(score[1:] != score[:-1], True)) if score.size else np.zeros(0, np.int64)
    total = np.zeros(ends.size)
    for label in np.flatnonzero(truths):
        mine = matches.label == label
        hits = np.cumsum(mine & (outcome == HIT))[ends]
        reported = np.cumsum(mine & (outcome != IGNORED))[ends]
        total += 2 * hits / (reported + truths[label])
    if not total.size or total.max() <= 0:
        return otherwise
    cut = int(ends[total.argmax()])
    if cut + 1 == score.size:
        return float(score[cut])
    middle = np.float32((float(score[cut]) + float(score[cut + 1])) / 2)
    return float(middle if middle > score[cut + 1] else score[cut])


def _tally(matches: Matches, chosen: NDArray[np.bool_]) -> Floats:
    shape = (matches.images, matches.classes)
    cells = matches.image[chosen] * matches.classes + matches.label[chosen]
    return np.bincount(cells, minlength=shape[0] * shape[1]).astype(np.float64).reshape(shape)
