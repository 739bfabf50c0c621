"""One step of one trial, in the process that does it: build, or measure.

Building shares the machine; measuring has it alone. A lock per machine says so, also between two sweeps.
"""

from __future__ import annotations

import fcntl
import os
import platform
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TextIO

from edgetl.errors import EdgetlError, StoreError
from edgetl.files.text import one_line
from edgetl.recipes.job import make_job
from edgetl.recipes.recipe_file import parse_recipe
from edgetl.store.memory import is_out_of_memory
from edgetl.store.results import MARKER
from edgetl.types import Advance

LOG_FILE = "log.txt"
Kind = Literal["build", "measure"]
End = Literal["done", "failed", "fatal", "lost"]


@dataclass(frozen=True)
class Step:
    """raw      the trial's recipe as plain values
    base     the folder that its paths are relative to
    shared   the sweep's output folder; `folder` is the trial's, relative to it
    group    trials with the same one share their adaptation
    """

    number: int
    kind: Kind
    raw: dict[str, Any]
    base: str
    shared: str
    folder: str
    run: str
    group: str
    weights_dirs: tuple[str, ...] = ()
    targets_dirs: tuple[str, ...] = ()
    calibration_dirs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    """failed: the trial cannot be built, and why. fatal: nor can any other. lost: the process died."""

    end: End
    reason: str = ""


def take(step: Step) -> Answer:
    """Do one step; every error becomes an answer."""
    from edgetl.stages.pipeline import run_in
    from edgetl.store.shared import shared_store

    shared = Path(step.shared)
    out = shared / step.folder
    if not (shared / MARKER).is_file():
        where = f"{platform.node()}: {shared}: not there"
        return Answer("fatal", f"{where}; the output folder must be on a disk that all machines share")
    try:
        out.mkdir(parents=True, exist_ok=True)
        with (out / LOG_FILE).open("a", encoding="utf-8") as log:
            progress = _Log(log)
            try:
                job = make_job(
                    parse_recipe(step.raw, where=f"trial {step.number}"),
                    Path(step.base),
                    out=out,
                    weights_dirs=tuple(map(Path, step.weights_dirs)),
                    targets_dirs=tuple(map(Path, step.targets_dirs)),
                    calibration_dirs=tuple(map(Path, step.calibration_dirs)),
                )
                with (
                    on_machine(alone=step.kind == "measure"),
                    shared_store(shared, out, step.run, progress.note) as store,
                ):
                    run_in(store, job, progress, "compile" if step.kind == "build" else "report")
                return Answer("done")
            except Exception as error:
                traceback.print_exception(error, file=log)
                return _answer(error)
    except OSError as error:
        return Answer("fatal", f"{error.filename or out}: {error.strerror}")


def _answer(error: Exception) -> Answer:
    if isinstance(error, StoreError):
        return Answer("fatal", str(error))
    if is_out_of_memory(error):
        return Answer("failed", "out of memory")
    if isinstance(error, EdgetlError):
        return Answer("failed", str(error).splitlines()[0])
    if isinstance(error, ModuleNotFoundError):
        return Answer("failed", f"the package {error.name} is not installed")
    return Answer("failed", f"a bug in edgetl, see {LOG_FILE}: {type(error).__name__}: {one_line(str(error))}")


def others_work() -> bool:
    """Whether another sweep of this user builds or measures on this machine, while this one does nothing."""
    descriptor = _open_lock()
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)


@contextmanager
def on_machine(*, alone: bool) -> Iterator[None]:
    """Wait until no sweep of this user measures on this machine; `alone`: until none does anything."""
    descriptor = _open_lock()
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


def _open_lock() -> int:
    place = Path(tempfile.gettempdir()) / f"edgetl-sweep-{os.getuid()}.lock"
    return os.open(place, os.O_CREAT | os.O_RDWR, 0o600)


class _Log:
    """Progress as lines of the trial's log."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    @contextmanager
    def task(self, label: str, total: int | None = None) -> Iterator[Advance]:
        yield _ignore

    def note(self, text: str) -> None:
        self._file.write(text + "\n")
        self._file.flush()


def _ignore(steps: int = 1, detail: str = "") -> None:
    return None
