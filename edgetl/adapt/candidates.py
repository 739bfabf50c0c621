"""The rows of the report: every candidate of the search with its accuracy and cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgetl.adapt.guards import Judged
from edgetl.stats import paired_difference, wilson

State = Literal["judged", "dropped", "over budget", "diverged", "failed", "not judged: nothing could be held out"]


@dataclass(frozen=True)
class Candidate:
    """A head or a way of fine-tuning; values that were not measured are None. Accuracies are fractions with 95 %
    intervals.

    images             held-out images of its evaluation
    difference_points  its accuracy minus that of the best head, on the same images
    """

    name: str
    kind: Literal["head", "finetune"]
    setting: str
    state: State
    folds: int = 0
    seconds: float = 0.0
    images: int = 0
    top1: float | None = None
    top1_low: float | None = None
    top1_high: float | None = None
    loss: float | None = None
    difference_points: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None
    chosen: bool = False


def judged_row(
    judged: Judged,
    rival: Judged | None,
    *,
    kind: Literal["head", "finetune"],
    setting: str,
    state: State,
    folds: int,
    seconds: float,
    chosen: bool,
) -> Candidate:
    """An evaluated candidate; `rival` is the best head on the same images, None for that head itself."""
    share = wilson(int(judged.right.sum()), len(judged.right))
    difference = paired_difference(judged.right, rival.right) if rival else None
    return Candidate(
        name=judged.name,
        kind=kind,
        setting=setting,
        state=state,
        folds=folds,
        seconds=seconds,
        images=len(judged.right),
        top1=share.value,
        top1_low=share.low,
        top1_high=share.high,
        loss=float(judged.loss.mean()),
        difference_points=difference.value if difference else None,
        difference_low=difference.low if difference else None,
        difference_high=difference.high if difference else None,
        chosen=chosen,
    )
