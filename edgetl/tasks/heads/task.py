"""Several heads behind the contract of a task: their logits side by side, and the largest of each head's is its
answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgetl.tasks.base import Closeness
from edgetl.tasks.classification import closeness
from edgetl.tasks.classification.task import Classification
from edgetl.tasks.heads.scores import METRIC, HeadScores, measure
from edgetl.types import OUTPUT_NAME

if TYPE_CHECKING:
    from edgetl.tasks.base import Answers, Outputs
    from edgetl.tasks.detection.detections import Postprocess
    from edgetl.types import HeadClasses, ModelKind, Truth


class Heads(Classification):
    """A classification whose logits are those of several heads."""

    metric = METRIC

    def __init__(self, heads: Sequence[HeadClasses]) -> None:
        self.heads = tuple(heads)

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
    ) -> HeadScores:
        return measure(self.heads, answers, truths, reference, seed)

    def agreeing(self, found: Outputs, expected: Outputs) -> tuple[int, int]:
        counts = [super(Heads, self).agreeing(*_of(head, found, expected)) for head in self.heads]
        return sum(same for same, _ in counts), sum(every for _, every in counts)

    def closeness(
        self, found: Outputs, expected: Outputs, kind: ModelKind, where: str, exact: Outputs | None = None
    ) -> Closeness:
        """Of the head that is farthest from its tolerance; every head must be close."""
        each = []
        for head in self.heads:
            ours, theirs = (outputs[OUTPUT_NAME] for outputs in _of(head, found, expected))
            floats = None if exact is None else exact[OUTPUT_NAME][:, head.columns]
            each.append(closeness.compare(ours, theirs, kind=kind, where=f"{where}: head {head.name}", exact=floats))
        widest = max(each, key=lambda close: close.difference / close.tolerance)
        return Closeness(widest.difference, widest.tolerance, min(close.agreement for close in each))


def _of(head: HeadClasses, *outputs: Outputs) -> tuple[Outputs, ...]:
    return tuple({OUTPUT_NAME: each[OUTPUT_NAME][:, head.columns]} for each in outputs)
