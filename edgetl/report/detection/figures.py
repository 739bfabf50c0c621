"""The scores of a detector as rows of report.json."""

from __future__ import annotations

from collections.abc import Sequence

from edgetl.report.detection.model import ClassScores, ObjectScores, SizeScores
from edgetl.report.intervals import score
from edgetl.tasks.detection.scores import DetectionScores


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
