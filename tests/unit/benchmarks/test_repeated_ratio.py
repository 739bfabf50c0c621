"""Intervals of what is measured in repeats hold how repeats differ."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "benchmarks"))

from repeated_ratio import geometric_mean, quantile, ratio

from edgetl.bench import time_stats
from edgetl.bench.latency import BLOCK
from edgetl.bench.time_stats import over_repeats
from edgetl.types import Interval

Series = NDArray[np.int64]
RUNS = 100


def series(generator: np.random.Generator, slower: float) -> Series:
    """Runs of one repeat, 1 ms times `slower` in the median."""
    return (1e6 * slower * np.exp(generator.normal(0, 0.01, RUNS))).astype(np.int64)


def repeats(generator: np.random.Generator, noise: float, count: int = 5) -> list[dict[str, Series]]:
    """Two builds that are equally fast but for what is drawn anew each time the engines are opened."""
    return [
        {name: series(generator, math.exp(generator.normal(0, noise))) for name in ("slow", "fast")}
        for _ in range(count)
    ]


def share_with(found: Sequence[Interval], truth: float) -> float:
    return sum(each.low <= truth <= each.high for each in found) / len(found)


class TestRatio:
    def test_the_interval_holds_what_differs_between_repeats(self) -> None:
        generator = np.random.default_rng(0)
        found = [ratio(repeats(generator, 0.02), "slow", "fast", 0) for _ in range(60)]
        assert share_with([each.combined for each in found], 1.0) >= 0.9
        inside = [geometric_mean(each.repeats) for each in found]  # as if a repeat told all
        assert share_with(inside, 1.0) < 0.75

    def test_it_is_students_interval_of_the_logarithms(self) -> None:
        scipy = pytest.importorskip("scipy.stats")
        ratios = [1.1, 1.2, 1.15, 1.3]
        found, logs = over_repeats(ratios), np.log(ratios)
        low, high = scipy.t.interval(0.95, 3, logs.mean(), scipy.sem(logs))
        assert found.value == pytest.approx(scipy.gmean(ratios))
        assert (found.low, found.high) == pytest.approx((math.exp(low), math.exp(high)), rel=1e-3)

    def test_a_single_repeat_has_its_own_interval(self) -> None:
        only = repeats(np.random.default_rng(1), 0.02, count=1)
        expected = time_stats.speedup(only[0]["slow"], only[0]["fast"], block=BLOCK, seed=3)
        assert ratio(only, "slow", "fast", 3).combined == expected

    def test_slow_over_fast_is_the_inverse_of_fast_over_slow(self) -> None:
        both = repeats(np.random.default_rng(2), 0.02)
        one, other = ratio(both, "slow", "fast", 0).combined, ratio(both, "fast", "slow", 0).combined
        assert (other.value, other.low, other.high) == pytest.approx((1 / one.value, 1 / one.high, 1 / one.low))


class TestQuantile:
    def test_its_interval_holds_what_differs_between_repeats(self) -> None:
        generator = np.random.default_rng(3)
        found, as_runs = [], []
        for _ in range(200):
            times = [series(generator, math.exp(generator.normal(0, 0.02))) for _ in range(5)]
            middle = quantile(times, 0.5)
            alone = time_stats.quantile(np.concatenate(times) / 1e6, 0.5, block=None)
            assert middle is not None
            assert alone is not None
            found.append(middle)
            as_runs.append(alone)
        assert share_with(found, 1.0) >= 0.92
        assert share_with(as_runs, 1.0) < 0.85

    def test_of_a_single_repeat_it_is_that_of_its_rounds(self) -> None:
        times = series(np.random.default_rng(4), 1.0)
        assert quantile([times], 0.9) == time_stats.quantile(times / 1e6, 0.9, block=BLOCK)

    def test_p99_needs_as_many_runs_as_without_repeats(self) -> None:
        times = series(np.random.default_rng(5), 1.0)
        assert quantile([times, times], 0.99) is None
        assert quantile([times, times, times], 0.99) is not None
