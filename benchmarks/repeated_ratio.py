"""Combines repeats: quantiles of times and ratios of medians. The machine's speed may change between repeats, and each
opens the engines again. Repeats usually differ by more than the runs inside one, so they are the sample for
intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgetl.bench import time_stats
from edgetl.bench.latency import BLOCK
from edgetl.bench.time_stats import over_repeats
from edgetl.types import Interval


@dataclass(frozen=True)
class Ratio:
    """Ratio of median times.

    combined  geometric mean of the repeats with Student's interval of their logarithms; a single repeat's own
    repeats   every repeat's own ratio, whose interval holds what varies inside of it
    """

    combined: Interval
    repeats: tuple[Interval, ...]

    @property
    def low(self) -> float:
        """The lowest end of the interval and of all repeats."""
        return min(self.combined.low, *(each.value for each in self.repeats))

    @property
    def high(self) -> float:
        return max(self.combined.high, *(each.value for each in self.repeats))


def ratio(
    repeats: Sequence[Mapping[str, NDArray[np.int64]]], slow: str, fast: str, seed: int, block: int = BLOCK
) -> Ratio:
    """Time of `slow` over time of `fast`; each repeat holds both, timed in the same rounds of `block` runs."""
    found = tuple(
        time_stats.speedup(times[slow], times[fast], block=block, seed=seed + index)
        for index, times in enumerate(repeats)
    )
    return Ratio(found[0] if len(found) == 1 else over_repeats([each.value for each in found]), found)


def quantile(repeats: Sequence[NDArray[np.int64]], q: float, block: int = BLOCK) -> Interval | None:
    """The q-quantile of the nanoseconds of all repeats, in milliseconds; None of too few.

    Each repeat, at least one, holds equally many runs in rounds of `block`. The interval is that of `quantile` with
    repeats as the rounds; a single repeat has its own interval.
    """
    rounds = block if len(repeats) == 1 else len(repeats[0])
    return time_stats.quantile(np.concatenate(repeats) / 1e6, q, block=rounds)


def geometric_mean(found: Sequence[Interval]) -> Interval:
    """Of independent ratios, at least one. The interval holds what is uncertain in each, not how they differ: what they
    are ratios of, networks or sets of images, is fixed.

    Source: Zou and Donner 2008, "Construction of confidence limits about effect measures: a general approach",
    Statistics in Medicine 27:1693-1702: limits of a sum from the limits of its independent terms, here logarithms.
    """
    count = len(found)
    value = sum(math.log(each.value) for each in found) / count
    down = math.sqrt(sum(math.log(each.value / each.low) ** 2 for each in found)) / count
    up = math.sqrt(sum(math.log(each.high / each.value) ** 2 for each in found)) / count
    return Interval(math.exp(value), math.exp(value - down), math.exp(value + up))
