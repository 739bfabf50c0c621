"""The contract of a task: how a network's outputs become an answer, and answers a score.

A task never sees a backend. Its half that needs torch is in `edgetl.pivot.adapted`, `edgetl.adapt` and `edgetl.quant`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from edgetl.tasks.detection.detections import Postprocess
    from edgetl.tasks.quality import QualityRecord
    from edgetl.types import HeadClasses, ModelKind, Truth
    from edgetl.types.frames import Frame

Outputs = Mapping[str, NDArray[np.float32]]
"""What a network gives for N examples, by the names of its ports: (N, ...) each."""
Answers = NDArray[np.float32]
"""What is kept of it, (N, ...): enough for every metric of the task."""
TaskName = Literal["classification", "detection"]


@dataclass(frozen=True)
class Closeness:
    """How close two computations of one network came. In units of the task: logits; scores and shares of the input.

    difference  the largest; tolerance  the largest that would have passed
    agreement   share of examples (of objects, for detection) with the same class in both
    """

    difference: float
    tolerance: float
    agreement: float


class Task(Protocol):
    """One module in `edgetl/tasks/<name>/`, one row in `TASKS`."""

    name: TaskName
    metric: str
    """Of the first metric, which is gated: `top-1`, `AP`."""
    outputs: tuple[str, ...]
    """Names of the deployed network's outputs, in order."""
    kept: str
    """Name of the answers in files."""
    in_image: bool
    """Whether answers are places in the image, so that `answer` needs frames."""

    def answer(self, outputs: Outputs, frames: Sequence[Frame]) -> Answers:
        """frames  where each of the N images lies in the network's input; empty unless `in_image`"""
        ...

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
    ) -> QualityRecord:
        """`answers` against the truth and against the float network's answers `reference` on the same examples.

        groups    of the examples, if those of a group are alike: then groups are drawn, not examples
        settings  with which the device reports objects
        """
        ...

    def settings(self, answers: Answers, reference: Answers, settings: Postprocess) -> Postprocess:
        """How another computation of a network is to report objects, as the network does with `settings`: the scores of
        INT8 may lie lower or higher than those of float, though their order is the same.

        answers, reference  of the two on the same examples
        """
        ...

    def distance(self, found: Outputs, expected: Outputs) -> NDArray[np.float64]:
        """(N,): how far the outputs of each example are from the expected ones, as a share of their spread."""
        ...

    def agreeing(self, found: Outputs, expected: Outputs) -> tuple[int, int]:
        """(same, all): how many predictions have the expected class, of all; an object is one prediction."""
        ...

    def closeness(
        self, found: Outputs, expected: Outputs, kind: ModelKind, where: str, exact: Outputs | None = None
    ) -> Closeness:
        """Compare an exported model with its torch network.

        exact   of an INT8 network: the float network's outputs on the same examples
        raises  ParityError with the numbers, the model and what to do.
        """
        ...


TASKS: dict[TaskName, str] = {
    "classification": "edgetl.tasks.classification.task:Classification",
    "detection": "edgetl.tasks.detection.task:Detection",
}
"""Imported on first use."""


def load_task(name: TaskName, heads: Sequence[HeadClasses] = ()) -> Task:
    """heads  whose logits are side by side, if a classifier has several"""
    if heads:
        from edgetl.tasks.heads.task import Heads

        return Heads(heads)
    module, _, attribute = TASKS[name].partition(":")
    task: Task = getattr(import_module(module), attribute)()
    return task
