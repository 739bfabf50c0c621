"""Tables whose rows are texts: CSV, TSV and JSON Lines."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from edgetl.errors import DataError
from edgetl.files.file_kind import describe
from edgetl.files.text import escaped, printable, shortened
from edgetl.fronts.text.encoding import NotText, decode_text

TABLES = (".csv", ".tsv", ".jsonl")
MAX_TABLE_BYTES = 500_000_000
MAX_ROWS = 1_000_000
MAX_COLUMNS = 1000
MAX_CHARACTERS = 1 << 17
"""Of one text, in every kind of file."""
MAX_CELL_CHARACTERS = 1 << 24
"""Of a cell of CSV. A text of so many is skipped like any other that is too long; the table is read."""

TEXT_NAMES = (
    *("text", "sentence", "review", "comment", "message", "content", "body", "utterance", "tweet", "document"),
    *("headline", "question", "query", "prompt", "description", "title"),
)
"""Usual names of the column with the text; the first that a table has is taken."""

_CACHED = 4
_SHOWN = 120


@dataclass(frozen=True, eq=False)
class Table:
    """columns  as the first line names them, or the keys of the objects; rows  the line in which a row begins, from 1
    -> its values, one for each column: text, or in JSON Lines any value, None for a missing one"""

    path: Path
    columns: tuple[str, ...]
    rows: dict[int, tuple[Any, ...]]

    @property
    def numbers(self) -> Iterable[int]:
        return self.rows

    def value(self, line: int, column: str) -> Any:
        """The value of a row that exists; `column` is one of `columns`."""
        return self.rows[line][self.columns.index(column)]

    def text(self, line: int, column: str) -> str:
        """The value as text: also a whole number, true and false; "" for a missing one. Raises DataError."""
        value = self.value(line, column)
        if value is None:
            return ""
        if isinstance(value, str):
            return value
        if isinstance(value, int):
            return json.dumps(value)
        wanted = f"expected text or a whole number in `{escaped(column)}`, found {kind_of(value)}"
        raise DataError(f"{self.path}, line {line}: {wanted}")

    def value_column(self) -> str | None:
        """The column with the texts, by its name; None if that is not clear."""
        plain: dict[str, list[str]] = {}
        for column in self.columns:
            plain.setdefault(column.strip().casefold(), []).append(column)
        found = next((plain[name] for name in TEXT_NAMES if name in plain), [])
        return found[0] if len(found) == 1 else None


def kind_of(value: Any) -> str:
    """What a value of JSON is, with its article."""
    return {bool: "true or false", list: "a list", dict: "an object"}.get(type(value), "a number")


def open_table(path: Path) -> Table:
    """Read a table, or return it as it was read before if the file did not change. Raises DataError for anything but
    a table in UTF-8 whose rows are complete, with the number of the line."""
    try:
        if not path.is_file():
            raise DataError(f"{path}: expected a table of texts, found {describe(path).name}")
        state = path.stat()
        if state.st_size > MAX_TABLE_BYTES:
            raise DataError(f"{path}: larger than {MAX_TABLE_BYTES} bytes; split the table")
        return _read(path, state.st_size, state.st_mtime_ns)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error


@lru_cache(maxsize=_CACHED)
def _read(path: Path, _size: int, _changed: int) -> Table:
    try:
        text = decode_text(path.read_bytes())
    except NotText as error:
        raise DataError(f"{path}: {error}") from error
    return parse_table(text, path)


def parse_table(text: str, path: Path) -> Table:
    """The table of a file's text; its name says which kind it is. Raises DataError."""
    suffix = path.suffix.lower()
    if suffix == ".jsonl":
        return _of_objects(text, path)
    cells = _tsv_rows(text) if suffix == ".tsv" else _csv_rows(text, path)
    _, header = next(cells, (1, []))
    columns = _columns([cell.strip() for cell in header], path)
    rows: dict[int, tuple[Any, ...]] = {}
    for line, row in cells:
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(columns):
            advice = "quote cells with commas" if suffix == ".csv" else "a tab separates cells, and quotes mean nothing"
            raise DataError(f"{path}, line {line}: expected {len(columns)} cells, found {len(row)}; {advice}")
        rows[line] = tuple(row)
        _bound(rows, path)
    return Table(path, columns, rows)


def _csv_rows(text: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    """Each row with the line in which it begins."""
    before = csv.field_size_limit(MAX_CELL_CHARACTERS)  # of the whole process
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    try:
        for row in reader:
            yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        reason = (
            f"a cell of more than {MAX_CELL_CHARACTERS} characters; shorten it, or close its quotes"
            if "field limit" in str(error)
            else f"not valid CSV: {error}"
        )
        raise DataError(f"{path}, line {line}: {reason}") from error
    finally:
        csv.field_size_limit(before)


def _tsv_rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """As text/tab-separated-values is registered: there are no quotes, and no cell holds a tab or a line break."""
    for line, row in enumerate(io.StringIO(text, newline=None), start=1):
        yield line, row.rstrip("\n").split("\t")


def _of_objects(text: str, path: Path) -> Table:
    objects: dict[int, tuple[Any, ...]] = {}
    found: dict[int, dict[str, Any]] = {}
    for line, row in enumerate(io.StringIO(text, newline=None), start=1):
        if row.strip():
            found[line] = _object(row, f"{path}, line {line}")
            _bound(found, path)
    columns = _columns(list(dict.fromkeys(key for values in found.values() for key in values)), path)
    for line, values in found.items():
        objects[line] = tuple(values.get(column) for column in columns)
    return Table(path, columns, objects)


def _object(row: str, where: str) -> dict[str, Any]:
    try:
        value = json.loads(row, object_pairs_hook=_without_doubles)
    except (ValueError, RecursionError) as error:
        reason = getattr(error, "msg", None) or ("nested too deeply" if isinstance(error, RecursionError) else error)
        raise DataError(f"{where}: not valid JSON: {shortened(str(reason), _SHOWN)}") from error
    if not isinstance(value, dict):
        raise DataError(f"{where}: expected one JSON object per line, found {shortened(row, 40)}")
    return value


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a key occurs twice")
    return values


def _columns(names: list[str], path: Path) -> tuple[str, ...]:
    where = f"{path}, line 1"
    if not any(names):
        raise DataError(f"{where}: expected the names of the columns, found nothing")
    if len(names) > MAX_COLUMNS:
        raise DataError(f"{where}: more than {MAX_COLUMNS} columns")
    for name in names:
        if names.count(name) > 1:
            raise DataError(f"{where}: the column `{shortened(name, 40)}` occurs twice; rename one")
        if printable(name) != name:
            raise DataError(f"{where}: the column `{escaped(name)[:40]}` has control characters in its name")
    return tuple(names)


def _bound(rows: dict[int, Any], path: Path) -> None:
    if len(rows) > MAX_ROWS:
        raise DataError(f"{path}: more than {MAX_ROWS} rows; split the table")
