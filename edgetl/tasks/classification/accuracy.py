"""Accuracy of a build on labeled images, and its distance from the float network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgetl.types import ClassRecall, Interval, stats
from edgetl.types.measured import Score


@dataclass(frozen=True)
class Accuracy:
    """A build against labels and against the float network, on the same images.

    drop_points   top-1 of the float network minus this build's, paired; negative: this build is better
    agreement     share of images for which both predict the same class
    max_abs_diff  largest difference of a logit; mean_cosine  of the logit vectors. Over images with finite logits.
    not_finite    images with NaN or infinite logits; they count as wrong. Both of the above are 0 if that is all.
    confusion     row: true class, column: predicted class; images with non-finite logits are in no column
    recalls       of every class, in the order of the labels
    """

    images: int
    top1: Interval
    macro_f1: Interval
    drop_points: Interval
    agreement: Interval
    max_abs_diff: float
    mean_cosine: float
    not_finite: int
    confusion: tuple[tuple[int, ...], ...]
    recalls: tuple[ClassRecall, ...] = ()

    @property
    def score(self) -> Score:
        """Top-1, the first metric."""
        return Score("top-1", self.top1, self.drop_points)


def compare(
    logits: NDArray[np.float32], labels: NDArray[np.int64], reference_logits: NDArray[np.float32], seed: int = 0
) -> Accuracy:
    """Measure `logits` (N, C) against `labels` (N,) and the float network's `reference_logits` (N, C).

    Raises ValueError when the shapes do not fit.
    """
    if (
        logits.ndim != 2
        or logits.shape != reference_logits.shape
        or labels.shape != logits.shape[:1]
        or not labels.size
    ):
        raise ValueError(
            f"expected logits and reference of one shape (N, C) and labels (N,), N >= 1; "
            f"found {logits.shape}, {reference_logits.shape} and {labels.shape}"
        )
    answer, finite = answers(logits)
    reference_answer, reference_finite = answers(reference_logits)
    right, reference_right = answer == labels, reference_answer == labels
    same = (answer == reference_answer) & finite & reference_finite
    difference, cosine = _closeness(logits, reference_logits, finite & reference_finite)
    return Accuracy(
        images=labels.size,
        top1=stats.wilson(int(right.sum()), labels.size),
        # a non-finite prediction is a class of its own, so it is wrong for every true class
        macro_f1=stats.macro_f1_interval(labels, np.where(finite, answer, logits.shape[1]), seed),
        drop_points=stats.paired_difference(reference_right, right),
        agreement=stats.wilson(int(same.sum()), labels.size),
        max_abs_diff=difference,
        mean_cosine=cosine,
        not_finite=int(np.count_nonzero(~finite)),
        confusion=_confusion(labels[finite], answer[finite], logits.shape[1]),
        recalls=stats.recalls(labels, right, reference_right, logits.shape[1]),
    )


def answers(logits: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """(N,) index of the largest logit, -1 where any logit is not finite, and (N,) whether all are finite."""
    finite: NDArray[np.bool_] = np.asarray(np.isfinite(logits).all(axis=1))
    return np.where(finite, logits.argmax(axis=1), -1).astype(np.int64), finite


def stratified(labels: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Indices of the first `count` images when classes take turns, each giving its images in order."""
    turn = np.zeros(labels.size, dtype=np.int64)
    for label in np.unique(labels):
        mine = labels == label
        turn[mine] = np.arange(int(mine.sum()))
    order = np.lexsort((np.arange(labels.size), labels, turn))
    return order[:count].astype(np.int64)


def _closeness(
    logits: NDArray[np.float32], reference: NDArray[np.float32], rows: NDArray[np.bool_]
) -> tuple[float, float]:
    if not rows.any():
        return 0.0, 0.0
    ours, theirs = logits[rows].astype(np.float64), reference[rows].astype(np.float64)
    norms = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    dots = (ours * theirs).sum(axis=1)
    # two zero vectors are equal; one zero vector points nowhere
    equal = (ours == theirs).all(axis=1)
    cosines = np.where(equal, 1.0, np.divide(dots, norms, out=np.zeros_like(dots), where=norms > 0))
    return float(np.abs(ours - theirs).max()), float(cosines.mean())


def _confusion(labels: NDArray[np.int64], answer: NDArray[np.int64], classes: int) -> tuple[tuple[int, ...], ...]:
    counts = np.bincount(labels * classes + answer, minlength=classes * classes).reshape(classes, classes)
    return tuple(tuple(row) for row in counts.tolist())
