"""Places of examples that are rows of a table: `reviews.csv:17`, `reviews.csv:17:comment`, `series.npz:3:train_x`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

_PLACE = re.compile(r"(?P<table>.+\.[A-Za-z0-9]+):(?P<number>[0-9]{1,9})(:(?P<column>[^:/]+))?", re.DOTALL)


@dataclass(frozen=True)
class Row:
    """One row of a table, as a place that fits wherever a file's path does.

    number  of a line from 1, of an entry in an array from 0
    column  or array; "" if the table itself says which
    """

    table: Path
    number: int
    column: str = ""

    def __str__(self) -> str:
        return f"{self.table}:{self.number}" + (f":{self.column}" if self.column else "")


def row_of(path: Path | str) -> Row | None:
    """The row that a place names; None for the path of a file, also of one that is called so."""
    found = _PLACE.fullmatch(str(path))
    if found is None or Path(path).exists():
        return None
    return Row(Path(found["table"]), int(found["number"]), found["column"] or "")


@dataclass(frozen=True)
class LabeledRow:
    """One labeled row of a table: where it is, and its class. `part` if the table says it."""

    row: Row
    label: str
    part: Literal["train", "val", "test"] | None = None
