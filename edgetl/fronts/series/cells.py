"""Text of numbers -> windows: the rules for CSV and TSV, of one window a file and of long tables.

One window a file. UTF-8 text, a byte order mark is allowed. Cells are separated by tabs if the first line has one, else
by commas; spaces around a cell and one pair of double quotes do not count. Blank lines are skipped. The first line is a
header if one of its cells is not a number. A first column with the header `time`, `timestamp` or `t` is left out. Each
other line is one time step, with a number for each channel: digits with an optional sign, point and exponent; the
nearest float64, then the nearest float32. The C++ runtime reads files by the same rules.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from edgetl.files.text import printable, shortened
from edgetl.fronts.series.window import UnreadableWindow, checked

TIMES = ("time", "timestamp", "t", "time_s", "time_ms", "seconds", "ms")
_LEFT_OUT = ("time", "timestamp", "t")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII)
_LINE_END = re.compile(r"\r\n|\n|\r")
_IRREGULAR = 0.5  # share of the usual step by which one may differ


def window_of_text(data: bytes, where: str) -> NDArray[np.float32]:
    """One window from a file's bytes, float32 (steps, channels). Raises UnreadableWindow."""
    lines = list(cells_of(data, where))
    if not lines:
        raise UnreadableWindow(where, "it is empty")
    header = [] if all(map(is_number, lines[0][1])) else [cell.lower() for cell in lines[0][1]]
    rows = lines[1:] if header else lines
    if not rows:
        raise UnreadableWindow(where, "it has a header and no time steps")
    skip = 1 if header and header[0] in _LEFT_OUT else 0
    width = len(lines[0][1])
    if skip == width:
        raise UnreadableWindow(where, f"it has no channel beside `{header[0]}`")
    values = np.array([numbers(cells, width, number, where)[skip:] for number, cells in rows], np.float64)
    return checked(values, where)


def cells_of(data: bytes, where: str) -> Iterator[tuple[int, list[str]]]:
    """Number from 1 and cells of each line that is not blank. Raises UnreadableWindow."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableWindow(where, f"it is not UTF-8 text (byte {error.start})") from error
    lines = _LINE_END.split(text)
    sign = "\t" if any("\t" in line for line in islice(lines, 1)) else ","
    reader = csv.reader(lines, delimiter=sign, strict=True)
    try:
        for cells in reader:
            if any(cell.strip(" ") for cell in cells):
                yield reader.line_num, [cell.strip(" ") for cell in cells]
    except csv.Error as error:
        raise UnreadableWindow(where, f"line {reader.line_num} is not valid CSV: {error}") from error


def is_number(cell: str) -> bool:
    return _NUMBER.fullmatch(cell) is not None


def numbers(cells: Sequence[str], width: int, line: int, where: str) -> list[float]:
    """The cells of a line as numbers. Raises UnreadableWindow."""
    if len(cells) != width:
        raise UnreadableWindow(where, f"line {line}: expected {width} cells, found {len(cells)}")
    for place, cell in enumerate(cells):
        if not is_number(cell):
            found = f"`{shortened(printable(cell), 40)}`" if cell else "nothing"
            raise UnreadableWindow(where, f"line {line}: expected a number in column {place + 1}, found {found}")
    return [float(cell) for cell in cells]


def regular(times: NDArray[np.float64], where: str) -> float:
    """The usual step of time stamps (n,); 0 for fewer than two. Raises UnreadableWindow if they do not rise by nearly
    equal steps."""
    if not np.isfinite(times).all():
        gap = int(np.argmin(np.isfinite(times)))
        raise UnreadableWindow(where, f"its time stamp at step {gap + 1} is missing; fill it, or leave out the column")
    if len(times) < 2:
        return 0.0
    steps = np.diff(times)
    usual = float(np.median(steps))
    odd = np.flatnonzero((steps <= 0) | (np.abs(steps - usual) > _IRREGULAR * abs(usual)))
    if len(odd):
        first = int(odd[0])
        raise UnreadableWindow(
            where,
            f"its time stamps are irregular: {steps[first]:g} from step {first + 1} to {first + 2}, usually {usual:g}; "
            "resample it to one rate, or cut it at gaps",
        )
    return usual


def text_of_window(window: NDArray[np.float32]) -> bytes:
    """A window as CSV without a header, from which exactly its values are read again."""
    return "".join(",".join(map(repr, time_step)) + "\n" for time_step in window.astype(np.float64).tolist()).encode()
