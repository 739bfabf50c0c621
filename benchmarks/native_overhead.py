"""What the C++ runtime costs over the bare engine: one inference, and the start up to the first result.

    python benchmarks/native_overhead.py BUNDLE... --onnxruntime-headers FOLDER

Both sides use the same shared library, settings and input. Inferences are timed in one process, edgetl and the bare
engine once per round, in turns first; starts in fresh processes, in random order.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from engine_library import engine_library, package_folder
from numpy.typing import NDArray
from repeated_ratio import Ratio, quantile, ratio
from result_file import REPOSITORY, Result, add_write_option, deliver, interval, machine_now, number, table

from edgetl.bench import time_stats
from edgetl.bundle.manifest import Manifest, read_manifest
from edgetl.errors import EdgetlError
from edgetl.types import Interval, as_image

_SIDES = ("edgetl", "bare")
_RUN_LIMIT, _START_LIMIT = 1.02, 1.10
_WARM_STARTS = 2  # files are cached before the first start counts
_SEED = 0
_BLOCK = 1  # each side once per round

_Times = NDArray[np.int64]


@dataclass(frozen=True)
class Measured:
    """One bundle. `runs` holds one mapping per process, `starts` one for all, side -> nanoseconds per round."""

    manifest: Manifest
    runs: tuple[Mapping[str, _Times], ...]
    starts: Mapping[str, _Times]

    @property
    def run_ratio(self) -> Ratio:
        return ratio(self.runs, "edgetl", "bare", _SEED, _BLOCK)

    @property
    def start_ratio(self) -> Interval:
        return time_stats.speedup(self.starts["edgetl"], self.starts["bare"], block=_BLOCK, seed=_SEED)


def main() -> int:
    arguments = _arguments()
    machine = machine_now()
    try:
        with tempfile.TemporaryDirectory() as scratch:
            program = _build(Path(scratch), arguments.onnxruntime_headers)
            measured = [_measure(program, bundle, arguments) for bundle in arguments.bundles]
    except EdgetlError as error:
        print(error, file=sys.stderr)
        return 1
    result = Result(
        "native-overhead", "The C++ runtime over the bare engine", _sections(measured, arguments), _data(measured)
    )
    deliver(result, machine, arguments.write)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", nargs="+", type=Path, metavar="BUNDLE", help="for ONNX Runtime or OpenVINO")
    parser.add_argument("--onnxruntime-headers", type=Path, required=True, help="folder of onnxruntime_c_api.h")
    parser.add_argument("--rounds", type=int, default=500, help="inferences of each side per process (default 500)")
    parser.add_argument("--processes", type=int, default=5, help="processes that time inferences (default 5)")
    parser.add_argument("--starts", type=int, default=40, help="starts of each side (default 40)")
    parser.add_argument("--threads", type=int, default=1, help="inside one inference (default 1)")
    add_write_option(parser)
    return parser.parse_args()


def _build(folder: Path, onnxruntime_headers: Path) -> Path:
    """Configure and compile `benchmarks/native` into `folder`. Raises EdgetlError with the end of the tool's output."""
    options = [
        "-DCMAKE_BUILD_TYPE=Release",
        f"-DEDGETL_ONNXRUNTIME_INCLUDE={onnxruntime_headers.resolve()}",
        f"-DEDGETL_OPENVINO_INCLUDE={package_folder('openvino') / 'include'}",
    ]
    source = REPOSITORY / "benchmarks" / "native"
    _run(["cmake", "-S", str(source), "-B", str(folder), *options])
    _run(["cmake", "--build", str(folder), "--target", "overhead", "-j2"])
    return folder / "overhead"


def _run(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise EdgetlError(
            f"{Path(command[0]).name} ended with status {done.returncode}: {(done.stdout + done.stderr)[-2000:]}"
        )
    return done.stdout


def _measure(program: Path, bundle: Path, arguments: argparse.Namespace) -> Measured:
    manifest = read_manifest(bundle)
    command = _Command(program, bundle, manifest, arguments.threads)
    starts = _starts(command, arguments.starts)
    runs = tuple(_runs(command, arguments.rounds) for _ in range(arguments.processes))
    return Measured(manifest, runs, starts)


@dataclass(frozen=True)
class _Command:
    program: Path
    bundle: Path
    manifest: Manifest
    threads: int

    def output(self, mode: str, rounds: int) -> str:
        compiled, shape = self.manifest.compiled, as_image(self.manifest.preprocessing)
        hint = "bf16" if compiled.precision == "bfloat16" else "f32"
        model = self.bundle / compiled.model
        sizes = (shape.height, shape.width, len(self.manifest.labels), self.threads)
        words = (mode, compiled.backend, engine_library(compiled.backend), self.bundle, model, *sizes, hint, rounds)
        return _run([str(self.program), *map(str, words)])


def _runs(command: _Command, rounds: int) -> Mapping[str, _Times]:
    lines = command.output("runs", rounds).splitlines()
    times = np.array([line.split() for line in lines], dtype=np.int64)
    return dict(zip(_SIDES, times.T, strict=True))


def _starts(command: _Command, rounds: int) -> Mapping[str, _Times]:
    order = random.Random(_SEED)
    times = {side: np.zeros(rounds, dtype=np.int64) for side in _SIDES}
    for turn in range(-_WARM_STARTS, rounds):
        for side in order.sample(_SIDES, len(_SIDES)):
            found = int(command.output(f"start-{side}", 1))
            if turn >= 0:
                times[side][turn] = found
    return times


def _sections(measured: Sequence[Measured], arguments: argparse.Namespace) -> tuple[str, ...]:
    runs = [
        (
            _name(each),
            *(_median([run[side] for run in each.runs]) for side in _SIDES),
            *_verdict(each.run_ratio),
        )
        for each in measured
    ]
    starts = [
        (
            _name(each),
            *(_median([each.starts[side]]) for side in _SIDES),
            _percent(each.start_ratio),
            _within(each.start_ratio.value, _START_LIMIT),
        )
        for each in measured
    ]
    return (
        "\n\n".join(
            [
                "## One inference",
                f"`edgetl_run` against the bare call, threads: {arguments.threads}; {arguments.processes} processes of "
                f"{arguments.rounds} rounds. edgetl copies the image and the logits into and out of buffers that the "
                f"engine keeps; the bare engine works on the caller's. Processes are the sample of the intervals: that "
                "of `over bare` is Student's over the logarithms of their ratios. The limit is "
                f"{_over(_RUN_LIMIT)}.",
                table(("bundle", "edgetl p50 ms", "bare p50 ms", "over bare", "processes", "within the limit"), runs),
            ]
        ),
        "\n\n".join(
            [
                "## Open and first inference",
                f"Fresh processes, {arguments.starts} of each, from the beginning of `main` to the first logits; "
                "edgetl reads the manifest and checks every file's SHA-256, the bare engine opens the model file. "
                "Intervals are of rounds, in each of which both start once, in random order. The limit is "
                f"{_over(_START_LIMIT)}.",
                table(("bundle", "edgetl ms", "bare ms", "over bare", "within the limit"), starts),
            ]
        ),
    )


def _name(measured: Measured) -> str:
    compiled = measured.manifest.compiled
    return f"{measured.manifest.name} ({compiled.backend}, {compiled.precision})"


def _median(nanoseconds: Sequence[_Times]) -> str:
    return interval(quantile(nanoseconds, 0.5, _BLOCK), 3)


def _verdict(found: Ratio) -> tuple[str, str, str]:
    each = ", ".join(_over(repeat.value) for repeat in found.repeats)
    return _percent(found.combined), each, _within(found.combined.value, _RUN_LIMIT)


def _within(value: float, limit: float) -> str:
    return "yes" if value <= limit else "no"


def _percent(found: Interval) -> str:
    low, high = (_over(part) for part in (found.low, found.high))
    return f"{_over(found.value)} ({low} to {high})"


def _over(value: float) -> str:
    return f"{number(value - 1, 2, 100)} %"


def _data(measured: Sequence[Measured]) -> dict[str, object]:
    return {
        "limits": {"run": _RUN_LIMIT, "start": _START_LIMIT},
        "bundles": [
            {
                "name": each.manifest.name,
                "backend": each.manifest.compiled.backend,
                "precision": each.manifest.compiled.precision,
                "run_ratio": asdict(each.run_ratio),
                "start_ratio": asdict(each.start_ratio),
                "run_nanoseconds": [_lists(run) for run in each.runs],
                "start_nanoseconds": _lists(each.starts),
            }
            for each in measured
        ],
    }


def _lists(times: Mapping[str, _Times]) -> dict[str, list[int]]:
    return {side: [int(value) for value in values] for side, values in times.items()}


if __name__ == "__main__":
    sys.exit(main())
