"""CSV lists of objects: one row for each, with the header `path,x0,y0,x1,y1,label`; corners in pixels."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from edgetl.data.annotations.model import (
    Annotated,
    Annotation,
    Finder,
    Mark,
    class_name,
    corners_of,
    file_name,
    in_order,
    number,
)
from edgetl.data.lists import MAX_LIST_ROWS, read_text
from edgetl.data.scan import natural_key
from edgetl.errors import DataError
from edgetl.files.text import quoted

COLUMNS = ("path", "x0", "y0", "x1", "y1", "label")


def read_table(path: Path, images: Path | None = None) -> Annotated:
    """Read a list. A row with only a path is an image of background; paths are relative to the list, or looked up below
    `images`. Raises DataError."""
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    rows: dict[str, list[tuple[str, str, dict[str, str]]]] = {}  # name -> its rows: place, class, cells
    try:
        header = [cell.strip() for cell in next(reader, [])]
        if sorted(header) != sorted(COLUMNS):
            raise DataError(
                f"{path}, line 1: expected the header `{','.join(COLUMNS)}`, found {quoted(','.join(header))}"
            )
        for count, row in enumerate(reader):
            where = f"{path}, line {reader.line_num}"
            if count >= MAX_LIST_ROWS:
                raise DataError(f"{path}: more than {MAX_LIST_ROWS} rows")
            if not any(cell.strip() for cell in row):
                continue
            if len(row) != len(COLUMNS):
                raise DataError(f"{where}: expected {len(COLUMNS)} cells, found {len(row)}; quote cells with commas")
            cells = dict(zip(header, map(str.strip, row), strict=True))
            objects = rows.setdefault(file_name(cells["path"], f"{where}: path"), [])
            if any(cells[name] for name in COLUMNS[1:]):
                objects.append((f"line {reader.line_num}", class_name(cells["label"], f"{where}: label"), cells))
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: not valid CSV: {error}") from error
    if not rows:
        raise DataError(f"{path}: expected rows of `{','.join(COLUMNS)}` below the header, found none")
    classes = tuple(sorted({name for objects in rows.values() for _, name, _ in objects}, key=natural_key))
    finder = Finder(path, path.parent, images)
    found: dict[str, list[Mark]] = {}
    for name, objects in rows.items():
        target = finder.find(name, objects[0][0] if objects else "background")
        marks = [_mark(path, place, cells, classes.index(label)) for place, label, cells in objects]
        found.setdefault(target or "", []).extend(marks)
    finder.refuse_missing()
    root, ordered = in_order(Annotation(target, str(path), tuple(marks)) for target, marks in found.items())
    return Annotated(str(path), root, classes, ordered, "pixels", (str(path),))


def has_header(path: Path) -> bool:
    """Whether a CSV file has the header of a list of objects."""
    try:
        with path.open("rb") as file:
            line = file.readline(1000).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return False
    return sorted(cell.strip() for cell in line.split(",")) == sorted(COLUMNS)


def _mark(path: Path, place: str, cells: dict[str, str], label: int) -> Mark:
    values = [number(cells[name], f"{path}, {place}: {name}") for name in COLUMNS[1:5]]
    return Mark(place, corners_of(values, f"{path}, {place}"), label)
