"""Warming up until times are steady: the last change point of the warm-up's own times."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict

FEWEST_STEADY = 50
"""Runs in a row without a change point that make an engine warm."""
MOST_RUNS = 1000
MOST_SECONDS = 10.0
SMALLEST_CHANGE = 0.02
"""A change of the median by less than this share does not count."""
_CHANCE = 0.05
Shown = TypeVar("Shown")


@dataclass(frozen=True)
class WarmUp:
    """Untimed runs before the timed ones.

    runs         how many there were, all of them discarded
    steady_from  the run, from 0, after which no change was found; None if the times never became steady
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    runs: int
    steady_from: int | None


def warm_up(
    call: Callable[[Shown], object],
    shown: Sequence[Shown],
    *,
    clock: Callable[[], int] = time.perf_counter_ns,
    most_runs: int = MOST_RUNS,
    most_seconds: float = MOST_SECONDS,
) -> WarmUp:
    """Run until the last `FEWEST_STEADY` runs or more have no change point, `most_runs` runs, or `most_seconds`.

    shown  inputs, taken in turn; clock  nanoseconds
    """
    times: list[int] = []
    start = clock()
    while len(times) < most_runs and clock() - start < most_seconds * 1e9:
        for _ in range(FEWEST_STEADY):
            begin = clock()
            call(shown[len(times) % len(shown)])
            times.append(clock() - begin)
        found = steady_from(np.array(times))
        if found is not None:
            return WarmUp(len(times), found)
    return WarmUp(len(times), None)


def steady_from(times: NDArray[np.int64]) -> int | None:
    """The index after the last change of the times; None if fewer than `FEWEST_STEADY` follow.

    times  (N,) of a warm-up, in order. A change is one that Pettitt's test finds with 95 % confidence, if the median
    changes by `SMALLEST_CHANGE` or more.
    Source: Pettitt 1979, "A non-parametric approach to the change-point problem", Applied Statistics 28:126-135.
    """
    first = 0
    while times.size - first >= FEWEST_STEADY:
        rest = times[first:]
        change = _change_point(rest)
        if change is None:
            return first
        first += change
    return None


def _change_point(times: NDArray[np.int64]) -> int | None:
    """How many of the times come before the change."""
    count = times.size
    sums = np.cumsum(_ranks(times))[:-1]
    split = np.arange(1, count)
    statistic = np.abs(2 * sums - split * (count + 1))
    place = int(statistic.argmax()) + 1
    chance = 2 * math.exp(-6 * float(statistic[place - 1]) ** 2 / (count**3 + count**2))
    before, after = float(np.median(times[:place])), float(np.median(times[place:]))
    if chance > _CHANCE or abs(after - before) < SMALLEST_CHANGE * before:
        return None
    return place


def _ranks(times: NDArray[np.int64]) -> NDArray[np.float64]:
    """From 1; equal times share the mean of their ranks."""
    _, places, counts = np.unique(times, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[places], dtype=np.float64)
