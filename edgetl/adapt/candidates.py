"""The rows of the report: every candidate of the search with its accuracy and cost."""

from __future__ import annotations

from typing import Literal

from edgetl.adapt.guards import Judged
from edgetl.adapt.record import Candidate, State
from edgetl.types.stats import paired_difference, wilson


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
