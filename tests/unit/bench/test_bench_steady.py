"""Warming up until times are steady: the last change point counts, and one that never comes is said."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edgetl.bench.steady import FEWEST_STEADY, WarmUp, steady_from, warm_up


def times(generator: np.random.Generator, *levels: tuple[int, float]) -> NDArray[np.int64]:
    """So many runs at each level in milliseconds, with 1 % noise and 2 % of stalls."""
    parts = [np.full(count, level) for count, level in levels]
    whole = np.concatenate(parts) * np.exp(generator.normal(0, 0.01, sum(count for count, _ in levels)))
    stalls = np.where(generator.random(whole.size) < 0.02, 3.0, 1.0)
    return np.asarray(whole * stalls * 1e6, dtype=np.int64)


def shares(generator: np.random.Generator, *levels: tuple[int, float]) -> list[int | None]:
    return [steady_from(times(generator, *levels)) for _ in range(200)]


@pytest.mark.parametrize("count", [FEWEST_STEADY, 100, 500])
def test_steady_times_are_steady_from_the_start(count: int) -> None:
    found = shares(np.random.default_rng(1), (count, 2.0))
    assert sum(each == 0 for each in found) >= 190


def test_a_slow_start_is_cut_off_where_it_ends() -> None:
    found = shares(np.random.default_rng(2), (20, 3.0), (100, 2.0))
    assert sum(each is not None and 20 <= each <= 45 for each in found) >= 190


def test_clocks_that_fall_late_start_again_from_there() -> None:
    found = shares(np.random.default_rng(3), (15, 3.0), (60, 2.0), (90, 2.4))
    assert sum(each is not None and 70 <= each <= 80 for each in found) >= 180


def test_too_few_runs_after_the_last_change_are_not_steady() -> None:
    assert steady_from(times(np.random.default_rng(4), (60, 3.0), (FEWEST_STEADY - 5, 2.0))) is None
    assert steady_from(np.ones(FEWEST_STEADY - 1, np.int64)) is None


def test_a_change_of_less_than_two_percent_does_not_count() -> None:
    noise = np.random.default_rng(5).normal(0, 0.001, 200)
    small, large = (np.repeat([1.0, level], 100) * np.exp(noise) * 1e6 for level in (1.015, 1.03))
    assert steady_from(small.astype(np.int64)) == 0
    assert steady_from(large.astype(np.int64)) == 100


def test_equal_times_of_a_coarse_clock_are_steady() -> None:
    assert steady_from(np.zeros(100, np.int64)) == 0


class Machine:
    """A clock that a call moves forward by the next of some times."""

    def __init__(self, times: NDArray[np.int64]) -> None:
        self.now, self.times, self.shown = 0, iter(times.tolist()), [0]

    def call(self, number: int) -> None:
        self.shown.append(number)
        self.now += next(self.times)

    def clock(self) -> int:
        return self.now


def test_it_runs_until_the_times_are_steady_and_no_longer() -> None:
    machine = Machine(times(np.random.default_rng(6), (40, 3.0), (200, 2.0)))
    found = warm_up(machine.call, [0, 1, 2], clock=machine.clock)
    assert found.steady_from is not None
    assert 40 <= found.steady_from <= 50
    assert found.runs == 100
    assert machine.shown[1:5] == [0, 1, 2, 0]


def test_times_that_grow_without_end_are_never_steady() -> None:
    machine = Machine((1e6 * 1.002 ** np.arange(1000)).astype(np.int64))
    assert warm_up(machine.call, [0], clock=machine.clock, most_runs=600) == WarmUp(600, None)


def test_a_slow_network_is_not_warmed_up_for_longer_than_the_limit() -> None:
    machine = Machine(times(np.random.default_rng(7), *[(10, 200.0 * 1.1**step) for step in range(30)]))
    found = warm_up(machine.call, [0], clock=machine.clock, most_seconds=10)
    assert found.steady_from is None
    assert found.runs == 50
