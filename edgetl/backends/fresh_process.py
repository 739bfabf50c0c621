"""Runs a build in a fresh process: for cold start and peak memory, because an imported runtime cannot be unloaded; and
for outputs, because nothing inside a process can stop a network that never ends.

A process has `Limits`. It runs this module: `python -m edgetl.backends.fresh_process` reads one JSON request on stdin
and writes one JSON line to stdout.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter
from safetensors.numpy import load_file, save_file

import edgetl
from edgetl.backends.base import load
from edgetl.errors import BackendError, EdgetlError
from edgetl.files.arrays import UnreadableArray, read_tensors
from edgetl.files.temporary import temporary_folder
from edgetl.files.text import shortened
from edgetl.store.memory import (
    available_bytes,
    is_out_of_memory,
    limit_memory,
    peak_rss_bytes,
    reset_peak_rss,
    says_out_of_memory,
)
from edgetl.types import ColdStart, Compiled, Target, fed

REPEATS = 3
TIME_LIMIT_S = 300.0
_LONGEST_ERROR = 300
_NO_MEMORY = "not enough free memory for it"


@dataclass(frozen=True)
class Limits:
    """The limits of a fresh process: `time_s` seconds, and the memory that is free when it starts.

    option  the command-line option that allows more time; "" if there is none
    """

    time_s: float = TIME_LIMIT_S
    option: str = ""

    @property
    def missed(self) -> str:
        more = f"; {self.option} SECONDS allows more" if self.option else ""
        return f"did not finish within {self.time_s:g} s{more}"


LIMITS = Limits()
"""The default limits."""


class Interrupted(BackendError):
    """A process was too slow, or was killed from outside. This says nothing about the build."""


@dataclass(frozen=True)
class _Request:
    """inputs   file of the network's inputs, (1, ...) each, named by their numbers
    outputs  where to write what it gives for them; "" if only opening and one inference are measured
    """

    folder: str
    compiled: Compiled
    target: Target
    threads: int
    inputs: str
    outputs: str
    memory_bytes: int


def cold_start(
    folder: Path,
    compiled: Compiled,
    target: Target,
    example: NDArray[np.generic],
    *,
    threads: int,
    repeats: int = REPEATS,
    limits: Limits = LIMITS,
) -> ColdStart:
    """Open the build in `folder` and infer one `example`, in `repeats` fresh processes one after another.

    Raises BackendError if a process fails or gives an invalid answer; Interrupted if it exceeds its time limit or is
    killed.
    """
    where = f"{target.name} {compiled.precision}: fresh process"
    with temporary_folder() as scratch:
        path = scratch / "inputs.safetensors"
        _write_inputs(path, [example[None]])
        request = _Request(str(folder.resolve()), compiled, target, threads, str(path), "", available_bytes())
        answers = [_costs(_ask(request, limits, where), where) for _ in range(repeats)]
    return ColdStart(
        cold_start_ms=statistics.median(answer["cold_start_ms"] for answer in answers),
        peak_rss_bytes=int(statistics.median(answer["peak_rss_bytes"] for answer in answers)),
        baseline_rss_bytes=int(statistics.median(answer["baseline_rss_bytes"] for answer in answers)),
        repeats=repeats,
    )


def outputs(
    folder: Path,
    compiled: Compiled,
    target: Target,
    inputs: Sequence[NDArray[np.generic]],
    *,
    threads: int,
    limits: Limits = LIMITS,
) -> dict[str, NDArray[np.generic]]:
    """What the build in `folder` gives for `inputs`, (1, ...) each, in a fresh process: by name, (N, ...).

    Raises BackendError if the process fails; Interrupted if it exceeds its time limit or is killed.
    """
    where = f"{folder}: opening and running it"
    with temporary_folder() as scratch:
        asked, answered = scratch / "inputs.safetensors", scratch / "outputs.safetensors"
        _write_inputs(asked, inputs)
        places = (str(asked), str(answered))
        request = _Request(str(folder.resolve()), compiled, target, threads, *places, available_bytes())
        error = _ask(request, limits, where).get("error")
        if error is not None:
            raise BackendError(str(error))
        try:
            return read_tensors(answered)
        except UnreadableArray as error:
            raise BackendError(f"{where} wrote no outputs: {error}") from error


def _write_inputs(path: Path, inputs: Sequence[NDArray[np.generic]]) -> None:
    save_file({str(number): np.ascontiguousarray(each) for number, each in enumerate(inputs)}, path)


def main() -> int:
    """The child: one request on stdin, one answer on stdout. Runtimes that print to stdout end up on stderr."""
    answer_stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    request = TypeAdapter(_Request).validate_json(sys.stdin.read())
    limit_memory(request.memory_bytes)
    try:
        answer = _run(request)
    except Exception as error:
        answer = {"error": why(error, request.folder)}
    with answer_stream:
        answer_stream.write(json.dumps(answer) + "\n")
    return 0


def why(error: BaseException, folder: str) -> str:
    """One line on why the network in `folder` failed in a process of its own."""
    if is_out_of_memory(error):
        return f"{folder}: {_NO_MEMORY}"
    if isinstance(error, EdgetlError):
        return str(error)
    # a runtime's own error on a model that it should have refused
    return f"{folder}: {type(error).__name__}: {shortened(str(error), _LONGEST_ERROR)}"


def _run(request: _Request) -> dict[str, object]:
    named = load_file(request.inputs)
    inputs = [named[str(number)] for number in range(len(named))]
    backend = load(request.compiled.backend)
    reset_peak_rss()
    baseline = peak_rss_bytes()
    start = time.perf_counter_ns()
    with backend.open(Path(request.folder), request.compiled, request.target, threads=request.threads) as engine:
        given = [engine.infer(fed(inputs[0]))]
        elapsed = time.perf_counter_ns() - start
        peak = peak_rss_bytes()
        if request.outputs:
            given += [engine.infer(fed(each)) for each in inputs[1:]]
            save_file({name: np.concatenate([one[name] for one in given]) for name in given[0]}, request.outputs)
    return {
        "cold_start_ms": elapsed / 1e6,
        "peak_rss_bytes": max(peak - baseline, 0),
        "baseline_rss_bytes": baseline,
    }


def _ask(request: _Request, limits: Limits, where: str) -> dict[str, object]:
    return _parse(output_of("edgetl.backends.fresh_process", (), json.dumps(asdict(request)), limits, where), where)


def output_of(module: str, arguments: Sequence[str], given: str, limits: Limits, where: str) -> str:
    """What edgetl's `module` prints to stdout in a new process, with `given` as its stdin.

    raises  BackendError, in a line that begins with `where`, if it fails; Interrupted if it was too slow or was killed
    """
    source = str(Path(edgetl.__file__).resolve().parent.parent)
    path = os.pathsep.join(part for part in (source, os.environ.get("PYTHONPATH", "")) if part)
    try:
        done = subprocess.run(
            # -P: the current folder may contain a file named numpy.py
            [sys.executable, "-P", "-m", module, *arguments],
            input=given,
            capture_output=True,
            text=True,
            timeout=limits.time_s,
            env={**os.environ, "PYTHONPATH": path},
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Interrupted(f"{where} {limits.missed}") from error
    if done.returncode == -signal.SIGKILL:
        raise Interrupted(f"{where} was killed, possibly because memory ran out")
    if done.returncode != 0 and says_out_of_memory(done.stderr):
        raise BackendError(f"{where}: {_NO_MEMORY}")
    if done.returncode != 0:
        tail = " ".join(done.stderr.split()[-40:])
        raise BackendError(f"{where} ended with status {done.returncode}: {tail or 'no message'}")
    return done.stdout


def _parse(text: str, where: str) -> dict[str, object]:
    try:
        return dict(json.loads(text))
    except (ValueError, TypeError) as error:
        raise BackendError(f"{where} wrote {text[:200]!r}; expected one JSON line") from error


def _costs(answer: dict[str, object], where: str) -> dict[str, float]:
    if "error" in answer:
        raise BackendError(f"{where}: {answer['error']}")
    try:
        return {key: float(str(answer[key])) for key in ("cold_start_ms", "peak_rss_bytes", "baseline_rss_bytes")}
    except (ValueError, KeyError) as error:
        raise BackendError(f"{where} wrote {answer}; expected one JSON line with its measurements") from error


if __name__ == "__main__":
    sys.exit(main())
