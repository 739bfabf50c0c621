"""The part of report.json about a detector. Scores are fractions, drops points; null means not measured."""

from __future__ import annotations

from collections.abc import Sequence

from edgetl.files.json_file import TolerantModel
from edgetl.report.intervals import score
from edgetl.tasks.detection.scores import DetectionScores


class AveragePrecision(TolerantModel):
    """Of some of the labeled objects. Null: there are none of them."""

    objects: int
    """Labeled ones that count."""
    ap: float | None = None
    ap_low: float | None = None
    ap_high: float | None = None
    drop_points: float | None = None
    """AP of the float network minus the build's, paired."""
    drop_points_low: float | None = None
    drop_points_high: float | None = None


class ClassScores(AveragePrecision):
    """One class."""

    label: str
    ap50: float | None = None
    """At the overlap 0.5."""
    ap50_low: float | None = None
    ap50_high: float | None = None
    ap50_drop_points: float | None = None
    ap50_drop_points_low: float | None = None
    ap50_drop_points_high: float | None = None
    hits: int
    """Of the reported objects, at the working point, those that are right."""
    reported: int


class SizeScores(AveragePrecision):
    """A third of the labeled objects by area, small ones first."""

    least_area: float
    """In square pixels of the image."""
    most_area: float | None = None
    """Null: no limit."""


class ObjectScores(TolerantModel):
    """How well objects are found. `score` beside it is AP, the mean over overlaps from 0.5 to 0.95 and over classes."""

    objects: int
    """Labeled ones that count."""
    ap50: float
    """At the overlap 0.5."""
    ap50_low: float
    ap50_high: float
    ap50_drop_points: float | None = None
    ap50_drop_points_low: float | None = None
    ap50_drop_points_high: float | None = None
    threshold: float
    """The working point: objects with a lower score are not reported. Chosen on the training images."""
    recall: float
    """At the working point and the overlap 0.5, mean over classes."""
    recall_low: float
    recall_high: float
    recall_drop_points: float | None = None
    recall_drop_points_low: float | None = None
    recall_drop_points_high: float | None = None
    precision: float | None = None
    """At the working point: share of the reported objects that are right. Null: nothing is reported."""
    classes: tuple[ClassScores, ...] = ()
    sizes: tuple[SizeScores, ...] = ()


def object_scores(found: DetectionScores, classes: Sequence[str]) -> ObjectScores:
    """classes  their names, in the order of the labels"""
    return ObjectScores(
        objects=found.objects,
        threshold=found.threshold,
        precision=found.precision,
        **score("ap50", found.ap50, "ap50_drop_points"),
        **score("recall", found.recall, "recall_drop_points"),
        classes=tuple(
            ClassScores(
                label=label,
                objects=each.objects,
                hits=each.hits,
                reported=each.reported,
                **score("ap", each.ap, "drop_points"),
                **score("ap50", each.ap50, "ap50_drop_points"),
            )
            for label, each in zip(classes, found.classes, strict=True)
        ),
        sizes=tuple(
            SizeScores(
                least_area=each.low,
                most_area=each.high,
                objects=each.objects,
                **score("ap", each.ap, "drop_points"),
            )
            for each in found.sizes
        ),
    )
