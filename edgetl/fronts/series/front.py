"""The front of series: windows of sensor channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np

from edgetl.files.rows import LabeledRow, Row, row_of
from edgetl.fronts.series.load import read_window
from edgetl.fronts.series.tables import SUFFIXES as TABLES
from edgetl.fronts.series.tables import channels_of, entry_at, group_at, read_header, read_table, tells_apart
from edgetl.recipes.data import Columns
from edgetl.types import FrontName, Trait

SUFFIXES = (".npy", ".csv", ".tsv")
"""Of files with one window."""


@dataclass(frozen=True)
class WindowFacts:
    """A readable window as stored.

    channels  their names, if the table has them;  width  their number
    period    usual step of its time stamps, 0 without any
    mean, square  of each channel, over its time steps
    """

    steps: int
    width: int
    channels: tuple[str, ...]
    period: float
    mean: tuple[float, ...]
    square: tuple[float, ...]
    traits: tuple[Trait, ...] = ()


class SeriesFront:
    name: FrontName = "series"
    noun = "window"
    a_noun = "a window"
    suffixes = SUFFIXES
    foreign = (".txt", ".dat", ".mat", ".arff", ".ts", ".edf", ".xlsx", ".h5", ".hdf5", ".json")
    plain = "CSV or NPY"
    tables: tuple[str, ...] = TABLES

    def examine(self, path: Path) -> WindowFacts:
        return examine(path)

    def holds_examples(self, path: Path, columns: Columns | None) -> bool:
        """A text table may also be a list of files: then its first row names one."""
        header, first = read_header(path)
        wanted = (
            {columns.path.lower()}
            if columns and columns.path
            else {"path", "file", "filename", "file_name", "filepath"}
        )
        named = [cell for name, cell in zip(header, first, strict=False) if name.lower() in wanted]
        return not any(Path(cell).suffix.lower() in SUFFIXES for cell in named)

    def rows(self, path: Path, columns: Columns | None, group: str = "") -> Sequence[LabeledRow]:
        return [entry.labeled for entry in read_table(path, columns, group).entries.values()]

    def group(self, row: Row, column: str) -> str:
        return group_at(row, column)

    def places(self, path: Path) -> Sequence[Path] | None:
        if not self.holds_examples(path, None):
            return None
        header, _ = read_header(path)
        if path.suffix.lower() in SUFFIXES and not tells_apart(header):
            return [path]
        return [Path(str(row.row)) for row in self.rows(path, None)]

    def content(self, path: Path) -> bytes:
        return read_window(path).tobytes()

    def versions(self) -> Mapping[str, str]:
        return {"numpy": np.__version__, "pyarrow": _pyarrow()}


def examine(path: Path) -> WindowFacts:
    """Read a window once. Raises UnreadableWindow."""
    window, row = read_window(path), row_of(path)
    wide = window.astype(np.float64)
    channels: tuple[str, ...] = ()
    period = 0.0
    if row is not None:
        period = entry_at(row).period()
        channels = channels_of(row)
    return WindowFacts(
        len(window),
        window.shape[1],
        channels,
        period,
        tuple(wide.mean(axis=0).tolist()),
        tuple((wide * wide).mean(axis=0).tolist()),
    )


def _pyarrow() -> str:
    try:
        return metadata.version("pyarrow")
    except metadata.PackageNotFoundError:
        return "absent"
