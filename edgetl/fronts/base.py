"""The contract of a front: the kind of file that examples are, and how one becomes a network's input."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Protocol, runtime_checkable

from edgetl.errors import DataError
from edgetl.files.file_kind import FileKind, describe
from edgetl.files.rows import LabeledRow, Row
from edgetl.files.text import escaped
from edgetl.recipes.data import Columns
from edgetl.types import FrontName, Trait

MAX_FILE_BYTES = 1_000_000_000


class Unreadable(DataError):
    """A file that a front cannot read. `reason` is the message without the place; `kind` says what the file is
    instead, if known."""

    expected = "an example"

    def __init__(self, where: str, reason: str, kind: FileKind | None = None) -> None:
        advised = kind is not None and kind.advice
        super().__init__(
            f"{escaped(where)}: not usable as {self.expected}: {reason}{'' if advised else '; replace or remove it'}"
        )
        self.reason = reason
        self.kind = kind


def read_bytes(path: Path, refusal: type[Unreadable]) -> bytes:
    """The bytes of a regular file of at most MAX_FILE_BYTES. Raises `refusal`."""
    try:
        if not path.is_file():
            raise refusal(str(path), _why_no_file(path))
        if path.stat().st_size > MAX_FILE_BYTES:
            raise refusal(str(path), f"the file is larger than {MAX_FILE_BYTES} bytes")
        return path.read_bytes()
    except OSError as error:
        raise refusal(str(path), error.strerror or str(error)) from error


def _why_no_file(path: Path) -> str:
    if not path.exists():
        return "no such file"
    return f"not a regular file ({describe(path).name})"


class Seen(Protocol):
    """What is known of a file that was read once."""

    @property
    def traits(self) -> tuple[Trait, ...]: ...


class Front(Protocol):
    """One class in `edgetl/fronts/<name>/front.py`, one row in `FRONTS`."""

    name: FrontName
    noun: str
    """One example, in sentences: `image`."""
    a_noun: str
    """The same with its article."""
    suffixes: tuple[str, ...]
    """Of files that are taken as examples, in lower case."""
    foreign: tuple[str, ...]
    """Of files that would have to be converted first, to `plain`."""
    plain: str
    tables: tuple[str, ...]
    """Suffixes of tables whose rows are examples, in lower case; none for what is always a file."""

    def examine(self, path: Path) -> Seen:
        """Decode a file once. Raises Unreadable."""
        ...

    def versions(self) -> Mapping[str, str]:
        """Of what decodes a file: the same bytes and versions give the same values."""
        ...


@runtime_checkable
class Parted(Protocol):
    """A front whose examples may be parts of a file, with places that name them."""

    def content(self, path: Path) -> bytes:
        """What the digest of a part is of. Raises Unreadable."""
        ...


@runtime_checkable
class Rowed(Parted, Protocol):
    """A front that finds the examples in its tables itself."""

    def holds_examples(self, path: Path, columns: Columns | None) -> bool:
        """Whether a file with the suffix of a table holds examples, and not the paths of their files."""
        ...

    def rows(self, path: Path, columns: Columns | None, group: str = "") -> Sequence[LabeledRow]:
        """All rows, in order, those without a label with "". group  `data.group_by`. Raises DataError."""
        ...

    def group(self, row: Row, column: str) -> str:
        """What a row has in a column. Raises DataError; UsageError if there is no such column."""
        ...

    def places(self, path: Path) -> Sequence[Path] | None:
        """Of all examples in a table, with or without labels; None if the file is a list of paths. A file that is one
        example is its own place. Raises DataError."""
        ...


class Table(Protocol):
    """A table whose rows are examples; a place (`edgetl.files.rows`) names a row by its number."""

    @property
    def columns(self) -> tuple[str, ...]: ...

    @property
    def numbers(self) -> Iterable[int]:
        """Of its rows, in order."""
        ...

    def text(self, number: int, column: str) -> str:
        """A label, a group or a part, as text; "" for a missing one. Raises DataError."""
        ...

    def value_column(self) -> str | None:
        """The column with the examples, by its name; None if that is not clear."""
        ...


@runtime_checkable
class Tabular(Parted, Protocol):
    """A front whose examples may be rows of a table."""

    def open_table(self, path: Path) -> Table:
        """Raises DataError."""
        ...


FRONTS: dict[FrontName, str] = {
    "image": "edgetl.fronts.image.front:ImageFront",
    "audio": "edgetl.fronts.audio.front:AudioFront",
    "series": "edgetl.fronts.series.front:SeriesFront",
    "text": "edgetl.fronts.text.front:TextFront",
}
"""Imported on first use."""


def load_front(name: FrontName) -> Front:
    module, _, attribute = FRONTS[name].partition(":")
    front: Front = getattr(import_module(module), attribute)()
    return front
