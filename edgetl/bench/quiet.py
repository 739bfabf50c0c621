"""Whether the machine left the timed runs alone: one rule, the same for a build, `edgetl bench` and the gates.

A machine counts as busy when one of these was seen while the runs were timed (docs/guide/report.md):

waiting  the timed threads stood in line for a core for more than 5 % of the time. Where the system does not say, a load
         average above 1.5 for each core takes its place: it is that of the minute before, in which a build may have
         trained, and counts programs that other cores had room for.
steal    the host of a virtual machine took more than 2 % of the CPU time for others
spread   the medians of the rounds differ: their middle half spans more than 10 % of the median
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict

from edgetl.bench.latency import BLOCK
from edgetl.bench.machine import Machine

MOST_WAITED = 0.05
MOST_STOLEN = 0.02
MOST_SPREAD = 0.10
MOST_LOAD_PER_CORE = 1.5
_FEWEST_ROUNDS = 4  # below that the middle half is that of two or three rounds
_STEAL = 7  # place among the numbers of a line `cpu` of /proc/stat
_OF_ALL = 8  # user to steal; guest times are within them


@dataclass(frozen=True)
class Conditions:
    """What the timed runs met with, as shares; None where the system does not say.

    waited  of the time of each thread of an inference, that it stood in line for a core
    stolen  of the CPU time of this machine, that its host gave to others
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    waited: float | None
    stolen: float | None


@dataclass(frozen=True)
class Snapshot:
    """Counters of the system at one moment: seconds of the clock, of waiting, and ticks of CPU time."""

    clock_s: float
    waited_s: float | None
    stolen_ticks: float | None
    all_ticks: float | None


def snapshot(root: Path = Path("/")) -> Snapshot:
    """The counters now. `root` is where `proc` lies."""
    ticks = _ticks(root / "proc/stat")
    return Snapshot(
        clock_s=time.monotonic(),
        waited_s=_waited_s(root / "proc/self/task"),
        stolen_ticks=ticks[_STEAL] if ticks else None,
        all_ticks=sum(ticks[:_OF_ALL]) if ticks else None,
    )


def conditions(before: Snapshot, after: Snapshot, threads: int) -> Conditions:
    """What happened between two moments to inferences of `threads` threads each."""
    seconds = after.clock_s - before.clock_s
    waited = _difference(before.waited_s, after.waited_s)
    stolen, every = _difference(before.stolen_ticks, after.stolen_ticks), _difference(before.all_ticks, after.all_ticks)
    return Conditions(
        waited=min(1.0, waited / seconds / threads) if waited is not None and seconds > 0 else None,
        stolen=stolen / every if stolen is not None and every else None,
    )


def round_spread(times: NDArray[np.int64]) -> float | None:
    """Span of the middle half of the rounds' medians over the median; None of fewer than four whole rounds.

    times  (N,) of one build in the order in which they were taken
    """
    rounds = times.size // BLOCK
    if rounds < _FEWEST_ROUNDS:
        return None
    medians = np.median(times[: rounds * BLOCK].reshape(rounds, BLOCK), axis=1)
    low, middle, high = np.quantile(medians, (0.25, 0.5, 0.75))
    return float((high - low) / middle) if middle > 0 else None


def too_many_threads(machine: Machine, threads: int) -> str:
    """That threads of one inference outnumber the cores it may use, in words; "" where they do not."""
    cores = machine.usable_cores
    if cores is None or threads <= math.ceil(cores):
        return ""
    return f"{threads} threads on {cores:g} usable core{'' if cores == 1 else 's'}: they wait for each other"


def busy(machine: Machine, met: Conditions | None, spreads: Iterable[float | None], threads: int) -> str:
    """What shows that the machine was busy with other work, in words; "" where nothing does.

    spreads  `round_spread` of every build that was timed. Waiting of threads that outnumber the cores is their own.
    """
    signs: list[str] = []
    own = bool(too_many_threads(machine, threads))
    waited = met.waited if met else None
    if waited is not None and waited > MOST_WAITED and not own:
        signs.append(f"the timed runs waited {100 * waited:.0f} % of the time for a core{_load(machine)}")
    if waited is None and _is_loaded(machine):
        signs.append(f"load average {machine.load_average:.3g} on {_cores(machine)}")
    if met is not None and met.stolen is not None and met.stolen > MOST_STOLEN:
        signs.append(f"the host took {100 * met.stolen:.0f} % of the CPU time for others")
    spread = max((each for each in spreads if each is not None), default=0.0)
    if spread > MOST_SPREAD and not own:
        signs.append(f"the middle half of the rounds spans {100 * spread:.0f} % of the median time")
    return f"busy machine: {'; '.join(signs)}" if signs else ""


def _is_loaded(machine: Machine) -> bool:
    load, cores = machine.load_average, machine.logical_cores
    return load is not None and cores is not None and load > MOST_LOAD_PER_CORE * cores


def _load(machine: Machine) -> str:
    if machine.load_average is None or machine.logical_cores is None:
        return ""
    return f" (load average {machine.load_average:.3g} on {_cores(machine)})"


def _cores(machine: Machine) -> str:
    return f"{machine.logical_cores} core{'' if machine.logical_cores == 1 else 's'}"


def _waited_s(tasks: Path) -> float | None:
    """Over all threads of this process: the second number of /proc/self/task/*/schedstat, in nanoseconds."""
    found = [_numbers(_text(path)) for path in tasks.glob("*/schedstat")]
    waits = [numbers[1] for numbers in found if len(numbers) >= 2]
    return sum(waits) / 1e9 if waits else None


def _ticks(stat: Path) -> list[float] | None:
    numbers = _numbers(_text(stat).partition("\n")[0].removeprefix("cpu"))
    return numbers if len(numbers) >= _OF_ALL else None


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split()]
    except ValueError:
        return []


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:  # a thread may end while it is looked at
        return ""


def _difference(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else max(0.0, after - before)
