"""What ended a command, in one line on stderr, and the exit code for it."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path

import click

from edgetl.errors import EdgetlError
from edgetl.text import escaped

TRACEBACK_VARIABLE = "EDGETL_TRACEBACK"
_PACKAGE = Path(__file__).resolve().parents[1]
# libraries that get no memory say so in exceptions of many kinds
_NO_MEMORY = (
    *("bad_alloc", "failed to map segment", "cannot allocate memory", "can't allocate memory"),
    *("out of memory", "not enough memory", "can't start new thread", "failed to allocate memory"),
    "returned null without setting an exception",  # what Python says where it gets none itself
)


def explain(error: BaseException) -> int:
    """Say what went wrong; the exit code. An error that nobody expected is called a bug, its traceback kept."""
    if _ran_out_of_memory(error):
        _say("out of memory; free some, or allow more (ulimit -v, the container's limit): finished stages are kept")
        return 1
    if isinstance(error, EdgetlError):
        for line in str(error).splitlines():
            _say(line)
        return error.exit_code
    if isinstance(error, ModuleNotFoundError) and error.name:
        _say(_missing_module(error.name))
        return 1
    if isinstance(error, OSError) and (error.errno or error.filename):
        place = error.filename or ("standard output" if _was_printing(error) else "")
        _say(f"{place}: {error.strerror}" if place else str(error.strerror))
        return 1
    _say(_bug(error))
    return 1


def _say(line: str) -> None:
    click.echo(f"edgetl: {escaped(line)}", err=True)  # it may name files, keys and labels of others


def _ran_out_of_memory(error: BaseException) -> bool:
    return any(map(_is_of_memory, _causes(error)))


def _is_of_memory(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    told = not isinstance(error, EdgetlError)  # ours name files, which may be called anything
    return isinstance(error, MemoryError) or (told and any(words in str(error).lower() for words in _NO_MEMORY))


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    now: BaseException | None = error
    while now is not None and id(now) not in seen:
        seen.add(id(now))
        yield now
        now = now.__cause__ or (None if now.__suppress_context__ else now.__context__)


def _was_printing(error: BaseException) -> bool:
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and (frames[-1].name, Path(frames[-1].filename).parent.name) == ("echo", "click")


def _bug(error: BaseException) -> str:
    told = f"this is a bug of edgetl ({type(error).__name__} in {_place(error)})"
    if os.environ.get(TRACEBACK_VARIABLE, "0") not in ("", "0"):
        traceback.print_exception(error, file=sys.stderr)
        return f"{told}; please report it with the lines above"
    try:
        descriptor, name = tempfile.mkstemp(prefix="edgetl-bug-", suffix=".txt")
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            traceback.print_exception(error, file=file)
    except OSError:
        return f"{told}; the same command with {TRACEBACK_VARIABLE}=1 shows where: please report it with that"
    return f"{told}; please report it with {name}"


def _place(error: BaseException) -> str:
    """The innermost line of ours: `edgetl/quant/prepare.py:53`."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if Path(frame.filename).resolve().is_relative_to(_PACKAGE)] or frames
    if not ours:
        return "an unknown place"
    path = Path(ours[-1].filename).resolve()
    shown = path.relative_to(_PACKAGE.parent) if path.is_relative_to(_PACKAGE) else path
    return f"{shown.as_posix()}:{ours[-1].lineno}"


def _missing_module(name: str) -> str:
    root = name.partition(".")[0]
    training = {"torch", "torchvision", "timm", "torchao", "sklearn", "onnxscript"}
    extra = "train" if root in training else {"tensorrt": "tensorrt", "tensorrt_rtx": "rtx"}.get(root)
    if extra:
        return f"this needs the package {root}, which is not installed; run: pip install 'edgetl[{extra}]'"
    return f"the package {root} is not installed; the installation is incomplete: pip install --force-reinstall edgetl"
