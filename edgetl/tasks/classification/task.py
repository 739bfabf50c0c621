"""Classification behind the contract of a task: logits in, the largest is the answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from edgetl.tasks.classification import closeness
from edgetl.tasks.classification.accuracy import Accuracy, compare
from edgetl.types import OUTPUT_NAME

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgetl.tasks.base import Answers, Closeness, Outputs, TaskName
    from edgetl.tasks.detection.detections import Postprocess
    from edgetl.tasks.heads.scores import HeadScores
    from edgetl.types import ModelKind, Truth
    from edgetl.types.frames import Frame


class Classification:
    """See `edgetl.tasks.base.Task`. Answers are the logits themselves."""

    name: TaskName = "classification"
    metric = "top-1"
    outputs: tuple[str, ...] = (OUTPUT_NAME,)
    kept = OUTPUT_NAME
    in_image = False

    def answer(self, outputs: Outputs, frames: Sequence[Frame]) -> Answers:
        return outputs[OUTPUT_NAME]

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
    ) -> Accuracy | HeadScores:
        return compare(answers, np.array(truths, np.int64), reference, seed)

    def settings(self, answers: Answers, reference: Answers, settings: Postprocess) -> Postprocess:
        return settings

    def distance(self, found: Outputs, expected: Outputs) -> NDArray[np.float64]:
        return closeness.distance(found[OUTPUT_NAME], expected[OUTPUT_NAME])

    def agreeing(self, found: Outputs, expected: Outputs) -> tuple[int, int]:
        first, second = (each[OUTPUT_NAME].argmax(axis=1) for each in (found, expected))
        return int((first == second).sum()), len(first)

    def closeness(
        self, found: Outputs, expected: Outputs, kind: ModelKind, where: str, exact: Outputs | None = None
    ) -> Closeness:
        floats = None if exact is None else exact[OUTPUT_NAME]
        return closeness.compare(found[OUTPUT_NAME], expected[OUTPUT_NAME], kind=kind, where=where, exact=floats)
