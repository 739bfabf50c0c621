"""CSV lists of labeled images: header, rows, the columns of labeling tools. Opens no image."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgetl.data.names import loosely, one_form
from edgetl.errors import DataError
from edgetl.files.file_kind import describe, describe_bytes
from edgetl.files.text import nearest, printable
from edgetl.recipes.data import Columns

COLUMNS = ("path", "label")
MAX_LIST_BYTES = 64_000_000
MAX_LIST_ROWS = 1_000_000
MAX_LABEL_CHARACTERS = 200

Part = Literal["train", "val", "test"]

_PARTS: dict[str, Part] = {
    **dict.fromkeys(("train", "training", "trn"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "eval"), "val"),
    **dict.fromkeys(("test", "testing", "tst"), "test"),
}
# column names used by labeling tools and spreadsheets
_PATHS = ("path", "image", "file", "filename", "file_name", "filepath", "file_path", "image_path", "picture", "img")
LABELS = ("label", "class", "choice", "category", "target", "class_name", "label_name")
_SPLITS = ("split", "subset", "partition", "set")


@dataclass(frozen=True)
class Row:
    """One image of a list; `part` only if the list has a column for it."""

    line: int
    path: str
    label: str
    part: Part | None


def read_rows(path: Path, columns: Columns | None = None, *, blank: bool = False) -> Iterator[Row]:
    """The rows of a list, in order. Raises DataError for invalid content.

    columns  the column names; None: `path,label`, optionally with `split`, and no others
    blank    whether a label may be empty; such rows are left out
    """
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    try:
        header = [cell.strip() for cell in next(reader, [])]
        at = _places(header, columns, path)
        for count, row in enumerate(reader):
            if count >= MAX_LIST_ROWS:
                raise DataError(f"{path}: more than {MAX_LIST_ROWS} rows")
            unlabeled = blank and len(row) == len(header) and not row[at["label"]].strip()
            if any(cell.strip() for cell in row) and not unlabeled:
                yield _row(row, at, len(header), f"{path}, line {reader.line_num}", reader.line_num)
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: not valid CSV: {error}") from error


def read_header(path: Path) -> list[str]:
    """The cells of the first line. Raises DataError."""
    try:
        return [cell.strip() for cell in next(csv.reader(io.StringIO(read_text(path), newline="")), [])]
    except csv.Error as error:
        raise DataError(f"{path}, line 1: not valid CSV: {error}") from error


def guess_columns(header: Sequence[str]) -> Columns | None:
    """The columns of a labeling tool's list, guessed by their names; None if that is not clear."""
    path, label, split = (only(header, names) for names in (_PATHS, LABELS, _SPLITS))
    return Columns(path=path, label=label, split=split) if path and label else None


def path_column(header: Sequence[str]) -> str | None:
    """The column of the image paths, by its name; None if that is not clear."""
    return only(header, _PATHS)


def part_column(header: Sequence[str]) -> str | None:
    """The column of the parts, by its name; None without one."""
    return only(header, _SPLITS)


def part_of(name: str) -> Part | None:
    """The part that a file or folder is by a word of its name: `instances_train2017.json`; None if that is not
    clear."""
    words = [word for word in re.split(r"[^a-z]+", name.lower()) if word in _PARTS]
    parts = {_PARTS[word] for word in words}
    return parts.pop() if len(parts) == 1 else None


def without_part(name: str) -> str:
    """The name without the words that say which part it is, in lower case."""
    return " ".join(word for word in re.split(r"([^a-z]+)", name.lower()) if word not in _PARTS)


def check_label(label: str, where: str) -> None:
    """Raise DataError unless the text is a valid class name."""
    if not label or printable(label) != label or len(label) > MAX_LABEL_CHARACTERS:
        raise DataError(
            f"{where}: expected a class name of 1 to {MAX_LABEL_CHARACTERS} printable characters, found {_short(label)}"
        )


def read_text(path: Path) -> str:
    """The text of a list. Raises DataError for a file that is not UTF-8 text, naming what it is."""
    try:
        if not path.is_file():
            raise DataError(f"{path}: expected a CSV list of `path,label`, found {describe(path).name}")
        with path.open("rb") as file:
            data = file.read(MAX_LIST_BYTES + 1)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) > MAX_LIST_BYTES:
        raise DataError(f"{path}: larger than {MAX_LIST_BYTES} bytes; expected a CSV list of `path,label`")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        kind = describe_bytes(data)
        found = kind.sentence or f"not UTF-8 text (byte {error.start}); save it as UTF-8"
        raise DataError(f"{path}: expected a CSV list of `path,label`: {found}") from error


def _places(header: list[str], columns: Columns | None, path: Path) -> dict[str, int]:
    """The positions of the columns `path`, `label` and `split`."""
    if columns is None:
        wanted = {"path": "path", "label": "label"} | ({"split": "split"} if "split" in map(str.lower, header) else {})
        _check_header(header, sorted(wanted), path)
    else:
        wanted = {name: text for name, text in columns.model_dump().items() if text is not None}
    found = {name: matching(header, text) for name, text in wanted.items()}
    for name, places in found.items():
        if len(places) != 1:
            problem = "is not a column" if not places else "names several columns"
            listed = ", ".join(f"`{_cut(cell)}`" for cell in header[:10])
            raise DataError(f"{path}, line 1: data.columns.{name}: `{wanted[name]}` {problem}; found {listed}")
    return {name: places[0] for name, places in found.items()}


def matching(header: Sequence[str], name: str) -> list[int]:
    """The places of the columns that `name` means: exactly, else loosely."""
    exact = [place for place, cell in enumerate(header) if cell == name]
    return exact or [place for place, cell in enumerate(header) if loosely(cell) == loosely(name)]


def _row(row: list[str], at: dict[str, int], width: int, where: str, line: int) -> Row:
    if len(row) != width:
        raise DataError(f"{where}: expected {width} cells, found {len(row)}; quote cells with commas")
    name, label = row[at["path"]].strip(), one_form(row[at["label"]].strip())
    if not name or printable(name) != name:
        raise DataError(f"{where}: expected a path, found {_short(name)}")
    check_label(label, where)
    if "split" not in at:
        return Row(line, name, label, None)
    return Row(line, name, label, part_in(row[at["split"]].strip(), where))


def part_in(text: str, where: str) -> Part:
    """The part that a cell names. Raises DataError."""
    if text.lower() not in _PARTS:
        raise DataError(f"{where}: expected `train`, `val` or `test` in the column of the split, found {_short(text)}")
    return _PARTS[text.lower()]


def _check_header(header: list[str], wanted: list[str], path: Path) -> None:
    lower = [cell.lower() for cell in header]
    if sorted(lower) == wanted:
        return
    expected = f"{path}, line 1: expected the header `{','.join(COLUMNS)}`"
    separator = next((name for sign, name in ((";", "`;`"), ("\t", "tabs")) if header and sign in header[0]), None)
    if separator:
        raise DataError(f"{expected}, found cells separated by {separator}; separate them with commas")
    guess = guess_columns(header)
    if guess is not None and (guess.path, guess.label) != COLUMNS:
        raise DataError(
            f"{expected}, found {_short(','.join(header))}; name the columns in the recipe: "
            f"data.columns: {{path: {guess.path}, label: {guess.label}}}"
        )
    if len(header) > 2 and only(header, _PATHS) and not any(loosely(cell) in LABELS for cell in header):
        raise DataError(
            f"{expected}, found {_short(','.join(header))}: a path, but no label column (one column per class is "
            "not supported); write the class into a column `label`, or name several in the recipe, one head for each: "
            "data.labels"
        )
    close = [column for column in header if column.lower() in wanted]
    if not header or (not close and not any("did you mean" in nearest(cell, COLUMNS) for cell in header)):
        found = _short(",".join(header)) if header else "nothing"
        raise DataError(f"{expected}, found {found}; the first line names the columns")
    for column in header:
        if column.lower() not in wanted:
            unknown = f"{expected}, found the unknown column {_short(column)}; {nearest(column, COLUMNS)}"
            raise DataError(unknown + ("; or name the columns: data.columns" if len(close) > 1 else ""))
    problem = next((f"`{name}` twice" for name in close if lower.count(name.lower()) > 1), f"only `{close[0]}`")
    raise DataError(f"{expected}, found {problem}")


def only(header: Sequence[str], names: Sequence[str]) -> str | None:
    """The one cell of the header that matches the first of these names to occur."""
    for name in names:
        found = [cell for cell in header if loosely(cell).replace(" ", "_") == name]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def _cut(text: str) -> str:
    plain = printable(text)
    return f"{plain[:60]}..." if len(plain) > 60 else plain


def _short(text: str) -> str:
    return f"`{_cut(text)}`"
