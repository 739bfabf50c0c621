"""What starting costs: `edgetl --help` against bare Python, and a second build that has nothing to do.

    python benchmarks/startup.py
    python benchmarks/startup.py --data DATA --weights-dir WEIGHTS --work WORK

The second form takes the options that benchmarks/build_chain.py was run with; the builds in WORK must be finished.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np
from example_builds import ExampleBuild, add_build_arguments, edgetl_program, example_builds
from numpy.typing import NDArray
from result_file import Result, add_write_option, deliver, interval, machine_now, number, table

from edgetl.bench import time_stats
from edgetl.errors import EdgetlError
from edgetl.types import Interval

_PYTHON, _HELP = "python -c pass", "edgetl --help"
_LIMIT_MS = 40.0
_LIMIT_S = 3.0
_IDLE = "nothing to do"
_GATE_MISSED = 3
_SEED = 0

_Seconds = NDArray[np.float64]


def main() -> int:
    arguments = _arguments()
    machine = machine_now()
    starts = _start_times(arguments.rounds)
    try:
        builds = example_builds(arguments) if arguments.work else ()
        idle = {build.out.name: _idle_times(build, arguments.idle_rounds) for build in builds}
    except EdgetlError as error:
        print(error, file=sys.stderr)
        return 1
    sections = [_start_section(starts), *([_idle_section(idle)] if idle else [])]
    data = {"start": _start_data(starts), "second_build_seconds": {name: list(times) for name, times in idle.items()}}
    deliver(Result("startup", "Starting", tuple(sections), data), machine, arguments.write)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=60, help="starts of each program (default 60)")
    parser.add_argument("--idle-rounds", type=int, default=7, help="runs of each finished build (default 7)")
    add_build_arguments(parser)
    add_write_option(parser)
    return parser.parse_args()


def _start_times(rounds: int) -> dict[str, _Seconds]:
    """Seconds of every start, in rounds; in each round both programs run once, in random order."""
    commands = {_PYTHON: [sys.executable, "-c", "pass"], _HELP: [edgetl_program(), "--help"]}
    order = random.Random(_SEED)
    times = {name: np.zeros(rounds) for name in commands}
    for command in commands.values():
        _seconds(command)  # byte code is compiled and files are cached once
    for turn in range(rounds):
        for name in order.sample(list(commands), len(commands)):
            times[name][turn] = _seconds(commands[name])
    return times


def _seconds(command: Sequence[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def _idle_times(build: ExampleBuild, rounds: int) -> tuple[float, ...]:
    """Seconds of a build that is finished. Raises EdgetlError if it was not finished."""
    return tuple(_idle_seconds(build) for _ in range(rounds))


def _idle_seconds(build: ExampleBuild) -> float:
    started = time.perf_counter()
    done = subprocess.run(build.command, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode not in (0, _GATE_MISSED):
        raise EdgetlError(f"{build.recipe.name}: edgetl build ended with status {done.returncode}: {done.stderr}")
    if _IDLE not in done.stderr:
        raise EdgetlError(f"{build.recipe.name}: this build was not finished, now it is; run the benchmark again")
    return seconds


def _start_section(starts: Mapping[str, _Seconds]) -> str:
    rows = [(f"`{name}`", interval(_median_ms(times), 1)) for name, times in starts.items()]
    rows.append(("difference within a round", interval(_difference_ms(starts), 1)))
    rounds = len(starts[_HELP])
    return "\n\n".join(
        [
            "## `edgetl --help` against bare Python",
            f"Medians of {rounds} rounds; in each both run once, in random order. The limit for the difference is "
            f"{_LIMIT_MS:.0f} ms.",
            table(("program", "ms"), rows),
        ]
    )


def _idle_section(idle: Mapping[str, Sequence[float]]) -> str:
    rows = [
        (
            name,
            interval(time_stats.quantile(np.asarray(times), 0.5, block=None), 2),
            number(max(times), 2),
            str(len(times)),
        )
        for name, times in idle.items()
    ]
    return "\n\n".join(
        [
            "## A second build with nothing to do",
            f"`edgetl build` on a finished output folder: every image is hashed again. The limit is {_LIMIT_S:.0f} s.",
            table(("recipe", "median s", "slowest s", "runs"), rows),
        ]
    )


def _start_data(starts: Mapping[str, _Seconds]) -> dict[str, object]:
    medians = {name: _json(_median_ms(times)) for name, times in starts.items()}
    return {
        "rounds": len(starts[_HELP]),
        "median_ms": medians,
        "difference_ms": _json(_difference_ms(starts)),
        "seconds": {name: [round(value, 6) for value in times] for name, times in starts.items()},
    }


def _median_ms(seconds: _Seconds) -> Interval | None:
    return time_stats.quantile(seconds * 1e3, 0.5, block=None)


def _difference_ms(starts: Mapping[str, _Seconds]) -> Interval | None:
    return _median_ms(starts[_HELP] - starts[_PYTHON])


def _json(found: Interval | None) -> dict[str, float] | None:
    return None if found is None else asdict(found)


if __name__ == "__main__":
    sys.exit(main())
