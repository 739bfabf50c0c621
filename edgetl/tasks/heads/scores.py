"""Accuracy of several heads: each on the examples that are labeled for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgetl.tasks.classification.accuracy import Accuracy, compare
from edgetl.types import ClassRecall, HeadClasses, Interval, Score, Truth

METRIC = "lowest top-1"


@dataclass(frozen=True)
class HeadAccuracy:
    """One head. accuracy  None if no example is labeled for it"""

    head: str
    accuracy: Accuracy | None


@dataclass(frozen=True)
class HeadScores:
    """All heads of a build. Every head must meet a gate, so the worst one counts: its top-1 is the score, and the
    largest loss of a head is the drop.

    images      all examples; a head counts those that are labeled for it
    not_finite  examples with NaN or infinite logits; they count as wrong
    recalls     of every class of every head, in the order of the labels
    """

    images: int
    heads: tuple[HeadAccuracy, ...]
    not_finite: int
    recalls: tuple[ClassRecall, ...]

    @property
    def measured(self) -> tuple[tuple[str, Accuracy], ...]:
        """The heads with labeled examples."""
        return tuple((each.head, each.accuracy) for each in self.heads if each.accuracy is not None)

    @property
    def worst(self) -> tuple[str, Accuracy]:
        """The head with the lowest top-1."""
        return min(self.measured, key=lambda pair: pair[1].top1.value)

    @property
    def score(self) -> Score:
        return Score(METRIC, self.worst[1].top1, self.drop_points)

    @property
    def drop_points(self) -> Interval:
        """Of the head that lost most."""
        return max((found.drop_points for _, found in self.measured), key=lambda drop: drop.value)


def measure(
    heads: Sequence[HeadClasses],
    logits: NDArray[np.float32],
    truths: Sequence[Truth],
    reference: NDArray[np.float32],
    seed: int = 0,
) -> HeadScores:
    """Every head of `logits` (N, C) against the labels and the float network's `reference` (N, C).

    Raises ValueError if no example has a label.
    """
    found: list[HeadAccuracy] = []
    recalls: list[ClassRecall] = []
    finite: NDArray[np.bool_] = np.asarray(np.isfinite(logits).all(axis=1))
    for head in heads:
        labels = own_labels(head, truths)
        rows = np.flatnonzero(labels >= 0)
        if not rows.size:
            found.append(HeadAccuracy(head.name, None))
            recalls += [ClassRecall(0, None, None, None)] * len(head.classes)
            continue
        # what is not finite anywhere is wrong for every head: the device refuses such an example
        ours = np.where(finite[rows, None], logits[rows, head.columns], np.float32(np.nan))
        accuracy = compare(ours, labels[rows], reference[rows, head.columns], seed)
        found.append(HeadAccuracy(head.name, accuracy))
        recalls += accuracy.recalls
    if not any(each.accuracy for each in found):
        raise ValueError("expected an example with a label")
    return HeadScores(len(logits), tuple(found), int(np.count_nonzero(~finite)), tuple(recalls))


def own_labels(head: HeadClasses, truths: Sequence[Truth]) -> NDArray[np.int64]:
    """(N,): the index of each label among the head's classes, -1 without one."""
    return np.array([head.own(truth) for truth in truths], np.int64)
