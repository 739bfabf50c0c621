"""The gates on accuracy: whether measured values meet them, and which of them the float network itself misses."""

from __future__ import annotations

from collections.abc import Mapping

from edgetl.recipes.gates import Gates
from edgetl.types import ClassRecall

_SLACK = 5e-7  # a float accuracy may be the sum of a share and a difference of shares; half an image in a million

Recalls = Mapping[str, ClassRecall]
"""By class."""


def names(gates: Gates) -> tuple[str, ...]:
    """The recipe keys of the gates on accuracy that are set."""
    keys = ("max_drop_points", "min_score", "min_top1", "min_recall", "max_recall_drop_points")
    return tuple(key for key in keys if getattr(gates, key) not in (None, {}))


def allow(gates: Gates, drop_points: float, score: float, recalls: Recalls, *, share: float = 1.0) -> bool:
    """Whether measured values meet them. A class that is unknown or has no images is not judged.

    score  the task's metric, a fraction; share  of the allowed drops that may be used
    """
    allowed = (
        gates.max_drop_points is None or drop_points <= share * gates.max_drop_points,
        gates.least_score is None or score >= gates.least_score,
        all(_recall(recalls, label, least) >= least for label, least in (gates.min_recall or {}).items()),
        gates.max_recall_drop_points is None or _largest_drop(recalls) <= share * gates.max_recall_drop_points,
    )
    return all(allowed)


def missed_by_float(gates: Gates, metric: str, score: float, recalls: Recalls) -> tuple[str, ...]:
    """The gates that the float network itself misses, in words. Quantization is not the cause, so nothing is done about
    it.

    score  of the float network; recalls  whose `float_recall` is its own
    """
    sentences = []
    least = gates.least_score
    if least is not None and score < least - _SLACK:
        sentences.append(f"{metric} of {100 * score:.1f} %, but gates.{gates.score_key} requires {100 * least:g} %")
    for label, least in (gates.min_recall or {}).items():
        found = _float_recall(recalls, label)
        if found is not None and found < least - _SLACK:
            sentences.append(
                f"a recall of {100 * found:.1f} % for `{label}`, but gates.min_recall requires {100 * least:g} %"
            )
    return tuple(sentences)


def within_reach(gates: Gates, score: float, recalls: Recalls) -> Gates:
    """The gates without those that the float network itself misses: the ones that training or layers in float can still
    meet."""
    floors = {
        label: least
        for label, least in (gates.min_recall or {}).items()
        if (found := _float_recall(recalls, label)) is None or found >= least - _SLACK
    }
    reached = gates.least_score is None or score >= gates.least_score - _SLACK
    return (gates if reached else gates.without_score()).model_copy(update={"min_recall": floors or None})


def worst(recalls: Recalls) -> tuple[str, ClassRecall] | None:
    """The class that lost most against the float network, and its recall; None if no class has images."""
    known = [(label, found) for label, found in recalls.items() if found.drop_points is not None]
    return max(known, key=lambda pair: pair[1].drop_points.value if pair[1].drop_points else 0.0, default=None)


def _recall(recalls: Recalls, label: str, otherwise: float) -> float:
    found = recalls.get(label)
    return found.recall.value if found is not None and found.recall is not None else otherwise


def _float_recall(recalls: Recalls, label: str) -> float | None:
    found = recalls.get(label)
    return found.float_recall.value if found is not None and found.float_recall is not None else None


def _largest_drop(recalls: Recalls) -> float:
    found = worst(recalls)
    return found[1].drop_points.value if found is not None and found[1].drop_points is not None else 0.0
