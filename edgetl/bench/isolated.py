"""Cold start and peak memory of a build, each repeat in a fresh process: an imported runtime cannot be unloaded.

The child is this module: `python -m edgetl.bench.isolated` reads one JSON request on stdin and answers with one JSON
line on stdout.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

import edgetl
from edgetl.backends.base import load
from edgetl.bench.result import ColdStart
from edgetl.errors import BackendError, EdgetlError
from edgetl.memory import peak_rss_bytes, reset_peak_rss
from edgetl.temporary import temporary_folder
from edgetl.types import INPUT_NAME, Compiled, Target

REPEATS = 3
TIMEOUT_S = 300.0


class Interrupted(BackendError):
    """A process was too slow, or was killed from outside. It says nothing of the build."""


@dataclass(frozen=True)
class _Request:
    folder: str
    compiled: Compiled
    target: Target
    threads: int
    image: str


def cold_start(
    folder: Path,
    compiled: Compiled,
    target: Target,
    image: NDArray[np.uint8],
    *,
    threads: int,
    repeats: int = REPEATS,
    timeout_s: float = TIMEOUT_S,
) -> ColdStart:
    """Open the build in `folder` and infer `image` (H, W, 3) uint8, in `repeats` fresh processes one after another.

    Raises BackendError when a process fails or answers nonsense; Interrupted when it takes longer than `timeout_s` or
    is killed.
    """
    with temporary_folder() as scratch:
        path = scratch / "image.npy"
        np.save(path, image, allow_pickle=False)
        request = _Request(str(folder.resolve()), compiled, target, threads, str(path))
        answers = [_ask(request, timeout_s) for _ in range(repeats)]
    return ColdStart(
        cold_start_ms=statistics.median(answer["cold_start_ms"] for answer in answers),
        peak_rss_bytes=int(statistics.median(answer["peak_rss_bytes"] for answer in answers)),
        baseline_rss_bytes=int(statistics.median(answer["baseline_rss_bytes"] for answer in answers)),
        repeats=repeats,
    )


def main() -> int:
    """The child: one request on stdin, one answer on stdout. Runtimes that print to stdout end up on stderr."""
    answer_stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    request = TypeAdapter(_Request).validate_json(sys.stdin.read())
    try:
        answer = _measure(request)
    except EdgetlError as error:
        answer = {"error": str(error)}
    with answer_stream:
        answer_stream.write(json.dumps(answer) + "\n")
    return 0


def _measure(request: _Request) -> dict[str, object]:
    image = np.load(request.image, allow_pickle=False)[None]
    backend = load(request.compiled.backend)
    reset_peak_rss()
    baseline = peak_rss_bytes()
    start = time.perf_counter_ns()
    with backend.open(Path(request.folder), request.compiled, request.target, threads=request.threads) as engine:
        engine.infer({INPUT_NAME: image})
        elapsed = time.perf_counter_ns() - start
        peak = peak_rss_bytes()
    return {
        "cold_start_ms": elapsed / 1e6,
        "peak_rss_bytes": max(peak - baseline, 0),
        "baseline_rss_bytes": baseline,
    }


def _ask(request: _Request, timeout_s: float) -> dict[str, float]:
    source = str(Path(edgetl.__file__).resolve().parent.parent)
    path = os.pathsep.join(part for part in (source, os.environ.get("PYTHONPATH", "")) if part)
    # -P: the current folder may hold a file called numpy.py
    command = [sys.executable, "-P", "-m", "edgetl.bench.isolated"]
    where = f"{request.target.name} {request.compiled.precision}: fresh process"
    try:
        done = subprocess.run(
            command,
            input=json.dumps(asdict(request)),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            env={**os.environ, "PYTHONPATH": path},
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Interrupted(f"{where} did not finish within {timeout_s:g} s") from error
    if done.returncode == -signal.SIGKILL:
        raise Interrupted(f"{where} was killed, as when memory runs out")
    if done.returncode != 0:
        tail = " ".join(done.stderr.split()[-40:])
        raise BackendError(f"{where} ended with status {done.returncode}: {tail or 'no message'}")
    return _parse(done.stdout, where)


def _parse(text: str, where: str) -> dict[str, float]:
    try:
        answer = json.loads(text)
        if "error" in answer:
            raise BackendError(f"{where}: {answer['error']}")
        return {key: float(answer[key]) for key in ("cold_start_ms", "peak_rss_bytes", "baseline_rss_bytes")}
    except (ValueError, KeyError, TypeError) as error:
        raise BackendError(f"{where} answered {text[:200]!r}; expected one JSON line with its measurements") from error


if __name__ == "__main__":
    sys.exit(main())
