"""Finished cells of `transfer.py`: one JSON line each, in a file that several processes may append to.

A cell is one method on one draw of one set. Workers claim a cell with a file lock, which ends with the process, so
that any number of them, started together or not, share the work, and a killed run continues.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from edgetl.digest import value_digest


@dataclass(frozen=True)
class Key:
    """What a cell is of. `version` names the method's code and settings."""

    backbone: str
    dataset: str
    shots: int
    draw: int
    method: str
    version: str


@dataclass(frozen=True)
class Cell:
    """What one cell found.

    top1      share of the `images` validation images that were answered right
    seconds   wall time of the adaptation alone, on `threads` threads
    strategy  what edgetl chose; empty for the baselines
    split     digest of the images: where it is equal, the same ones taught and measured
    """

    key: Key
    top1: float
    images: int
    seconds: float
    threads: int
    split: str
    strategy: str = ""


_ADAPTER = TypeAdapter(Cell)


@dataclass(frozen=True)
class CellFile:
    """`cells.jsonl` in a folder of its own; both are made at the first write."""

    path: Path

    def read(self) -> list[Cell]:
        """In the order they were finished; of a cell that was finished twice, the later one. A line that is no cell
        (cut off by a full disk, say) counts as not there."""
        try:
            lines = self.path.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        found: dict[Key, Cell] = {}
        for line in lines:
            try:
                cell = _ADAPTER.validate_json(line)
            except ValidationError:
                continue
            found.pop(cell.key, None)
            found[cell.key] = cell
        return list(found.values())

    def append(self, cell: Cell) -> None:
        """Add one line that is whole or absent, whoever else is writing."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps(asdict(cell), ensure_ascii=False, allow_nan=False).encode() + b"\n"
        with self.path.open("a+b", buffering=0) as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            if not _ends_a_line(stream.fileno()):
                line = b"\n" + line
            stream.write(line)
            os.fsync(stream.fileno())

    def done(self) -> set[Key]:
        return {cell.key for cell in self.read()}

    @contextmanager
    def claimed(self, key: Key) -> Iterator[bool]:
        """Whether the cell is ours to make: it is not finished and no other process is at it."""
        claims = self.path.parent / "claims"
        claims.mkdir(parents=True, exist_ok=True)
        path = claims / value_digest(asdict(key))[:24]
        with path.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            try:
                # only now: another process may have finished it before the lock was ours
                yield key not in self.done()
            finally:
                path.unlink(missing_ok=True)


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
    """All cells in the order they are made: sets innermost, so that what is finished early is a table already.

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


def _ends_a_line(descriptor: int) -> bool:
    size = os.fstat(descriptor).st_size
    return size == 0 or os.pread(descriptor, 1, size - 1) == b"\n"
