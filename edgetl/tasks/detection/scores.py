"""The scores of a build with their intervals, and what it lost against the float network on the same images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgetl.tasks.bootstrap import RESAMPLES, count_units, interval_of, resampled
from edgetl.tasks.detection.average_precision import drawn_precisions, over_classes
from edgetl.tasks.detection.match import Matches
from edgetl.tasks.detection.working_point import counts_at, precision, recall
from edgetl.types import ClassRecall, Interval, Score

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

AP, AP50, RECALL = "AP", "AP50", "recall"
_METRICS = (AP, AP50)


@dataclass(frozen=True)
class OfClass:
    """objects  labeled ones that count; hits of `reported` objects are right, at the working point. Scores are None
    for a class without objects."""

    objects: int
    hits: int
    reported: int
    ap: Score | None
    ap50: Score | None


@dataclass(frozen=True)
class OfSize:
    """AP of the objects of at least `low` and at most `high` square pixels of the image; None if there are none.

    high  None: without a limit, which a file can hold
    """

    low: float
    high: float | None
    objects: int
    ap: Score | None


@dataclass(frozen=True)
class DetectionScores:
    """What a build of a detector is measured by; the first score is the gated one.

    ap         mean over the thresholds of overlap from 0.5 to 0.95 and over the classes with objects
    recall     at the working point `threshold` and the overlap 0.5, mean over classes
    precision  there: share of the reported objects that are right; None if nothing is reported
    classes    in the order of the labels;  sizes  thirds of the labeled objects, small ones first
    not_finite images with NaN or infinite outputs; what is found there by finite ones counts
    """

    images: int
    objects: int
    ap: Score
    ap50: Score
    recall: Score
    precision: float | None
    threshold: float
    classes: tuple[OfClass, ...]
    sizes: tuple[OfSize, ...]
    not_finite: int = 0

    @property
    def score(self) -> Score:
        """AP, the first metric."""
        return self.ap

    @property
    def drop_points(self) -> Interval:
        """Of AP, against the float network; raises ValueError if it was not compared."""
        if self.ap.drop_points is None:
            raise ValueError("expected scores that were compared with the float network")
        return self.ap.drop_points

    @property
    def recalls(self) -> tuple[ClassRecall, ...]:
        """None: recall of a detector depends on its working point."""
        return ()


@dataclass(frozen=True)
class Resampled:
    """The scores of one build, and of every draw of its images.

    precisions  float64 (S, 2, C): AP and AP50 for each range of size and class;  recall  at `threshold`
    drawn_precisions  (R, S, 2, C);  drawn_recalls  (R,);  units  how many images or groups were drawn from
    """

    matches: Matches
    threshold: float
    precisions: Floats
    recall: float
    drawn_precisions: Floats
    drawn_recalls: Floats
    units: int


def resample(
    matches: Matches,
    threshold: float,
    groups: Sequence[str] | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Resampled:
    """Score a build on all images and on draws of them, or of their `groups`.

    threshold  of its working point, chosen on the shots (`best_threshold`)
    Raises ValueError if no labeled object counts.
    """
    if not matches.truths[0].any():
        raise ValueError("expected at least one labeled object that counts")
    counts = counts_at(matches, threshold)
    shape = (len(matches.areas), 2, matches.classes)

    def statistic(weights: Floats) -> Floats:
        each = [drawn_precisions(matches, weights, size=size) for size in range(shape[0])]
        flat = np.stack(each, axis=1).reshape(len(weights), -1)
        return np.concatenate([flat, recall(counts, weights)[:, None]], axis=1)

    whole = statistic(np.ones((1, matches.images)))[0]
    draws = resampled(statistic, matches.images, groups, resamples=resamples, seed=seed)
    return Resampled(
        matches=matches,
        threshold=threshold,
        precisions=whole[:-1].reshape(shape),
        recall=float(whole[-1]),
        drawn_precisions=draws[:, :-1].reshape(-1, *shape),
        drawn_recalls=draws[:, -1],
        units=count_units(matches.images, groups),
    )


def scores(build: Resampled, reference: Resampled | None = None) -> DetectionScores:
    """The scores of a build, and its drops against the float network `reference`, both of `resample` with the same
    images, groups and seed.

    Raises ValueError if the labeled objects of the two differ.
    """
    if reference is not None and not np.array_equal(build.matches.truths, reference.matches.truths):
        raise ValueError("expected the same images and labeled objects for the build and the float network")
    truths = build.matches.truths
    ap, ap50 = (_precision(metric, build, reference) for metric in _METRICS)
    assert ap is not None  # there are labeled objects
    assert ap50 is not None
    counts = counts_at(build.matches, build.threshold)
    return DetectionScores(
        images=build.matches.images,
        objects=int(truths[0].sum()),
        ap=ap,
        ap50=ap50,
        recall=_recall(build, reference),
        precision=precision(counts),
        threshold=build.threshold,
        classes=tuple(
            OfClass(
                int(truths[0, :, label].sum()),
                int(counts.hits[:, label].sum()),
                int(counts.reported[:, label].sum()),
                *(_precision(metric, build, reference, label=label) for metric in _METRICS),
            )
            for label in range(build.matches.classes)
        ),
        sizes=tuple(
            OfSize(
                low,
                high if math.isfinite(high) else None,
                int(truths[size].sum()),
                _precision(AP, build, reference, size=size),
            )
            for size, (low, high) in enumerate(build.matches.areas)
            if size
        ),
    )


def _precision(
    metric: str, build: Resampled, reference: Resampled | None, *, size: int = 0, label: int | None = None
) -> Score | None:
    """None without labeled objects of this size and class."""
    row = _METRICS.index(metric)

    def of(precisions: Floats) -> Floats:
        each = precisions[..., size, row, :]
        return over_classes(each) if label is None else each[..., label]

    value = float(of(build.precisions))
    if math.isnan(value):
        return None
    drawn = of(build.drawn_precisions)
    if reference is None:
        return Score(metric, interval_of(value, drawn, build.units, 0.0, 1.0))
    theirs = float(of(reference.precisions)), of(reference.drawn_precisions)
    return _compared(metric, build.units, (value, drawn), theirs)


def _recall(build: Resampled, reference: Resampled | None) -> Score:
    if reference is None:
        return Score(RECALL, interval_of(build.recall, build.drawn_recalls, build.units, 0.0, 1.0))
    mine = build.recall, build.drawn_recalls
    return _compared(RECALL, build.units, mine, (reference.recall, reference.drawn_recalls))


def _compared(metric: str, units: int, mine: tuple[float, Floats], theirs: tuple[float, Floats]) -> Score:
    """From the value and the draws of the build and of the float network."""
    lost = interval_of(theirs[0] - mine[0], theirs[1] - mine[1], units, -1.0, 1.0)
    points = Interval(100 * lost.value, 100 * lost.low, 100 * lost.high)
    return Score(metric, interval_of(*mine, units, 0.0, 1.0), points)
