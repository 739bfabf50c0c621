"""Which classes are mistaken for each other, and which objects are invented or missed, as the page shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgetl.report.model import Recall

MAX_TABLE_CLASSES = 24
_MIX_UPS = 15
_SENTENCES = 15


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


@dataclass(frozen=True)
class ObjectConfusion:
    """columns  classes, then `missed`;  rows  with their names, classes, then `nothing there`; no rows if there are
    too many classes for a table, then `sentences` has the most frequent mistakes."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell | None, ...]], ...]
    sentences: tuple[str, ...]


def shape_objects(counts: NDArray[np.int64], classes: Sequence[str]) -> ObjectConfusion:
    """counts  (C + 1, C + 1) as `edgetl.tasks.detection.curves.confusion` gives them"""
    count = len(classes)
    if count > MAX_TABLE_CLASSES:
        return ObjectConfusion((), (), _sentences(counts, classes))
    totals = np.maximum(counts.sum(axis=1), 1)
    names = (*classes, "nothing there")
    rows = tuple((names[i], tuple(_cell(counts, totals, i, j) for j in range(count + 1))) for i in range(count + 1))
    return ObjectConfusion((*classes, "missed"), rows, ())


def _cell(counts: NDArray[np.int64], totals: NDArray[np.int64], i: int, j: int) -> Cell | None:
    background = len(counts) - 1
    if i == j == background:
        return None  # places without objects are not counted
    value = int(counts[i, j])
    return Cell(value, round(100 * value / int(totals[i])), i == j)


def _sentences(counts: NDArray[np.int64], classes: Sequence[str]) -> tuple[str, ...]:
    background = len(classes)
    wrong = [(int(counts[i, j]), i, j) for i, j in zip(*np.nonzero(counts), strict=True) if i != j]
    wrong.sort(key=lambda each: (-each[0], each[1], each[2]))
    said = []
    for value, i, j in wrong[:_SENTENCES]:
        if i == background:
            said.append(f"{classes[j]} reported where nothing is labeled: {value}")
        elif j == background:
            said.append(f"{classes[i]} missed: {value} of {int(counts[i].sum())}")
        else:
            said.append(f"{classes[i]} reported as {classes[j]}: {value} of {int(counts[i].sum())}")
    return tuple(said)
