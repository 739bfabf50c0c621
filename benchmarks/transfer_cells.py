"""The cells of `transfer.py`: one method on one draw of one set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cell_file


@dataclass(frozen=True)
class Key:
    """Identifies a cell. `version` names the method's code and settings."""

    backbone: str
    dataset: str
    shots: int
    draw: int
    method: str
    version: str


@dataclass(frozen=True)
class Cell:
    """The result of one cell.

    top1       share of the `images` validation images that were classified correctly
    seconds    wall time of the adaptation alone, on `threads` threads
    strategy   what edgetl chose; empty for the baselines
    split      digest of the images: where it is equal, the same ones taught and measured
    made_with  `result_file.made_here`
    """

    key: Key
    top1: float
    images: int
    seconds: float
    threads: int
    split: str
    strategy: str = ""
    made_with: str = ""


@dataclass(frozen=True)
class CellFile(cell_file.CellFile[Cell]):
    """`cells.jsonl`."""

    kind: type[Cell] = Cell


def plan(
    backbone: str,
    datasets: Sequence[str],
    shots: Sequence[int],
    draws: Iterable[int],
    methods: Sequence[str],
    versions: dict[str, str],
    *,
    draws_first: bool,
) -> list[Key]:
    """All cells in the order they are made: sets innermost, so that the first finished cells already fill a table.

    draws_first  a first draw at all numbers of shots before the second draw; else all draws before the next number
    """
    outer = [(count, draw) for draw in draws for count in shots]
    if not draws_first:
        outer.sort(key=lambda pair: shots.index(pair[0]))
    return [
        Key(backbone, dataset, count, draw, method, versions[method])
        for count, draw in outer
        for method in methods
        for dataset in datasets
    ]
