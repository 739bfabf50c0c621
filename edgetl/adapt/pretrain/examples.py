"""Examples without labels: read once, without copies and validation parts, some of them held out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetl.data.gather import gather
from edgetl.data.lists import only
from edgetl.errors import DataError
from edgetl.files.rows import Row, row_of
from edgetl.fronts.base import Unreadable, load_front
from edgetl.fronts.series.front import SeriesFront
from edgetl.fronts.series.load import read_window
from edgetl.fronts.text.read import read_example
from edgetl.fronts.text.tables import open_table
from edgetl.types import FrontName, Progress, Skipped

FEWEST = 50
_HELD_OUT = 0.1
_FEWEST_HELD_OUT = 10
_TRAIN = ("", "train", "training", "trn")


@dataclass(frozen=True)
class Examples:
    """Different examples in the order of the data.

    values   texts, or windows as float32 (steps, channels)
    digests  sha256 of their content, by place
    copies   how many more were the same;  other_parts  how many are marked as validation or test
    """

    values: tuple[Any, ...]
    digests: dict[str, str]
    copies: int
    other_parts: int
    skipped: tuple[Skipped, ...]

    def parts(self, seed: int) -> tuple[list[Any], list[Any]]:
        """Those to train on, and a tenth that is held out, at least ten."""
        order = np.random.default_rng(seed).permutation(len(self.values)).tolist()
        count = max(_FEWEST_HELD_OUT, round(_HELD_OUT * len(order)))
        held_out, training = sorted(order[:count]), sorted(order[count:])
        return [self.values[index] for index in training], [self.values[index] for index in held_out]


def read_examples(path: Path, front: FrontName, column: str | None, progress: Progress) -> Examples:
    """Everything that `path` means (`edgetl.data.gather`). Raises DataError if fewer than FEWEST differ or windows have
    other channels than the first one."""
    places, others = _for_training(path, front, column)
    seen: dict[bytes, str] = {}
    values: list[Any] = []
    skipped: list[Skipped] = []
    read: Callable[[Path], Any] = read_example if front == "text" else read_window
    copies = 0
    with progress.task(f"reading {load_front(front).noun}s", total=len(places)) as advance:
        for place in places:
            advance()
            try:
                value = read(place)
            except Unreadable as error:
                skipped.append(Skipped(str(place), error.reason))
                continue
            digest = hashlib.sha256(value.encode() if isinstance(value, str) else value.tobytes()).digest()
            copies += digest in seen
            if digest not in seen:
                seen[digest] = str(place)
                values.append(value)
    _require(path, front, values, skipped, list(seen.values()))
    return Examples(
        tuple(values), {name: digest.hex() for digest, name in seen.items()}, copies, others, tuple(skipped)
    )


def _for_training(path: Path, front: FrontName, column: str | None) -> tuple[list[Path], int]:
    """Places of all examples that are not marked as validation or test, and the number of those that are."""
    found = gather([path], front, column)
    if found.problems:
        raise DataError(found.problems[0])
    rows = {str(place): row for place in found.paths if (row := row_of(place))}
    marked = _marked_rows(rows) if front == "text" else _marked_windows({row.table for row in rows.values()})
    kept = [place for place in found.paths if str(place) not in marked]
    return kept, len(found.paths) - len(kept)


def _marked_rows(rows: Mapping[str, Row]) -> set[str]:
    marked = set()
    for place, row in rows.items():
        table = open_table(row.table)
        split = only(table.columns, ("split",))
        if split is not None and table.text(row.number, split).strip().lower() not in _TRAIN:
            marked.add(place)
    return marked


def _marked_windows(tables: Iterable[Path]) -> set[str]:
    rows = [each for table in tables for each in SeriesFront().rows(table, None)]
    return {str(each.row) for each in rows if each.part in ("val", "test")}


def _require(
    path: Path, front: FrontName, values: Sequence[Any], skipped: Sequence[Skipped], places: Sequence[str]
) -> None:
    noun = load_front(front).noun
    if len(values) < FEWEST:
        broken = (
            f"; {len(skipped)} cannot be read, for example {skipped[0].path}: {skipped[0].reason}" if skipped else ""
        )
        raise DataError(f"{path}: expected at least {FEWEST} different {noun}s, found {len(values)}{broken}")
    if front == "series":
        other = next((index for index, value in enumerate(values) if value.shape[1] != values[0].shape[1]), None)
        if other is not None:
            raise DataError(
                f"{places[other]}: expected {values[0].shape[1]} channels as in {places[0]}, "
                f"found {values[other].shape[1]}; windows for pretraining have the same channels"
            )


def statistics(windows: Sequence[NDArray[np.float32]]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel over all time steps; 1 for a constant channel."""
    time_steps = np.concatenate(windows).astype(np.float64)
    std = time_steps.std(axis=0)
    return tuple(time_steps.mean(axis=0).tolist()), tuple(np.where(std > 0, std, 1.0).tolist())
