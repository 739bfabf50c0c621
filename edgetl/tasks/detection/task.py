"""Detection behind the contract of a task: boxes and scores in, objects are the answer, AP is the score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from edgetl.tasks.detection import closeness
from edgetl.tasks.detection.detections import BOXES, SCORES, Detections, Postprocess
from edgetl.tasks.detection.match import match, size_thirds
from edgetl.tasks.detection.postprocess import postprocess
from edgetl.tasks.detection.scores import AP, DetectionScores, resample, scores
from edgetl.types import Box

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgetl.tasks.base import Answers, Closeness, Outputs, TaskName
    from edgetl.types import Boxes, ModelKind, Truth
    from edgetl.types.frames import Frame

_COLUMNS = 6
_NOTHING = -1.0
_MEASURED = Postprocess()


class Detection:
    """See `edgetl.tasks.base.Task`. Answers are (N, 100, 6): corners x0 y0 x1 y1 in image pixels, score and class of
    the objects of each image, best first; the rows after the last one are -1. NaN in the last row of an image says that
    its outputs were not finite."""

    name: TaskName = "detection"
    metric = AP
    outputs: tuple[str, ...] = (BOXES, SCORES)
    kept = "objects"
    in_image = True

    def answer(self, outputs: Outputs, frames: Sequence[Frame]) -> Answers:
        boxes, values = outputs[BOXES], outputs[SCORES]
        found = postprocess(boxes, values, frames, _MEASURED)
        answers = np.full((len(found), _MEASURED.max_detections, _COLUMNS), _NOTHING, np.float32)
        for row, objects in zip(answers, found, strict=True):
            count = len(objects.scores)
            row[:count, :4], row[:count, 4], row[:count, 5] = objects.boxes, objects.scores, objects.labels
        finite = np.isfinite(boxes).all(axis=(1, 2)) & np.isfinite(values).all(axis=(1, 2))
        answers[~finite, -1] = np.nan
        return answers

    def measure(
        self,
        answers: Answers,
        truths: Sequence[Truth],
        reference: Answers,
        classes: int,
        seed: int = 0,
        *,
        groups: Sequence[str] | None = None,
        settings: Postprocess | None = None,
    ) -> DetectionScores:
        labeled = [_boxes(truth) for truth in truths]
        areas, threshold = size_thirds(labeled), (settings or _MEASURED).score_threshold
        build, floats = (
            resample(match(objects(each), labeled, classes, areas), threshold, groups, seed=seed)
            for each in (answers, reference)
        )
        return replace(scores(build, floats), not_finite=int(np.isnan(answers[:, -1]).any(axis=1).sum()))

    def settings(self, answers: Answers, reference: Answers, settings: Postprocess) -> Postprocess:
        return replace(settings, score_threshold=same_count(_scores(answers), _scores(reference), settings))

    def distance(self, found: Outputs, expected: Outputs) -> NDArray[np.float64]:
        return closeness.distance(found, expected)

    def agreeing(self, found: Outputs, expected: Outputs) -> tuple[int, int]:
        return closeness.agreeing(found, expected)

    def closeness(
        self, found: Outputs, expected: Outputs, kind: ModelKind, where: str, exact: Outputs | None = None
    ) -> Closeness:
        return closeness.compare(found, expected, kind=kind, where=where, exact=exact)


def objects(answers: Answers) -> list[Detections]:
    """The objects of each image in answers."""
    found = []
    for row in answers:
        mine = row[row[:, 4] >= 0]  # neither unused rows nor NaN
        found.append(Detections(mine[:, :4], mine[:, 4], mine[:, 5].astype(np.int64)))
    return found


def same_count(scores: NDArray[np.float32], reference: NDArray[np.float32], settings: Postprocess) -> float:
    """The threshold that lets as many of `scores` pass as that of `settings` lets pass of `reference`; the latter
    itself where none passes, or where there are fewer scores."""
    threshold = settings.score_threshold
    count = int((reference >= np.float32(threshold)).sum())
    ordered = np.sort(scores)[::-1]
    if not 0 < count < len(ordered):
        return threshold
    middle = np.float32((float(ordered[count - 1]) + float(ordered[count])) / 2)
    return float(middle if middle > ordered[count] else ordered[count - 1])


def _scores(answers: Answers) -> NDArray[np.float32]:
    scores: NDArray[np.float32] = answers[..., 4][answers[..., 4] >= 0]
    return scores


def _boxes(truth: Truth) -> Boxes:
    assert isinstance(truth, tuple)
    return tuple(each for each in truth if isinstance(each, Box))
