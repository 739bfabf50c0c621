"""Where long work reports to."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol


class Progress(Protocol):
    """Where long work reports to. The command line shows it on stderr; tests and libraries pass `Silent()`."""

    def task(self, label: str, total: int | None = None) -> AbstractContextManager[Advance]:
        """A labelled piece of work; call the yielded function after each of `total` steps."""
        ...

    def note(self, text: str) -> None:
        """One line that stays."""
        ...


class Advance(Protocol):
    def __call__(self, steps: int = 1, detail: str = "") -> None: ...
