"""The labeled rows of a table whose rows are examples."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgetl.data.lists import COLUMNS, LABELS, Row, check_label, matching, only, part_in
from edgetl.data.names import in_quotes, loosely, one_form
from edgetl.errors import DataError, UsageError
from edgetl.files import rows as places
from edgetl.files.text import escaped, nearest
from edgetl.fronts.base import Front, Rowed, Table, Tabular, load_front
from edgetl.recipes.data import Columns
from edgetl.types import FrontName

_NO_PLACE = re.compile("[:/]")


@dataclass(frozen=True)
class TableColumns:
    """Columns of a table, as it spells them; `split` is None if it has none."""

    text: str
    label: str
    split: str | None = None


def is_table(path: Path, front: Front, columns: Columns | None) -> bool:
    """Whether the rows of this file are examples themselves, and it is no list of paths. Raises DataError."""
    if path.suffix.lower() not in front.tables or not isinstance(front, Tabular):
        return False
    if columns is not None:
        return columns.path is None
    header = {loosely(name) for name in front.open_table(path).columns}
    return not header <= {*COLUMNS, "split"}


def table_rows(path: Path, columns: Columns | None, front: Front, *, blank: bool = False) -> Iterator[Row]:
    """Each row with its place, label and part. Raises DataError for a table without these columns or labels.

    blank  whether a label may be empty; such rows are left out
    """
    assert isinstance(front, Tabular)
    table = front.open_table(path)
    named = _named(table, columns, path, front.name) if columns else guess(table, path, front.name)
    # a table that says itself which column it is needs it in no place
    column = "" if named.text == table.value_column() else named.text
    if column and _NO_PLACE.search(column):
        raise DataError(f"{path}, line 1: `:` and `/` are not possible in the column `{escaped(column)}`; rename it")
    for number in table.numbers:
        where = f"{path}, line {number}"
        label = one_form(table.text(number, named.label).strip())
        if blank and not label:
            continue
        check_label(label, where)
        part = part_in(table.text(number, named.split).strip(), where) if named.split else None
        yield Row(number, str(places.Row(path, number, column)), label, part)


def guess(table: Table, path: Path, front: FrontName) -> TableColumns:
    """Columns by their usual names. Raises DataError if they are not clear."""
    value, label = table.value_column(), only(table.columns, LABELS)
    if value is None or label is None or value == label:
        raise DataError(
            f"{path}, line 1: expected the columns `{front}` and `label`, found {in_quotes(table.columns, 8)}; "
            f"name them in the recipe: data.columns: {{{front}: ..., label: ...}}"
        )
    return TableColumns(value, label, only(table.columns, ("split",)))


def group_of(path: str, column: str, front: FrontName) -> str:
    """What a row has in `column`: its group. Raises DataError; UsageError if there is no such column."""
    row, kind = places.row_of(path), load_front(front)
    assert row is not None
    if isinstance(kind, Rowed):
        return kind.group(row, column)
    assert isinstance(kind, Tabular)
    table = kind.open_table(row.table)
    found = matching(table.columns, column)
    if len(found) != 1:
        raise UsageError(
            f"data.group_by: {row.table} has no column `{column}`; for rows of a table it names the column with the "
            f"group; {nearest(column, table.columns)}"
        )
    return table.text(row.number, table.columns[found[0]]).strip()


def _named(table: Table, columns: Columns, path: Path, front: FrontName) -> TableColumns:
    wanted: Mapping[str, str | None] = {front: columns.text, "label": columns.label, "split": columns.split}
    found: dict[str, str] = {}
    for key, name in wanted.items():
        if name is None:
            continue
        fitting = matching(table.columns, name)
        if len(fitting) != 1:
            problem = "names several columns" if fitting else "is not a column"
            raise DataError(
                f"{path}, line 1: data.columns.{key}: `{name}` {problem}; found {in_quotes(table.columns, 8)}"
            )
        found[key] = table.columns[fitting[0]]
    return TableColumns(found[front], found["label"], found.get("split"))
