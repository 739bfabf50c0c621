"""The gates on accuracy: whether measured values meet them, and which of them the float network itself misses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgetl.recipes.gates import Gates, HeadGates
from edgetl.tasks.heads.scores import HeadScores
from edgetl.types import ClassRecall
from edgetl.types.measured import Quality

_SLACK = 5e-7  # a float accuracy may be the sum of a share and a difference of shares; half an image in a million

Recalls = Mapping[str, ClassRecall]
"""By class."""


@dataclass(frozen=True)
class OfHead:
    """One of several heads: its top-1, a fraction, and what it lost against the float network, in points."""

    score: float
    drop_points: float

    @property
    def float_score(self) -> float:
        return self.score + self.drop_points / 100


HeadValues = Mapping[str, OfHead]
"""By head; empty for a network with one."""
_NO_HEADS: HeadValues = {}


def heads_of(quality: Quality) -> dict[str, OfHead]:
    """What the gates of each head are about; nothing without several heads."""
    if not isinstance(quality, HeadScores):
        return {}
    return {name: OfHead(each.top1.value, each.drop_points.value) for name, each in quality.measured}


def names(gates: Gates) -> tuple[str, ...]:
    """The recipe keys of the gates on accuracy that are set."""
    keys = ("max_drop_points", "min_score", "min_top1", "min_recall", "max_recall_drop_points")
    return (*(key for key in keys if getattr(gates, key) not in (None, {})), *["heads"] * bool(gates.heads))


def allow(
    gates: Gates,
    drop_points: float,
    score: float,
    recalls: Recalls,
    *,
    share: float = 1.0,
    heads: HeadValues = _NO_HEADS,
) -> bool:
    """Whether measured values meet them. A class that is unknown or has no images is not judged.

    score  the task's metric, a fraction; share  of the allowed drops that may be used
    heads  of several: each must meet them, whatever `drop_points` and `score` are
    """
    if heads:
        values = [(gates.of_head(name), each.drop_points, each.score) for name, each in heads.items()]
    else:
        values = [(gates, drop_points, score)]
    allowed = (
        all(own.max_drop_points is None or drop <= share * own.max_drop_points for own, drop, _ in values),
        all(own.least_score is None or found >= own.least_score for own, _, found in values),
        all(_recall(recalls, label, least) >= least for label, least in (gates.min_recall or {}).items()),
        gates.max_recall_drop_points is None or _largest_drop(recalls) <= share * gates.max_recall_drop_points,
    )
    return all(allowed)


def missed_by_float(
    gates: Gates, metric: str, score: float, recalls: Recalls, heads: HeadValues = _NO_HEADS
) -> tuple[str, ...]:
    """The gates that the float network itself misses, in words. Quantization is not the cause, so nothing is done about
    it.

    score  of the float network; recalls  whose `float_recall` is its own; heads  whose `float_score` is its own
    """
    sentences = []
    values = [(f"top-1 of {name}", gates.of_head(name), each.float_score) for name, each in heads.items()]
    for what, own, found_score in values or [(metric, gates, score)]:
        limit = own.least_score
        if limit is not None and found_score < limit - _SLACK:
            key = "heads" if own.score_key != gates.score_key or own.least_score != gates.least_score else own.score_key
            sentences.append(f"{what} of {100 * found_score:.1f} %, but gates.{key} requires {100 * limit:g} %")
    for label, least in (gates.min_recall or {}).items():
        found = _float_recall(recalls, label)
        if found is not None and found < least - _SLACK:
            sentences.append(
                f"a recall of {100 * found:.1f} % for `{label}`, but gates.min_recall requires {100 * least:g} %"
            )
    return tuple(sentences)


def within_reach(gates: Gates, score: float, recalls: Recalls, heads: HeadValues = _NO_HEADS) -> Gates:
    """The gates without those that the float network itself misses: the ones that training or layers in float can still
    meet."""
    floors = {
        label: least
        for label, least in (gates.min_recall or {}).items()
        if (found := _float_recall(recalls, label)) is None or found >= least - _SLACK
    }
    if heads:
        return _of_heads_within_reach(gates, heads).model_copy(update={"min_recall": floors or None})
    reached = gates.least_score is None or score >= gates.least_score - _SLACK
    return (gates if reached else gates.without_score()).model_copy(update={"min_recall": floors or None})


def _of_heads_within_reach(gates: Gates, heads: HeadValues) -> Gates:
    """A head whose lowest score the float network misses gets one that every network meets."""
    own = dict(gates.heads or {})
    for name, each in heads.items():
        least = gates.of_head(name).least_score
        if least is not None and each.float_score < least - _SLACK:
            own[name] = own.get(name, HeadGates()).model_copy(update={"min_score": 0.0})
    return gates.model_copy(update={"heads": own or None})


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
