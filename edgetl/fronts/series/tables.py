"""Tables of windows: arrays of an NPZ file, and long CSV, TSV and Parquet files with one time step a row.

NPZ. An array (n, steps, channels), or (n, steps) of one channel, called `x`, `data`, `series` or `windows`; of several
parts `train_x`, `val_x`, `x_test`. Beside each, under the same name with another ending, its labels (`y`, `label`,
`labels`, `target`) and, if lengths vary, `length` or `lengths` (n,), in steps. Labels that are whole numbers count in
`classes` of the file or of a `dataset.json` beside it, if there is one. Another array (n,) beside it may be the group.
Places: `series.npz:3:train_x`, from 0.

Long. A column tells windows apart (`series`, `id`, `window`, `case`, ...), one has the class, one may have the part
(`split`), one the time (`time`, `timestamp`, ...), one who it was (`subject`, `patient`, ...); others are channels.
`data.columns` names the first three, `data.group_by` a group. Places: `motions.csv:17`, the line of the window's first
time step, in Parquet that of the row, from 1; with named columns `motions.csv:17:who,what,part,group`,
with a named group only `motions.csv:17:group`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgetl.errors import DataError, UsageError
from edgetl.files.file_kind import describe
from edgetl.files.rows import LabeledRow, Row
from edgetl.files.text import nearest, printable
from edgetl.fronts.base import read_bytes
from edgetl.fronts.series.cells import TIMES, cells_of, is_number, regular
from edgetl.fronts.series.npz import class_names, read_arrays
from edgetl.fronts.series.window import UnreadableWindow, checked
from edgetl.recipes.data import Columns

SUFFIXES = (".npz", ".csv", ".tsv", ".parquet")
_X = ("x", "data", "series", "windows")
_Y = ("y", "label", "labels", "target", "targets")
_LENGTHS = ("length", "lengths")
_Part = Literal["train", "val", "test"]
_PARTS: dict[str, _Part] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
_IDS = (
    *("series", "series_id", "id", "window", "window_id", "case", "case_id", "sample_id", "segment", "segment_id"),
    *("recording", "recording_id", "sequence", "sequence_id", "uid"),
)
_CLASSES = ("label", "class", "category", "target", "activity", "class_name", "label_name")
_SPLITS = ("split", "subset", "partition", "set")
_GROUPS = tuple(
    name + ending
    for name in ("subject", "patient", "participant", "person", "user", "volunteer")
    for ending in ("", "_id")
)
_COMMA = ","
_Named = tuple[str, str, str, str]  # columns: the window, the class, the part, the group; "" for the usual ones


@dataclass(frozen=True, eq=False)
class Entry:
    """One window of a table.

    times    (n,) or None
    problem  why it cannot be used, "" if nothing is known
    groups   by column or array, in lower case, what it has there: one text, of a broken table several
    """

    labeled: LabeledRow
    values: NDArray[Any]
    times: NDArray[np.float64] | None = None
    problem: str = ""
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def window(self) -> NDArray[np.float32]:
        """float32 (n, channels). Raises UnreadableWindow."""
        where = str(self.labeled.row)
        if self.problem:
            raise UnreadableWindow(where, self.problem)
        return checked(self.values, where)

    def period(self) -> float:
        """The usual step of its time stamps, 0 without any. Raises UnreadableWindow."""
        return 0.0 if self.times is None else regular(self.times, str(self.labeled.row))


@dataclass(frozen=True, eq=False)
class Table:
    """channels  names, if the file has them"""

    channels: tuple[str, ...]
    entries: Mapping[tuple[int, str], Entry]


def read_table(path: Path, columns: Columns | None = None, group: str = "") -> Table:
    """A table, read once and kept while it does not change. group  a column that is no channel. Raises DataError."""
    try:
        found = path.stat()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    named = ("", "", "") if columns is None else (columns.path or "", columns.label or "", columns.split or "")
    return _read(path, found.st_size, found.st_mtime_ns, (*named, group))


def entry_at(row: Row) -> Entry:
    """Raises UnreadableWindow if the table has no such window."""
    found = _table_of(row).entries.get((row.number, row.column))
    if found is None:
        raise UnreadableWindow(str(row), "the table has no such window; it was changed")
    return found


def group_at(row: Row, column: str) -> str:
    """What a window has in a column, or in an array beside it; "" for nothing. Raises UsageError if there is none."""
    found = entry_at(row).groups
    if column.lower() not in found:
        raise UsageError(
            f"data.group_by: {row.table} has no column or array `{printable(column)}` with one value a window; "
            f"{nearest(column, tuple(found))}"
        )
    values = found[column.lower()]
    if len(values) > 1:
        raise DataError(
            f"{row.table}:{row.number}: the window has several groups `{printable(column)}`: {', '.join(values[:3])}"
        )
    return values[0]


def channels_of(row: Row) -> tuple[str, ...]:
    """Names of the channels, if the table has them. Raises UnreadableWindow."""
    return _table_of(row).channels


def _table_of(row: Row) -> Table:
    named = row.column.split(_COMMA) if row.table.suffix.lower() != ".npz" and row.column else []
    ids, label, split, group = ["", "", "", *named] if len(named) == 1 else [*named, *[""] * 4][:4]
    columns = Columns(path=ids or None, label=label, split=split or None) if label else None
    try:
        return read_table(row.table, columns, group)
    except UnreadableWindow:
        raise
    except DataError as error:
        raise UnreadableWindow(str(row), str(error)) from error


@lru_cache(maxsize=4)
def _read(path: Path, size: int, changed: int, named: _Named) -> Table:
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return _npz(path)
    header, lines, cells = _parquet(path) if suffix == ".parquet" else _text(path)
    return _long(path, header, lines, cells, named)


def _npz(path: Path) -> Table:
    arrays = read_arrays(path)
    entries: dict[tuple[int, str], Entry] = {}
    for name, values in arrays.items():
        part, ending = _split_name(name)
        if ending not in _X:
            continue
        if values.ndim not in (2, 3) or not np.issubdtype(values.dtype, np.number):
            raise DataError(
                f"{path}: `{name}`: expected numbers (n, steps, channels), found {values.dtype} {values.shape}"
            )
        labels, lengths = _labels(path, arrays, part, name), _beside(arrays, part, _LENGTHS)
        others = _others(arrays, part, len(values))
        if lengths is not None and (lengths.shape != (len(values),) or not np.issubdtype(lengths.dtype, np.integer)):
            raise DataError(f"{path}: expected one whole number a window in the lengths of `{name}`")
        for number, window in enumerate(values):
            row = Row(path, number, name)
            problem, shown = "", window if window.ndim == 2 else window[:, None]
            if lengths is not None:
                length = int(lengths[number])
                if not 0 <= length <= len(shown):
                    problem = f"expected a length of 0 to {len(shown)} steps, found {length}"
                shown = shown[: max(length, 0)]
            labeled = LabeledRow(row, labels[number] if labels else "", part)
            groups = {ending: (str(beside[number]).strip(),) for ending, beside in others.items()}
            entries[number, name] = Entry(labeled, shown, problem=problem, groups=groups)
    if not entries:
        named = ", ".join(f"`{printable(name)}`" for name in list(arrays)[:8]) or "nothing"
        raise DataError(f"{path}: expected windows in an array `x`, `train_x` or `data`, found {named}")
    return Table((), entries)


def _split_name(name: str) -> tuple[_Part | None, str]:
    """Part and ending of an array's name: `train_x`, `X_test`, `x`."""
    words = [word for word in re.split(r"[_\-.]+", name.lower()) if word]
    parts = [_PARTS[word] for word in words if word in _PARTS]
    rest = [word for word in words if word not in _PARTS]
    return (parts[0] if parts else None), "_".join(rest)


def _beside(arrays: Mapping[str, NDArray[Any]], part: _Part | None, endings: Sequence[str]) -> NDArray[Any] | None:
    found = (values for name, values in arrays.items() if _split_name(name) in {(part, end) for end in endings})
    return next(found, None)


def _others(arrays: Mapping[str, NDArray[Any]], part: _Part | None, count: int) -> dict[str, NDArray[Any]]:
    """Arrays with one value a window that may be its group, by the ending of their names."""
    found = {}
    for name, values in arrays.items():
        of, ending = _split_name(name)
        if of == part and ending not in (*_X, *_Y, *_LENGTHS) and values.shape == (count,):
            found[ending] = values.astype(str)
    return found


def _labels(path: Path, arrays: Mapping[str, NDArray[Any]], part: _Part | None, name: str) -> list[str]:
    values = _beside(arrays, part, _Y)
    if values is None:
        return []
    count = len(arrays[name])
    if values.shape != (count,) or values.dtype.kind not in "iufUS":
        raise DataError(f"{path}: expected {count} labels of `{name}`, found {values.dtype} {values.shape}")
    if values.dtype.kind == "S":
        return [value.decode("utf-8", "replace").strip() for value in values.tolist()]
    if values.dtype.kind == "U":
        return [value.strip() for value in values.tolist()]
    whole = values.astype(np.int64)
    if (whole != values).any():
        raise DataError(f"{path}: the labels of `{name}` are not whole numbers; this is for classes only")
    names = class_names(path, arrays)
    if not names:
        return [str(value) for value in whole.tolist()]
    if whole.min(initial=0) < 0 or whole.max(initial=0) >= len(names):
        raise DataError(f"{path}: expected labels of `{name}` from 0 to {len(names) - 1}, one for each of `classes`")
    return [names[value] for value in whole.tolist()]


def read_header(path: Path) -> tuple[list[str], list[str]]:
    """The first two lines of a text table; empty of other files and of what is no such text."""
    if path.suffix.lower() not in (".csv", ".tsv"):
        return [], []
    try:
        with path.open("rb") as file:
            lines = [line for line in (file.readline(1 << 16), file.readline(1 << 16)) if line]
        rows = [cells for _, cells in cells_of(b"".join(lines), str(path))]
    except (OSError, UnreadableWindow):
        return [], []
    found: list[list[str]] = [*rows, [], []]
    return found[0], found[1]


def tells_apart(header: Sequence[str]) -> bool:
    """Whether a column of this header tells windows apart by its usual name."""
    return _column(header, None, _IDS) is not None


def looks_like_series(path: Path) -> bool:
    """Whether a file, by its name and its first two lines, is a table of windows."""
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return True
    header, first = read_header(path)
    if len(header) != len(first) or not tells_apart(header):
        return False
    named = [_column(header, None, usual) for usual in (_IDS, _CLASSES, _SPLITS, TIMES, _GROUPS)]
    channels = [place for place in range(len(header)) if place not in named]
    return bool(channels) and named[1] is not None and all(is_number(first[place]) for place in channels)


def _text(path: Path) -> tuple[list[str], NDArray[np.int64], list[Sequence[str]]]:
    rows = list(cells_of(read_bytes(path, UnreadableWindow), str(path)))
    if not rows:
        raise DataError(f"{path}: expected a table of windows with a header, found an empty file")
    header = rows[0][1]
    for line, cells in rows[1:]:
        if len(cells) != len(header):
            raise DataError(f"{path}, line {line}: expected {len(header)} cells, found {len(cells)}")
    return header, np.array([line for line, _ in rows[1:]], np.int64), list(zip(*(c for _, c in rows[1:]), strict=True))


def _parquet(path: Path) -> tuple[list[str], NDArray[np.int64], list[Sequence[Any]]]:
    try:
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise DataError(
            f"{path}: Parquet needs the package pyarrow: pip install 'edgetl[parquet]', or save it as CSV"
        ) from error
    try:
        table = parquet.read_table(path)
    except Exception as error:  # pyarrow has one class of errors for each kind of damage
        kind = describe(path).sentence or "it is damaged"
        raise DataError(f"{path}: expected a Parquet table: {kind}") from error
    columns: list[Sequence[Any]] = [
        ["" if value is None else value for value in column.to_pylist()] for column in table.columns
    ]
    return list(table.column_names), np.arange(1, table.num_rows + 1), columns


def _long(path: Path, header: list[str], lines: NDArray[np.int64], cells: list[Sequence[Any]], named: _Named) -> Table:
    ids = _place(path, header, named[0] or None, _IDS, "data.columns.path", "tells windows apart")
    label = _column(header, named[1] or None, _CLASSES)
    split = _column(header, named[2] or None, _SPLITS)
    time = _column(header, None, TIMES)
    used = {ids, label, split, time}
    lower = [cell.strip().lower().replace(" ", "_") for cell in header]
    grouping = [place for place, name in enumerate(lower) if name in _GROUPS or header[place] == named[3]]
    channels = [place for place in range(len(header)) if place not in (*used, *grouping)]
    if not channels or not len(lines):
        raise DataError(f"{path}: expected a column for each channel, and rows; found the header {_named(header)}")
    values = np.stack([_floats(cells[place]) for place in channels], axis=1)
    rows: dict[str, list[int]] = {}
    for index, name in enumerate(cells[ids]):
        rows.setdefault(str(name), []).append(index)
    times = None if time is None else _floats(cells[time])
    said = _COMMA.join(named[:3]) if any(named[:3]) else ""
    if named[3].lower() not in ("", *_GROUPS):  # the place says which column is no channel
        said = _COMMA.join(named) if said else named[3]
    entries = {}
    for name, inside in rows.items():
        row = Row(path, int(lines[inside[0]]), said)
        texts = {str(cells[label][index]) for index in inside} if label is not None else {""}
        parts = {str(cells[split][index]).lower() for index in inside} if split is not None else {""}
        problem = _problem(
            path, name, texts, parts, values[inside], [header[place] for place in channels], lines[inside]
        )
        part = _PARTS.get(min(parts)) if len(parts) == 1 else None
        labeled = LabeledRow(row, min(texts), part)
        stamps = None if times is None else times[inside]
        groups = {
            header[place].lower(): tuple(sorted({str(cells[place][index]).strip() for index in inside}))
            for place in {*grouping, *(place for place in (ids, label, split) if place is not None)}
        }
        entries[row.number, said] = Entry(labeled, values[inside], stamps, problem, groups)
    return Table(tuple(header[place] for place in channels), entries)


def _problem(
    path: Path,
    name: str,
    labels: set[str],
    parts: set[str],
    values: NDArray[np.float64],
    channels: Sequence[str],
    lines: NDArray[np.int64],
) -> str:
    if len(labels) > 1 or len(parts) > 1:
        kind, found = ("classes", labels) if len(labels) > 1 else ("parts", parts)
        raise DataError(f"{path}: the window `{printable(name)}` has several {kind}: {', '.join(sorted(found)[:3])}")
    if parts != {""} and not parts <= _PARTS.keys():
        raise DataError(f"{path}: expected `train`, `val` or `test` as part of `{name}`, found `{min(parts)}`")
    gap = np.argwhere(np.isnan(values))
    if len(gap):
        step, channel = gap[0]
        return f"`{printable(channels[channel])}` has no number in row {lines[step]}; fill or cut gaps first"
    return ""


def _floats(cells: Sequence[Any]) -> NDArray[np.float64]:
    """NaN for what is not a number."""
    if cells and isinstance(cells[0], str):
        return np.array([float(cell) if is_number(cell) else np.nan for cell in cells], np.float64)
    stamps = [cell.timestamp() if hasattr(cell, "timestamp") else cell for cell in cells]
    return np.array([cell if isinstance(cell, (int, float)) else np.nan for cell in stamps], np.float64)


def _column(header: Sequence[str], wanted: str | None, usual: Sequence[str]) -> int | None:
    names = [wanted.lower()] if wanted else usual
    lower = [cell.strip().lower().replace(" ", "_") for cell in header]
    return next((lower.index(name.replace(" ", "_")) for name in names if name.replace(" ", "_") in lower), None)


def _place(path: Path, header: Sequence[str], wanted: str | None, usual: Sequence[str], key: str, what: str) -> int:
    found = _column(header, wanted, usual)
    if found is None:
        expected = f"`{wanted}`" if wanted else f"that {what} (`series`, `id`, `window`, ...)"
        raise DataError(f"{path}: expected a column {expected}, found {_named(header)}; name it as {key}")
    return found


def _named(header: Sequence[str]) -> str:
    return ", ".join(f"`{printable(cell)[:40]}`" for cell in header[:8]) or "nothing"
