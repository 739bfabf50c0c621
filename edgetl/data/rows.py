"""Arrays that are computed once and kept on disk: float16, memory-mapped per read, continued after a kill."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgetl.store import write_text
from edgetl.types import Advance

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LARGEST = float(np.finfo(np.float16).max)


@dataclass(frozen=True)
class Rows:
    """float16 (N, ...) in one .npy file. Each read maps the file and lets it go: resident memory is what was read."""

    path: Path
    shape: tuple[int, ...]

    def __len__(self) -> int:
        return self.shape[0]

    def read(self, indices: Sequence[int] | None = None) -> NDArray[np.float32]:
        """float32 rows in the order of `indices`; all of them without."""
        mapped = np.load(self.path, mmap_mode="r")
        return np.asarray(mapped if indices is None else mapped[np.asarray(indices, np.int64)], np.float32)


def compute_rows(
    paths: Sequence[Path],
    count: int,
    produce: Callable[[range], Sequence[NDArray[np.floating]]],
    *,
    batch_size: int,
    advance: Advance,
) -> list[Rows]:
    """One array of `count` rows per path, computed together, batch by batch, where they are not there yet.

    produce  for n row numbers one (n, ...) array per path; values beyond float16's range are clipped
    A path must name the content (a digest of all that the rows depend on): what is there is believed. A killed run
    leaves whole batches, and the next one continues behind the last.
    """
    done = [_finished(path, count) for path in paths]
    first = min(done, default=count)
    advance(first)
    for start in range(first, count, batch_size):
        numbers = range(start, min(start + batch_size, count))
        for path, finished, values in zip(paths, done, produce(numbers), strict=True):
            if finished < numbers.stop:
                _put(path, count, numbers, np.clip(values, -_LARGEST, _LARGEST).astype(np.float16))
        advance(len(numbers))
    return [Rows(path, _shape(path)) for path in paths]


def _put(path: Path, count: int, numbers: range, values: NDArray[np.float16]) -> None:
    if numbers.start == 0:
        _create(path, (count, *values.shape[1:]))
    offset = np.load(path, mmap_mode="r").offset
    # plain writes: on a full disk they raise, where a store into mapped memory kills the process
    with path.open("r+b") as file:
        file.seek(offset + numbers.start * values[0].nbytes)
        file.write(values.tobytes())
        file.flush()
        os.fsync(file.fileno())
    # the count comes last: rows behind it do not exist
    write_text(_count_path(path), json.dumps({"rows": numbers.stop, "of": count}) + "\n")


def _create(path: Path, shape: tuple[int, ...]) -> None:
    """A file of the full length without any row in it; it takes up room only as rows are written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _count_path(path).unlink(missing_ok=True)
    np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=shape)


def _finished(path: Path, count: int) -> int:
    try:
        record = json.loads(_count_path(path).read_text(encoding="utf-8"))
        rows, intact = int(record["rows"]), _shape(path)[0] == count == record["of"]
    except (OSError, ValueError, KeyError, TypeError):
        return 0
    return rows if intact and 0 <= rows <= count else 0


def _shape(path: Path) -> tuple[int, ...]:
    shape: tuple[int, ...] = np.load(path, mmap_mode="r").shape
    return shape


def _count_path(path: Path) -> Path:
    return path.with_suffix(".json")
