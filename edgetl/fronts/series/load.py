"""A file, or a row of a table -> the time steps that a network sees."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgetl.files.arrays import UnreadableArray, read_array
from edgetl.files.file_kind import HEAD_BYTES, describe_bytes
from edgetl.files.rows import row_of
from edgetl.fronts.base import read_bytes
from edgetl.fronts.series.cells import window_of_text
from edgetl.fronts.series.tables import entry_at
from edgetl.fronts.series.window import UnreadableWindow, checked, fitted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgetl.types import SeriesPreprocessing


def read_window(path: Path) -> NDArray[np.float32]:
    """A window as stored, float32 (steps, channels): an .npy or text file, or a row. Raises UnreadableWindow."""
    row = row_of(path)
    if row is not None:
        return entry_at(row).window()
    data = read_bytes(path, UnreadableWindow)
    kind = describe_bytes(data[:HEAD_BYTES])
    if data[:6] == b"\x93NUMPY":
        try:
            return checked(read_array(path), str(path))
        except UnreadableArray as error:
            raise UnreadableWindow(str(path), str(error)) from error
    if kind.kind in ("text", "unknown", "empty") or path.suffix.lower() in (".csv", ".tsv"):
        return window_of_text(data, str(path))
    raise UnreadableWindow(str(path), f"it is {kind.name}, not a window of numbers; save it as CSV or NPY", kind)


def load_window(path: Path, p: SeriesPreprocessing) -> NDArray[np.float32]:
    """Read, and cut or continued: float32 (steps, channels). Raises UnreadableWindow."""
    return fitted(with_channels(read_window(path), str(path), p), p.steps)


def with_channels(window: NDArray[np.float32], where: str, p: SeriesPreprocessing) -> NDArray[np.float32]:
    """The same; refused if it has not the channels that the network takes. Raises UnreadableWindow."""
    if window.shape[1] != len(p.mean):
        raise UnreadableWindow(where, f"expected {len(p.mean)} channels, found {window.shape[1]}")
    return window
