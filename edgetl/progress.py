"""Progress on stderr, for people; silence, for libraries and tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from edgetl.types import Advance


def _ignore(steps: int = 1, detail: str = "") -> None:
    return None


class Silent:
    """Shows nothing."""

    @contextmanager
    def task(self, label: str, total: int | None = None) -> Iterator[Advance]:
        yield _ignore

    def note(self, text: str) -> None:
        return None


class Terminal:
    """Bars on a terminal, notes alone elsewhere; always stderr."""

    def __init__(self) -> None:
        from rich.console import Console

        self.console = Console(stderr=True, highlight=False)

    @contextmanager
    def task(self, label: str, total: int | None = None) -> Iterator[Advance]:
        if not self.console.is_terminal:
            yield _ignore
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (
            TextColumn("  {task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[detail]}"),
        )
        with Progress(*columns, console=self.console, transient=True) as bars:
            task = bars.add_task(label, total=total, detail="")

            def advance(steps: int = 1, detail: str = "") -> None:
                bars.update(task, advance=steps, detail=detail)

            yield advance

    def note(self, text: str) -> None:
        self.console.print(text, markup=False, soft_wrap=True)
