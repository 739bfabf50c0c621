"""Finds the images, clips or texts meant by files, folders, patterns, lists and tables."""

from __future__ import annotations

import csv
import glob
import io
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from edgetl.data.lists import matching, path_column, read_text
from edgetl.data.lookup import Lookup
from edgetl.data.loose import list_examples
from edgetl.data.names import in_quotes
from edgetl.data.scan import locate
from edgetl.errors import DataError, EdgetlError, UsageError
from edgetl.files.rows import Row
from edgetl.files.text import escaped, shortened
from edgetl.fronts.base import Rowed, Table, Tabular, load_front
from edgetl.types import FrontName

_LISTS = (".csv", ".txt", ".lst")
_PATTERN = "*?["
_LINE_CHARACTERS = 500


@dataclass
class Gathered:
    """The files in the order given, and one line for each name that matches none."""

    paths: list[Path] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def gather(named: Iterable[Path], front: FrontName = "image", column: str | None = None) -> Gathered:
    """The examples of a front meant by names of files, folders, patterns, lists and tables. Opens only lists and
    tables.

    A folder means all examples in it and in its sub-folders. A pattern (`*`, `?`, `[...]`, `**`) means the files that
    match it, unless a file has that name. A list (.csv, .txt, .lst) means the paths in it, in a CSV list those of its
    column `path`, relative to the list. A table of a front that has some means its rows; a .txt is a text there.
    Everything else is taken as an example; opening it may fail later.

    column  of the examples in tables; by default the usual one
    """
    found = Gathered()
    for path in named:
        try:
            found.paths += _meant(path, front, column)
        except EdgetlError as error:
            found.problems.append(shortened(escaped(str(error)), _LINE_CHARACTERS))
    return found


def _meant(path: Path, front: FrontName, column: str | None) -> list[Path]:
    # os.path: methods of Path raise on names that are too long
    if os.path.isdir(path):  # noqa: PTH112
        return _in_folder(path, front)
    kind = load_front(front)
    if isinstance(kind, Rowed) and path.suffix.lower() in kind.tables and path.is_file():
        inside = kind.places(path)
        if inside is not None:
            return list(inside)
    if path.suffix.lower() in kind.tables and isinstance(kind, Tabular):
        found = _in_table(path, kind.open_table(path), column)
        if found is not None:
            return found
    if path.suffix.lower() in _LISTS and (isinstance(kind, Rowed) or path.suffix.lower() not in kind.suffixes):
        return _in_list(path, front)
    if any(sign in str(path) for sign in _PATTERN) and not os.path.lexists(path):
        return _fitting(path, front)
    return [path]


def _in_table(path: Path, table: Table, column: str | None) -> list[Path] | None:
    """The places of its rows; None for a list of paths. Raises DataError if it is neither."""
    usual = table.value_column()
    wanted = usual if column is None else next(iter(matching(table.columns, column)), None)
    name = table.columns[wanted] if isinstance(wanted, int) else wanted
    if name is None and column is None and path_column(table.columns) is not None:
        return None
    if name is None:
        hint = f"`{column}`" if column else "`text`; name it with --column"
        raise DataError(f"{path}, line 1: expected a column {hint}; found {in_quotes(table.columns, 8)}")
    return [Path(str(Row(path, number, "" if name == usual else name))) for number in table.numbers]


def _in_folder(folder: Path, front: FrontName) -> list[Path]:
    # shown as given: relative names stay relative
    root = locate(Path(), str(folder))
    return [folder / Path(path).relative_to(root) for path in list_examples(folder, front).paths]


def _fitting(pattern: Path, front: FrontName) -> list[Path]:
    matches = [Path(name) for name in sorted(glob.glob(str(pattern), recursive=True))]  # noqa: PTH207 - Path.glob takes no absolute ones
    if not matches:
        raise UsageError(f"{pattern}: no file matches this pattern")
    return [inner for match in matches for inner in (_in_folder(match, front) if match.is_dir() else [match])]


def _in_list(path: Path, front: FrontName) -> list[Path]:
    if not os.path.lexists(path):
        raise DataError(f"{path}: no such list")
    text = read_text(path)
    names = _column(text, path) if path.suffix.lower() == ".csv" else text.splitlines()
    lookup = Lookup(path.parent, None)
    found = [Path(lookup.find(name) or path.parent / name) for name in map(str.strip, names) if name]
    if not found:
        raise DataError(f"{path}: expected paths of {load_front(front).noun}s, one per line; found none")
    return found


def _column(text: str, path: Path) -> list[str]:
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except csv.Error as error:
        raise DataError(f"{path}: not valid CSV: {error}") from error
    header = [cell.strip() for cell in rows[0]] if rows else []
    column = path_column(header)
    if column is None:
        raise DataError(
            f"{path}, line 1: expected a column `path`, found {escaped(','.join(header))[:80] or 'nothing'}"
        )
    place = header.index(column)
    return [row[place] for row in rows[1:] if len(row) > place]
