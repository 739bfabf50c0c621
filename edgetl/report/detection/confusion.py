"""Which classes of objects are mistaken for each other, invented or missed, as the page shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgetl.report.confusion import MAX_TABLE_CLASSES, Cell

_SENTENCES = 15


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
