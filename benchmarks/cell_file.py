"""Finished cells of a benchmark: one JSON line each, in a file that several processes may append to.

Workers claim a cell with a file lock, which ends with the process, so that any number of them, started together or not,
share the work, and a killed run continues.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from pydantic import TypeAdapter, ValidationError

from edgetl.errors import EdgetlError
from edgetl.files.digest import value_digest


class HasKey(Protocol):
    """A frozen dataclass whose `key`, also a frozen dataclass, identifies the cell."""

    @property
    def key(self) -> Any: ...


C = TypeVar("C", bound=HasKey)


@dataclass(frozen=True)
class CellFile(Generic[C]):
    """A file of cells of one `kind` in its own folder; both are created at the first write."""

    path: Path
    kind: type[C]

    def read(self) -> list[C]:
        """In the order they were finished; if a cell was finished twice, the later one. A line that is not a cell (cut
        off by a full disk, for example) is ignored."""
        try:
            lines = self.path.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        found: dict[Any, C] = {}
        for line in lines:
            try:
                cell: C = _adapter(self.kind).validate_json(line)
            except ValidationError:
                continue
            found.pop(cell.key, None)
            found[cell.key] = cell
        return list(found.values())

    def append(self, cell: C) -> None:
        """Add one line, whole or not at all, whichever other processes are writing."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        values: dict[str, Any] = _adapter(self.kind).dump_python(cell, mode="json")
        line = json.dumps(values, ensure_ascii=False, allow_nan=False).encode() + b"\n"
        with self.path.open("a+b", buffering=0) as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            if not _ends_a_line(stream.fileno()):
                line = b"\n" + line
            stream.write(line)
            os.fsync(stream.fileno())

    def begin_with(self, values: Iterable[Any], origin: Path) -> None:
        """Take over the cells of a result, `values` from its JSON, unless there are cells already: the order of cells
        shows which version is the newest. Raises EdgetlError, before anything is written, if one is not a cell of this
        kind."""
        if self.read():
            return
        try:
            cells = [_adapter(self.kind).validate_python(value) for value in values]
        except ValidationError as error:
            raise EdgetlError(f"{origin}: holds a cell that this script does not know: {error}") from error
        for cell in cells:
            self.append(cell)

    def done(self) -> set[Any]:
        return {cell.key for cell in self.read()}

    def fill(self, keys: Sequence[Any], make: Callable[[Any], C]) -> list[C]:
        """Make the cells of `keys` that are missing and that no other process works on; all finished ones of them."""
        for key in keys:
            with self.claimed(key) as ours:
                if ours:
                    self.append(make(key))
        return [cell for cell in self.read() if cell.key in set(keys)]

    @contextmanager
    def claimed(self, key: Any) -> Iterator[bool]:
        """Whether this process may make the cell: it is not finished and no other process works on it."""
        with claim(self.path.parent / "claims", key) as ours:
            # only now: another process may have finished it before the lock was ours
            yield ours and key not in self.done()


@contextmanager
def claim(folder: Path, key: Any) -> Iterator[bool]:
    """Whether no other process works on the cell that the frozen dataclass `key` names; none can until the block
    ends."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / value_digest(asdict(key))[:24]
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        try:
            yield True
        finally:
            path.unlink(missing_ok=True)


@lru_cache(maxsize=8)
def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _ends_a_line(descriptor: int) -> bool:
    size = os.fstat(descriptor).st_size
    return size == 0 or os.pread(descriptor, 1, size - 1) == b"\n"
