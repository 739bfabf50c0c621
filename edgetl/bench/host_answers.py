"""Accuracy of an absent CPU's build on all validation images: the host runs them, and emulation bounds the difference.

INT8 sums are exact on both CPUs, so logits differ only if a value rounds the other way (docs/decisions/
0015-host-answers.md). The largest difference on the emulated images bounds this: a prediction whose lead is wider than
two such differences is certain.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgetl.bench.result import HostCheck
from edgetl.tasks.classification.accuracy import Accuracy, answers, compare
from edgetl.types import ClassRecall, Interval, Target, stats

_Logits = NDArray[np.float32]
_Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Answered:
    """A build's logits on the host and, for some of the images, under emulation.

    host      (N, C) float32 logits of all validation images
    emulated  (n, C) float32 logits of the images `picked` (n,)
    """

    host: _Logits
    emulated: _Logits
    picked: NDArray[np.int64]

    def known(self) -> _Logits:
        """(N, C) emulated logits if available, the host's otherwise."""
        found = self.host.copy()
        found[self.picked] = self.emulated
        return found

    def same(self) -> int:
        """Images with the same class in both."""
        return int((self.host[self.picked].argmax(axis=1) == self.emulated.argmax(axis=1)).sum())

    def largest_difference(self) -> float:
        return float(np.abs(self.host[self.picked] - self.emulated).max())

    def reachable(self) -> NDArray[np.bool_]:
        """(N, C): classes that the target's CPU may predict. For an emulated image, the one that was predicted."""
        known = self.known()
        found: NDArray[np.bool_] = known >= known.max(axis=1, keepdims=True) - 2 * self.largest_difference()
        found[self.picked] = np.eye(known.shape[1], dtype=np.bool_)[self.emulated.argmax(axis=1)]
        return found


def on_all_images(
    answered: Answered, labels: _Labels, reference: _Logits, seed: int
) -> tuple[Accuracy, HostCheck] | None:
    """The accuracy on all validation images, with intervals widened by every undecided prediction.

    None if the emulated images alone say more: the two CPUs differ too much, or a logit is not finite.

    labels     (N,) int64 classes
    reference  (N, C) float32 logits of the float torch network
    """
    if not (np.isfinite(answered.host).all() and np.isfinite(answered.emulated).all()):
        return None
    known, reachable = answered.known(), answered.reachable()
    best, worst = (
        compare(_answering(known, reachable, labels, right), labels, reference, seed) for right in (True, False)
    )
    found = _widened(compare(known, labels, reference, seed), best, worst, _agreements(known, reachable, reference))
    alone = compare(answered.emulated, labels[answered.picked], reference[answered.picked], seed)
    if _width(found.drop_points) >= _width(alone.drop_points):
        return None
    check = HostCheck(
        emulated_images=len(answered.picked),
        same=answered.same(),
        max_abs_diff=answered.largest_difference(),
        undecided=int((reachable.sum(axis=1) > 1).sum()),
        most_top1=best.top1.value,
        least_drop_points=best.drop_points.value,
        most_recall=tuple(each.recall.value if each.recall else None for each in best.recalls),
        least_recall_drop_points=tuple(each.drop_points.value if each.drop_points else None for each in best.recalls),
    )
    return found, check


def on_host(target: Target) -> Target:
    """The target, changed so that this machine's CPU can stand in for it."""
    return replace(target, machine="any")


def _widened(found: Accuracy, best: Accuracy, worst: Accuracy, agreements: list[Interval]) -> Accuracy:
    return replace(
        found,
        top1=_hull([found.top1, best.top1, worst.top1]),
        macro_f1=_hull([found.macro_f1, best.macro_f1, worst.macro_f1]),
        drop_points=_hull([found.drop_points, best.drop_points, worst.drop_points]),
        agreement=_hull([found.agreement, *agreements]),
        recalls=tuple(_widened_recall(*each) for each in zip(found.recalls, best.recalls, worst.recalls, strict=True)),
    )


def _widened_recall(found: ClassRecall, best: ClassRecall, worst: ClassRecall) -> ClassRecall:
    recalls = [each.recall for each in (found, best, worst) if each.recall is not None]
    drops = [each.drop_points for each in (found, best, worst) if each.drop_points is not None]
    if not recalls or not drops:
        return found
    return replace(found, recall=_hull(recalls), drop_points=_hull(drops))


def _agreements(known: _Logits, reachable: NDArray[np.bool_], reference: _Logits) -> list[Interval]:
    wanted, finite = answers(reference)
    counts = (
        int(((_answering(known, reachable, wanted, right).argmax(axis=1) == wanted) & finite).sum())
        for right in (True, False)
    )
    return [stats.wilson(count, len(known)) for count in counts]


def _answering(known: _Logits, reachable: NDArray[np.bool_], wanted: _Labels, right: bool) -> _Logits:
    """`known`, with the `wanted` class predicted wherever possible or, if not `right`, avoided wherever possible."""
    rows = np.arange(len(known))
    is_wanted = np.zeros_like(reachable)
    is_wanted[rows[wanted >= 0], wanted[wanted >= 0]] = True
    allowed = reachable & (is_wanted if right else ~is_wanted)
    allowed = np.where(allowed.any(axis=1, keepdims=True), allowed, reachable)
    answer = np.where(allowed, known, -np.inf).argmax(axis=1)
    found = known.copy()
    found[rows, answer] = known.max(axis=1) + 1
    return found


def _hull(intervals: list[Interval]) -> Interval:
    first = intervals[0]
    return Interval(first.value, min(each.low for each in intervals), max(each.high for each in intervals))


def _width(interval: Interval) -> float:
    return interval.high - interval.low
