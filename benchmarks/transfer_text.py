"""The cells of `transfer.py` as Markdown: accuracies, paired differences, goals, seconds.

Sets are fixed and draws are the sample: every interval is Student's over draws, and a mean over sets is one number
per draw before it becomes an interval.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from result_file import NOTHING, number, table
from scipy.stats import t as student
from transfer_cells import Cell, Key

OURS = "auto"
BASELINES = ("logistic", "last_layer", "tutorial")
GOAL_SHOTS = 10
GOALS = {"logistic": 5.0, "tutorial": 4.0}
"""By how many points the mean over the sets is to be above a baseline, at GOAL_SHOTS."""
WORST_ALLOWED = -0.5
"""Points that the mean over draws may be below the best baseline of the set, on every set."""

_CONFIDENCE = 0.95
Scores = Mapping[int, float]
"""Draw -> points."""


@dataclass(frozen=True)
class Mean:
    """A mean over `draws` draws; `half` the half width of its 95 % interval, None for a single draw."""

    value: float
    half: float | None
    draws: int

    def text(self, digits: int = 1, sign: str = "") -> str:
        """`76.1 ± 1.2`, or without an interval `76.1`."""
        value = f"{self.value:{sign}.{digits}f}"
        return value if self.half is None else f"{value} ± {self.half:.{digits}f}"


def mean(values: Sequence[float]) -> Mean | None:
    """Student's interval, n - 1 degrees of freedom; None of no values."""
    if not values:
        return None
    if len(values) == 1:
        return Mean(values[0], None, 1)
    quantile = float(student.ppf(0.5 + _CONFIDENCE / 2, len(values) - 1))
    return Mean(statistics.fmean(values), quantile * statistics.stdev(values) / math.sqrt(len(values)), len(values))


@dataclass(frozen=True)
class Board:
    """The cells of one backbone at one number of shots."""

    shots: int
    datasets: tuple[str, ...]
    methods: tuple[str, ...]
    cells: Mapping[tuple[str, str], Mapping[int, Cell]]  # (set, method) -> draw -> cell

    def top1(self, dataset: str, method: str) -> dict[int, float]:
        """Draw -> top-1 in percent."""
        return {draw: 100 * cell.top1 for draw, cell in self.cells.get((dataset, method), {}).items()}

    def difference(self, dataset: str, method: str, baseline: str) -> dict[int, float]:
        """Draw -> points that `method` is above `baseline`, for the draws that both have on the same split."""
        ours, theirs = self.cells.get((dataset, method), {}), self.cells.get((dataset, baseline), {})
        both = [draw for draw in ours if draw in theirs and ours[draw].split == theirs[draw].split]
        return {draw: 100 * (ours[draw].top1 - theirs[draw].top1) for draw in both}

    def best_baseline(self, dataset: str) -> str | None:
        """The baseline with the highest mean over the draws that all of them and ours have."""
        rivals = [name for name in BASELINES if name in self.methods]
        scores = {name: self.top1(dataset, name) for name in (*rivals, OURS)}
        common = set.intersection(*(set(each) for each in scores.values()))
        if not rivals or not common:
            return None
        return max(rivals, key=lambda name: sum(scores[name][draw] for draw in common))


def shown_cells(cells: Sequence[Cell], versions: Mapping[str, Sequence[str]]) -> list[Cell]:
    """For every set, number of shots, draw and method: the cell of the method's first version that has one."""
    found: dict[Key, Cell] = {}
    for cell in cells:
        order, place = versions.get(cell.key.method, ()), replace(cell.key, version="")
        if cell.key.version not in order:
            continue
        rival = found.get(place)
        if rival is None or order.index(cell.key.version) < order.index(rival.key.version):
            found[place] = cell
    return list(found.values())


def boards(cells: Sequence[Cell]) -> list[Board]:
    """One board per number of shots, fewest first."""
    return [_board([cell for cell in cells if cell.key.shots == n], n) for n in sorted({c.key.shots for c in cells})]


def newest_versions(cells: Sequence[Cell]) -> dict[str, tuple[str, ...]]:
    """Method -> version of its cell that was finished last."""
    return {cell.key.method: (cell.key.version,) for cell in cells}


def version_text(cells: Sequence[Cell]) -> str:
    """`auto 9 (31 cells) and 8 (89 cells), logistic 1`."""
    counts = Counter((cell.key.method, cell.key.version) for cell in cells)
    methods: dict[str, dict[str, int]] = {}
    for (method, version), count in counts.most_common():
        methods.setdefault(method, {})[version] = count
    return ", ".join(f"{method} {_counted(found)}" for method, found in sorted(methods.items()))


def _counted(versions: Mapping[str, int]) -> str:
    if len(versions) == 1:
        return next(iter(versions))
    return " and ".join(f"{version} ({count} cells)" for version, count in versions.items())


def over_sets(per_set: Sequence[Scores]) -> Mean | None:
    """Mean over sets, from the draws that every set has. If there is no such draw, the mean of the sets' means, without
    an interval; None if a set has nothing at all."""
    if not per_set or not all(per_set):
        return None
    common = sorted(set.intersection(*(set(scores) for scores in per_set)))
    if not common:
        return Mean(statistics.fmean(statistics.fmean(scores.values()) for scores in per_set), None, 0)
    return mean([statistics.fmean(scores[draw] for scores in per_set) for draw in common])


def section(board: Board) -> str:
    """Everything about one number of shots."""
    parts = [f"## {board.shots} shots per class", _accuracies(board)]
    if OURS in board.methods:
        parts += [_differences(board), _aims(board)]
    return "\n\n".join([*parts, _seconds(board)])


def board_data(board: Board) -> dict[str, Any]:
    """The numbers behind `section` as a JSON value."""
    pairs = [(OURS, name) for name in BASELINES] if OURS in board.methods else []
    return {
        "shots": board.shots,
        "top1_percent": {
            name: {
                **{dataset: _json(mean([*board.top1(dataset, name).values()])) for dataset in board.datasets},
                "mean of the sets": _json(over_sets([board.top1(dataset, name) for dataset in board.datasets])),
            }
            for name in board.methods
        },
        "difference_points": {
            f"{ours} - {theirs}": {
                **{d: _json(mean([*board.difference(d, ours, theirs).values()])) for d in board.datasets},
                "mean of the sets": _json(over_sets([board.difference(d, ours, theirs) for d in board.datasets])),
            }
            for ours, theirs in pairs
        },
        "best_baseline": {dataset: board.best_baseline(dataset) for dataset in board.datasets},
        "cells": [asdict(cell) for draws in board.cells.values() for cell in draws.values()],
    }


def _board(cells: Sequence[Cell], shots: int) -> Board:
    found: dict[tuple[str, str], dict[int, Cell]] = {}
    for cell in cells:
        found.setdefault((cell.key.dataset, cell.key.method), {})[cell.key.draw] = cell
    datasets = tuple(dict.fromkeys(cell.key.dataset for cell in cells))
    named = [cell.key.method for cell in cells]
    known = [name for name in (*BASELINES, "probe", OURS) if name in named]
    return Board(shots, datasets, tuple(dict.fromkeys([*known, *named])), found)


def _accuracies(board: Board) -> str:
    rows = [
        (dataset, *(_text(mean([*board.top1(dataset, name).values()])) for name in board.methods))
        for dataset in board.datasets
    ]
    means = (_text(over_sets([board.top1(d, name) for d in board.datasets])) for name in board.methods)
    rows.append(("**mean of the sets**", *means))
    return f"Top-1 in percent, mean over draws with its 95 % interval{_draws(board)}:\n\n" + table(
        ("set", *board.methods), rows
    )


def _differences(board: Board) -> str:
    rivals = [name for name in BASELINES if name in board.methods]
    rows = []
    for dataset in board.datasets:
        found = [mean([*board.difference(dataset, OURS, name).values()]) for name in rivals]
        rows.append(
            (dataset, *(_text(each, "+") for each in found), *_against_best(board, dataset), _chosen(board, dataset))
        )
    means = (_text(over_sets([board.difference(d, OURS, name) for d in board.datasets]), "+") for name in rivals)
    rows.append(("**mean of the sets**", *means, NOTHING, NOTHING, _chosen(board, *board.datasets)))
    header = ("set", *(f"over {name}" for name in rivals), "over the best baseline", "which", "strategies chosen")
    unpaired = _unpaired(board)
    note = f"; {unpaired} pairs on different images were left out: make the baselines again" if unpaired else ""
    title = f"Points that `{OURS}` is above the baselines, paired by draw (below zero it is behind{note}):"
    return f"{title}\n\n" + table(header, rows)


def _aims(board: Board) -> str:
    lines = []
    for name, goal in GOALS.items() if board.shots == GOAL_SHOTS else ():
        found = over_sets([board.difference(dataset, OURS, name) for dataset in board.datasets])
        if found:
            lines.append(
                f"- above {name} on the mean of the sets: {found.text(sign='+')} points, {_verdict(found, goal)}"
            )
    worst = _worst(board)
    if worst:
        dataset, found, baseline = worst
        lines.append(
            f"- the worst set against its best baseline: {dataset}, {found.text(sign='+')} points over {baseline}, "
            f"{_verdict(found, WORST_ALLOWED)}"
        )
    return "\n".join(["What was aimed for:", "", *lines]) if lines else "Nothing to compare with yet."


def _worst(board: Board) -> tuple[str, Mean, str] | None:
    found = []
    for dataset in board.datasets:
        name = board.best_baseline(dataset)
        difference = mean([*board.difference(dataset, OURS, name).values()]) if name else None
        if name and difference:
            found.append((dataset, difference, name))
    return min(found, key=lambda each: each[1].value, default=None)


def _verdict(found: Mean, goal: float) -> str:
    missing = goal - found.value
    return f"aim {goal:+.1f}: " + ("reached" if missing <= 0 else f"missed by {missing:.1f}")


def _against_best(board: Board, dataset: str) -> tuple[str, str]:
    name = board.best_baseline(dataset)
    if name is None:
        return NOTHING, NOTHING
    return _text(mean([*board.difference(dataset, OURS, name).values()]), "+"), name


def _chosen(board: Board, *datasets: str) -> str:
    counts = Counter(cell.strategy for d in datasets for cell in board.cells.get((d, OURS), {}).values())
    return ", ".join(f"{name} {count}" for name, count in counts.most_common()) or NOTHING


def _seconds(board: Board) -> str:
    rows = []
    for dataset in board.datasets:
        found = [[cell.seconds for cell in board.cells.get((dataset, name), {}).values()] for name in board.methods]
        rows.append((dataset, *(number(statistics.median(each) if each else None, 1) for each in found)))
    threads = sorted({cell.threads for draws in board.cells.values() for cell in draws.values()})
    used = " or ".join(map(str, threads))
    return f"Seconds of adaptation, median over draws, on {used} thread(s):\n\n" + table(("set", *board.methods), rows)


def _unpaired(board: Board) -> int:
    """Pairs of cells of one draw that saw different images."""
    ours = {(d, draw): cell for d in board.datasets for draw, cell in board.cells.get((d, OURS), {}).items()}
    return sum(
        ours[d, draw].split != cell.split
        for (d, name), draws in board.cells.items()
        for draw, cell in draws.items()
        if name in BASELINES and (d, draw) in ours
    )


def _draws(board: Board) -> str:
    counts = sorted({len(draws) for draws in board.cells.values()})
    return f" ({counts[0]} draws)" if len(counts) == 1 else f" ({counts[0]} to {counts[-1]} draws: not all is finished)"


def _text(found: Mean | None, sign: str = "") -> str:
    return NOTHING if found is None else found.text(sign=sign)


def _json(found: Mean | None) -> dict[str, Any] | None:
    return None if found is None else asdict(found)
