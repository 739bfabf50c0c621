"""Whether the machine was busy during the timed runs: one rule for a build, `edgetl bench` and the gates.

A machine counts as busy if one of these was seen while the runs were timed (docs/guide/report.md):

waiting  the timed threads waited for a core for more than 5 % of the time. If the system does not report waiting, a
         load average above 1.5 per core is used instead. It covers the minute before, in which a build may have
         trained, and includes programs that ran on other free cores.
steal    the host of a virtual machine took more than 2 % of the CPU time for others
spread   the medians of the rounds differ: their interquartile range is above 10 % of the median
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
_FEWEST_ROUNDS = 4  # with fewer rounds the middle half has only two or three of them
_STEAL = 7  # place among the numbers of a line `cpu` of /proc/stat
_OF_ALL = 8  # user to steal; guest times are within them


@dataclass(frozen=True)
class Conditions:
    """The load during the timed runs, as shares; None if the system does not report it.

    waited  share of the time that each thread of an inference waited for a core
    stolen  share of this machine's CPU time that its host gave to others
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    waited: float | None
    stolen: float | None


@dataclass(frozen=True)
class Snapshot:
    """Counters of the system at one moment: seconds on the clock, seconds of waiting, ticks of CPU time."""

    clock_s: float
    waited_s: float | None
    stolen_ticks: float | None
    all_ticks: float | None


def snapshot(root: Path = Path("/")) -> Snapshot:
    """The counters now. `root` contains `proc`."""
    ticks = _ticks(root / "proc/stat")
    return Snapshot(
        clock_s=time.monotonic(),
        waited_s=_waited_s(root / "proc/self/task"),
        stolen_ticks=ticks[_STEAL] if ticks else None,
        all_ticks=sum(ticks[:_OF_ALL]) if ticks else None,
    )


def conditions(before: Snapshot, after: Snapshot, threads: int) -> Conditions:
    """The load between two moments on inferences of `threads` threads each."""
    seconds = after.clock_s - before.clock_s
    waited = _difference(before.waited_s, after.waited_s)
    stolen, every = _difference(before.stolen_ticks, after.stolen_ticks), _difference(before.all_ticks, after.all_ticks)
    return Conditions(
        waited=min(1.0, waited / seconds / threads) if waited is not None and seconds > 0 else None,
        stolen=stolen / every if stolen is not None and every else None,
    )


def round_spread(times: NDArray[np.int64]) -> float | None:
    """Interquartile range of the rounds' medians over the median; None with fewer than four complete rounds.

    times  (N,) of one build, in the order of the runs
    """
    rounds = times.size // BLOCK
    if rounds < _FEWEST_ROUNDS:
        return None
    medians = np.median(times[: rounds * BLOCK].reshape(rounds, BLOCK), axis=1)
    low, middle, high = np.quantile(medians, (0.25, 0.5, 0.75))
    return float((high - low) / middle) if middle > 0 else None


def too_many_threads(machine: Machine, threads: int) -> str:
    """A warning if the threads of one inference outnumber the usable cores; "" if they do not."""
    cores = machine.usable_cores
    if cores is None or threads <= math.ceil(cores):
        return ""
    return f"{threads} threads on {cores:g} usable core{'' if cores == 1 else 's'}: they wait for each other"


def busy(machine: Machine, met: Conditions | None, spreads: Iterable[float | None], threads: int) -> str:
    """A warning if the machine was busy with other work; "" if it was not.

    spreads  `round_spread` of every timed build. Waiting does not count if the threads outnumber the cores.
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
    except OSError:  # a thread may end meanwhile
        return ""


def _difference(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else max(0.0, after - before)
