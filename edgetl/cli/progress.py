"""Progress on stderr, for people."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from edgetl.files.text import duration
from edgetl.types import Advance

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

# without a terminal: seconds until the first line of a long task, and between two lines
_FIRST_LINE_S, _MOST_S = 5.0, 60.0
_WORTH_SAYING_S = 3.0


class Terminal:
    """A bar per task on a terminal, occasional lines elsewhere; always on stderr.

    Tasks may overlap, and several threads may advance one.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        from rich.console import Console

        self.console = Console(stderr=True, highlight=False)
        self._clock, self._lock = clock, threading.Lock()
        self._bars: Progress | None = None
        self._open = 0

    @contextmanager
    def task(self, label: str, total: int | None = None) -> Iterator[Advance]:
        if not self.console.is_terminal:
            yield _Lines(label, total, self.note, self._clock)
            return
        bars = self._enter()
        task = bars.add_task(label, total=total, detail="")

        def advance(steps: int = 1, detail: str = "") -> None:
            bars.update(task, advance=steps, detail=detail)

        try:
            yield advance
        finally:
            bars.remove_task(task)
            self._leave(bars)

    def note(self, text: str) -> None:
        self.console.print(text, markup=False, soft_wrap=True)

    def _enter(self) -> Progress:
        with self._lock:
            self._open += 1
            if self._bars is None:
                self._bars = _bars(self.console)
                self._bars.start()
            return self._bars

    def _leave(self, bars: Progress) -> None:
        with self._lock:
            self._open -= 1
            if not self._open:
                bars.stop()
                self._bars = None


class _Lines:
    """The progress of one task as lines, less frequent the longer it takes; short tasks write none."""

    def __init__(self, label: str, total: int | None, note: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._label, self._total, self._note, self._clock = label, total, note, clock
        self._lock, self._done = threading.Lock(), 0
        self._gap, self._last = _FIRST_LINE_S, clock()

    def __call__(self, steps: int = 1, detail: str = "") -> None:
        with self._lock:
            self._done += steps
            now = self._clock()
            if now - self._last < self._gap:
                return
            self._last, self._gap = now, min(2 * self._gap, _MOST_S)
            counted = f"{self._done}/{self._total}" if self._total is not None else ""
            self._note("  ".join(part for part in (f"  {self._label}", counted, detail) if part))


def _bars(console: Console) -> Progress:
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
    from rich.text import Text

    class Count(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text("" if task.total is None else f"{task.completed:.0f}/{task.total:.0f}")

    class Left(ProgressColumn):
        max_refresh = 1.0

        def render(self, task: Task) -> Text:
            left = task.time_remaining
            return Text("" if not left or left < _WORTH_SAYING_S else f"{duration(left)} left")

    return Progress(
        TextColumn("  {task.description}", markup=False),
        BarColumn(bar_width=16),
        Count(),
        TimeElapsedColumn(),
        Left(),
        TextColumn("{task.fields[detail]}", markup=False),
        console=console,
        transient=True,
    )
