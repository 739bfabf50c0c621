"""Reports of long work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Progress(Protocol):
    """Receives reports of long work. The command line shows them on stderr; tests and libraries pass `Silent()`."""

    def task(self, label: str, total: int | None = None) -> AbstractContextManager[Advance]:
        """A labeled piece of work; call the yielded function after each of `total` steps."""
        ...

    def note(self, text: str) -> None:
        """One permanent line."""
        ...


class Advance(Protocol):
    def __call__(self, steps: int = 1, detail: str = "") -> None: ...


class Silent:
    """Shows nothing: progress for libraries and tests."""

    @contextmanager
    def task(self, label: str, total: int | None = None) -> Iterator[Advance]:
        yield _ignore

    def note(self, text: str) -> None:
        return None


def _ignore(steps: int = 1, detail: str = "") -> None:
    return None
