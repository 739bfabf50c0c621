"""How many times faster one build is than another, over repeats between which the machine's speed may change."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgetl import stats
from edgetl.types import Interval


@dataclass(frozen=True)
class Ratio:
    """Ratio of median times.

    combined  geometric mean of the repeats; its interval holds the error within repeats only
    repeats   every repeat's own ratio, which shows what varies from repeat to repeat
    """

    combined: Interval
    repeats: tuple[Interval, ...]

    @property
    def low(self) -> float:
        """The lowest that the interval or any repeat says."""
        return min(self.combined.low, *(each.value for each in self.repeats))

    @property
    def high(self) -> float:
        return max(self.combined.high, *(each.value for each in self.repeats))


def ratio(repeats: Sequence[Mapping[str, NDArray[np.int64]]], slow: str, fast: str, seed: int) -> Ratio:
    """Time of `slow` over time of `fast`; each repeat holds both, timed in the same rounds."""
    found = tuple(stats.speedup(times[slow], times[fast], seed + index) for index, times in enumerate(repeats))
    return Ratio(geometric_mean(found), found)


def geometric_mean(found: Sequence[Interval]) -> Interval:
    """Of independent ratios, at least one. The interval holds what is uncertain in each, not how they differ.

    Source: Zou and Donner 2008, "Construction of confidence limits about effect measures: a general approach",
    Statistics in Medicine 27:1693-1702: limits of a sum from the limits of its independent terms, here logarithms.
    """
    count = len(found)
    value = sum(math.log(each.value) for each in found) / count
    down = math.sqrt(sum(math.log(each.value / each.low) ** 2 for each in found)) / count
    up = math.sqrt(sum(math.log(each.high / each.value) ** 2 for each in found)) / count
    return Interval(math.exp(value), math.exp(value - down), math.exp(value + up))
