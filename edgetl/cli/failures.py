"""Why a command ended, in one line on stderr, and its exit code."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from pathlib import Path

import click

from edgetl.errors import EdgetlError
from edgetl.files.text import escaped
from edgetl.store.memory import is_out_of_memory

TRACEBACK_VARIABLE = "EDGETL_TRACEBACK"
_PACKAGE = Path(__file__).resolve().parents[1]


def explain(error: BaseException) -> int:
    """Report what went wrong; returns the exit code. An unexpected error is called a bug, and its traceback is kept."""
    if is_out_of_memory(error):
        _say("out of memory; free some or raise the limit (ulimit -v, the container's limit); finished stages are kept")
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


def _was_printing(error: BaseException) -> bool:
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and (frames[-1].name, Path(frames[-1].filename).parent.name) == ("echo", "click")


def _bug(error: BaseException) -> str:
    sentence = f"this is a bug in edgetl ({type(error).__name__} in {_place(error)})"
    if os.environ.get(TRACEBACK_VARIABLE, "0") not in ("", "0"):
        traceback.print_exception(error, file=sys.stderr)
        return f"{sentence}; please report it with the lines above"
    try:
        descriptor, name = tempfile.mkstemp(prefix="edgetl-bug-", suffix=".txt")
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            traceback.print_exception(error, file=file)
    except OSError:
        return f"{sentence}; run it again with {TRACEBACK_VARIABLE}=1 and please report it with that output"
    return f"{sentence}; please report it with {name}"


def _place(error: BaseException) -> str:
    """The innermost line in edgetl: `edgetl/quant/prepare.py:53`."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if Path(frame.filename).resolve().is_relative_to(_PACKAGE)] or frames
    if not ours:
        return "an unknown place"
    path = Path(ours[-1].filename).resolve()
    shown = path.relative_to(_PACKAGE.parent) if path.is_relative_to(_PACKAGE) else path
    return f"{shown.as_posix()}:{ours[-1].lineno}"


def _missing_module(name: str) -> str:
    root = name.partition(".")[0]
    from edgetl.backends.base import BACKENDS

    training = {"torch", "torchvision", "timm", "torchao", "sklearn", "onnxscript"}
    sweeps = {"optuna": "sweep", "sqlalchemy": "sweep", "ray": "ray"}
    extra = (
        "train"
        if root in training
        else sweeps[root]
        if root in sweeps
        else BACKENDS[root].extra
        if root in BACKENDS
        else ""
    )
    if extra:
        return f"this needs the package {root}, which is not installed; run: pip install 'edgetl[{extra}]'"
    return f"the package {root} is not installed; the installation is incomplete: pip install --force-reinstall edgetl"
