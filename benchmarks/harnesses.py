"""Do `edgetl bench` and `edgetl-bench` measure the same? Both run on the same bundles, in turns, in fresh processes.

    python benchmarks/harnesses.py BUNDLE... --program build/native/bin/edgetl-bench [--pairs 11]

The C++ program gets the engine's shared library of the installed Python package.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from engine_library import engine_library
from result_file import Result, add_write_option, deliver, interval, machine_now, number, table

from edgetl.bench import time_stats
from edgetl.bundle.manifest import read_manifest
from edgetl.errors import EdgetlError
from edgetl.types import Interval

_LIMIT = 0.05
_NOTES = """\
Each run is a fresh process of 300 timed inferences on the golden images, one thread; the two programs take turns. The
ratio is that of the p50 of a pair, Python over C++; its median over the pairs with a distribution-free interval."""


@dataclass(frozen=True)
class Compared:
    """One bundle. p50 in milliseconds per pair; `ratio` is Python over C++."""

    bundle: str
    backend: str
    precision: str
    python_p50_ms: tuple[float, ...]
    cpp_p50_ms: tuple[float, ...]
    ratio: Interval

    @property
    def agrees(self) -> bool:
        return abs(self.ratio.value - 1) <= _LIMIT


def main() -> int:
    arguments = _arguments()
    machine = machine_now()
    try:
        compared = [_compare(bundle, arguments.program, arguments.pairs) for bundle in arguments.bundles]
    except EdgetlError as error:
        print(error, file=sys.stderr)
        return 1
    data = {"limit": _LIMIT, "bundles": [asdict(one) for one in compared]}
    sections = (_NOTES, _table(compared))
    deliver(Result("harnesses", "The Python and the C++ harness", sections, data), machine, arguments.write)
    return 0 if all(one.agrees for one in compared) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", type=Path, nargs="+")
    parser.add_argument("--program", type=Path, required=True, help="the built edgetl-bench")
    parser.add_argument("--pairs", type=int, default=11, help="an interval of 95 %% needs at least 6")
    add_write_option(parser)
    return parser.parse_args()


def _compare(bundle: Path, program: Path, pairs: int) -> Compared:
    compiled = read_manifest(bundle).compiled
    cpp = [
        str(program),
        str(bundle),
        "--json",
        "--threads",
        "1",
        "--engine-library",
        str(engine_library(compiled.backend)),
    ]
    python = [sys.executable, "-m", "edgetl", "bench", str(bundle), "--json", "--threads", "1"]
    times: dict[str, list[float]] = {"python": [], "cpp": []}
    for pair in range(pairs):
        turns = [("python", python), ("cpp", cpp)]
        for side, command in turns if pair % 2 else reversed(turns):
            times[side].append(_p50_ms(command))
    ratios = np.array(times["python"]) / np.array(times["cpp"])
    middle = time_stats.quantile(ratios, 0.5, block=None)
    if middle is None:
        raise EdgetlError(f"{pairs} pairs are too few for an interval; expected at least 6: --pairs 11")
    return Compared(
        bundle.name, compiled.backend, compiled.precision, tuple(times["python"]), tuple(times["cpp"]), middle
    )


def _p50_ms(command: Sequence[str]) -> float:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise EdgetlError(f"{Path(command[0]).name} failed: {done.stderr.strip()}")
    return float(json.loads(done.stdout)["bundles"][0]["p50_ms"]["value"])


def _table(compared: Sequence[Compared]) -> str:
    head = ("bundle", "engine", "precision", "Python p50 ms", "C++ p50 ms", "Python / C++", "within 5 %")
    rows = [
        (
            one.bundle,
            one.backend,
            one.precision,
            number(float(np.median(one.python_p50_ms)), 3),
            number(float(np.median(one.cpp_p50_ms)), 3),
            interval(one.ratio, 3),
            "yes" if one.agrees else "no",
        )
        for one in compared
    ]
    return table(head, rows, left=3)


if __name__ == "__main__":
    sys.exit(main())
