"""Accuracy per class as the page shows it: complete tables for few classes; for many classes the lowest recalls and
the most frequent confusions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgetl.report.model import Recall

MAX_TABLE_CLASSES = 24
_MIX_UPS = 15


@dataclass(frozen=True)
class Cell:
    """One count; `shade` in 0..100 is its share of the row (the true class) in percent."""

    count: int
    shade: int
    right: bool


@dataclass(frozen=True)
class MixUp:
    truth: str
    answer: str
    count: int
    of: int


@dataclass(frozen=True)
class Confusion:
    """`rows` is empty if there are too many classes for a table; `mix_ups` are the most common, most frequent first.

    wrong       images predicted wrongly, including those of `not_finite`
    not_finite  images with NaN or infinite logits; they are in no row and no mix-up
    """

    classes: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    mix_ups: tuple[MixUp, ...]
    wrong: int
    not_finite: int


def lowest(recalls: Sequence[Recall]) -> tuple[Recall, ...]:
    """All recalls in the order of the classes, or the lowest ones if there are too many classes for a table."""
    if len(recalls) <= MAX_TABLE_CLASSES:
        return tuple(recalls)
    known = [each for each in recalls if each.recall is not None]
    return tuple(sorted(known, key=lambda each: (each.recall or 0.0, each.label))[:_MIX_UPS])


def shape_confusion(counts: Sequence[Sequence[int]], classes: Sequence[str], not_finite: int) -> Confusion:
    """counts      (classes, classes): row the true class, column the prediction.
    not_finite  images that are not in `counts`, because their logits were NaN or infinite
    """
    totals = [sum(row) for row in counts]
    mistakes = [
        MixUp(classes[i], classes[j], count, totals[i])
        for i, row in enumerate(counts)
        for j, count in enumerate(row)
        if count and i != j
    ]
    mistakes.sort(key=lambda mix_up: (-mix_up.count, mix_up.truth, mix_up.answer))
    rows: tuple[tuple[Cell, ...], ...] = ()
    if len(classes) <= MAX_TABLE_CLASSES:
        rows = tuple(
            tuple(Cell(count, round(100 * count / max(totals[i], 1)), i == j) for j, count in enumerate(row))
            for i, row in enumerate(counts)
        )
    wrong = sum(mistake.count for mistake in mistakes) + not_finite
    return Confusion(tuple(classes), rows, tuple(mistakes[:_MIX_UPS]), wrong, not_finite)
