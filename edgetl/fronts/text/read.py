"""A text from its file or its row in a table."""

from __future__ import annotations

import unicodedata
from pathlib import Path

from edgetl.errors import DataError
from edgetl.files.rows import Row, row_of
from edgetl.files.text import escaped
from edgetl.fronts.base import Unreadable, read_bytes
from edgetl.fronts.text.encoding import NotText, decode_text
from edgetl.fronts.text.tables import MAX_CHARACTERS, kind_of, open_table

_UNSEEN = ("Cc", "Cf", "Zs", "Zl", "Zp")
"""Unicode's categories of control characters, format characters and spaces."""


class UnreadableText(Unreadable):
    expected = "a text"


def read_example(path: Path) -> str:
    """The text of a file, without one line break at its end, or of a row (`reviews.csv:17`), as it stands there.

    Raises UnreadableText: no UTF-8, nothing to see in it, a NUL, half of a UTF-16 pair, or more than MAX_CHARACTERS.
    """
    row = row_of(path)
    return checked(_of_file(path) if row is None else _of_row(row), str(path))


def checked(text: str, where: str) -> str:
    """The text itself, if it is one. Raises UnreadableText."""
    if len(text) > MAX_CHARACTERS:
        raise UnreadableText(where, f"it has {len(text)} characters, more than {MAX_CHARACTERS}")
    if "\0" in text:
        raise UnreadableText(where, "it holds a NUL character")
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise UnreadableText(where, "it holds half of a UTF-16 pair, which is no character")
    if all(unicodedata.category(letter) in _UNSEEN for letter in text):
        raise UnreadableText(where, "it is empty" if not text else "it holds only spaces")
    return text


def _of_file(path: Path) -> str:
    try:
        text = decode_text(read_bytes(path, UnreadableText))
    except NotText as error:
        raise UnreadableText(str(path), str(error)) from error
    return text[:-2] if text.endswith("\r\n") else text.removesuffix("\n")


def _of_row(row: Row) -> str:
    where = str(row)
    try:
        table = open_table(row.table)
        column = row.column or table.value_column()
        if column is None or column not in table.columns:
            wanted = f"column `{escaped(row.column)}`" if row.column else "column `text`"
            raise UnreadableText(where, f"the table has no {wanted}")
        if row.number not in table.rows:
            raise UnreadableText(where, "no row of the table begins in this line")
        value = table.value(row.number, column)
    except UnreadableText:
        raise
    except DataError as error:
        raise UnreadableText(where, str(error)) from error
    if value is not None and not isinstance(value, str):
        raise UnreadableText(where, f"expected text in `{escaped(column)}`, found {kind_of(value)}")
    return value or ""
