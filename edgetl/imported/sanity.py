"""Whether the float network recognizes the user's own shots, and if not, what is probably wrong. Never looks at
validation images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgetl.imported.original import Original, Pixels
from edgetl.imported.read import Opened
from edgetl.imported.record import Scored
from edgetl.recipes.network import USUAL, Normalization
from edgetl.types import stats

IMAGES = 64
"""On which the usual preprocessings are compared."""
_ERRORS = 2.0  # standard errors
_PURE = 0.6  # share of a class's images with one prediction, from which the network is said to know it


@dataclass(frozen=True)
class Judged:
    """lost  whether the network is no better than a guess"""

    scored: Scored
    others: tuple[Scored, ...]
    sentence: str
    lost: bool


def judge(
    network: Original,
    logits: NDArray[np.float32],
    batches: Sequence[Pixels],
    labels: NDArray[np.int64],
    how: Normalization,
    classes: Sequence[str],
    opened: Opened,
) -> Judged:
    """logits  (N, classes) of the shots as given, `labels` (N,); batches  the first of the shots, up to IMAGES"""
    answers = logits.argmax(1)
    right = answers == labels
    scored = Scored("as given", stats.wilson(int(right.sum()), len(right)))
    few = sum(len(batch) for batch in batches)
    mine = right[:few]
    ways = _ways(how, opened)
    rights = {name: network.over(batches, way).reshape(few, -1).argmax(1) == labels[:few] for name, way in ways.items()}
    others = [Scored("as given", stats.wilson(int(mine.sum()), few))]
    others += [Scored(name, stats.wilson(int(each.sum()), few)) for name, each in rights.items()]
    best = max(rights, key=lambda name: int(rights[name].sum()), default="")
    better = bool(best) and _clearly_better(rights[best], mine)
    lost = _near_chance(right, labels, len(classes))
    return Judged(scored, tuple(others), _sentence(lost, better, best, rights, mine, answers, labels, classes), lost)


def _ways(how: Normalization, opened: Opened) -> dict[str, Normalization]:
    """The usual preprocessings other than the one given, and the other order of colors."""
    swapped = Normalization(how.scale, how.mean, how.std, "rgb" if how.color == "bgr" else "bgr")
    ways: dict[str, Normalization] = {f"color: {swapped.color}": swapped}
    if not opened.takes_bytes:
        ways |= {f"normalize: {name}": way for name, way in USUAL.items() if way != how}
    return {name: way for name, way in ways.items() if opened.channels > 1 or way.suits_gray()}


def _clearly_better(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> bool:
    """By a sign test on the images where they differ."""
    won, lost = int((one & ~other).sum()), int((other & ~one).sum())
    return won - lost > _ERRORS * math.sqrt(max(won + lost, 1))


def _near_chance(right: NDArray[np.bool_], labels: NDArray[np.int64], classes: int) -> bool:
    share = max(1 / classes, float(np.bincount(labels).max()) / len(labels) if len(np.unique(labels)) > 1 else 0.0)
    return float(right.sum()) <= len(right) * share + _ERRORS * math.sqrt(len(right) * share * (1 - share))


def _sentence(
    lost: bool,
    better: bool,
    best: str,
    rights: dict[str, NDArray[np.bool_]],
    mine: NDArray[np.bool_],
    answers: NDArray[np.int64],
    labels: NDArray[np.int64],
    classes: Sequence[str],
) -> str:
    given = f"{100 * mine.mean():.0f} % of {len(mine)} training images are right"
    if better:
        return (
            f"the preprocessing is probably wrong: {given} as given, {100 * rights[best].mean():.0f} % with {best}; "
            "if that is how the network was trained, set it"
        )
    if not lost:
        return ""
    start = f"the float network is no better than a guess: {given}"
    if swap := _other_order(answers, labels, classes):
        return f"{start}; the order of the classes is probably another: {swap}; give it with --classes"
    return (
        f"{start}, and no usual preprocessing is better; check the order of the classes (--classes) and how the images "
        "were prepared in training (--mean, --std, --scale, --resize)"
    )


def _other_order(answers: NDArray[np.int64], labels: NDArray[np.int64], classes: Sequence[str]) -> str:
    """An example of a class that is always taken for another one; empty if the network does not separate them."""
    pure: list[tuple[int, int]] = []
    for label in np.unique(labels):
        given = np.bincount(answers[labels == label], minlength=len(classes))
        if given.max() >= _PURE * given.sum() and given.sum() > 1:
            pure.append((int(label), int(given.argmax())))
    wrong = [pair for pair in pure if pair[0] != pair[1]]
    distinct = len({answer for _, answer in pure}) == len(pure)
    if not wrong or not distinct or len(pure) < len(np.unique(labels)) / 2:
        return ""
    label, answer = wrong[0]
    return f"images of `{classes[label]}` are taken for `{classes[answer]}`"
