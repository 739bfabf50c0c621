"""Paced arrivals: latency counts from the arrival, so that queueing shows, checked against queueing theory."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edgetl.bench.paced import Pace, PacedTimes, figures, overload, paced, schedule

RATE = 100.0  # a second: a gap of 10 ms


class Machine:
    """A clock that calls and sleeping move forward; the calls take given milliseconds in turn."""

    def __init__(self, *service_ms: float) -> None:
        self.now, self.service_ms, self.begun, self.slept = 1_000, service_ms, list[int](), 0.0

    def call(self, number: int) -> None:
        self.begun.append(self.now)
        self.now += round(1e6 * self.service_ms[number])

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self.now += max(1, round(1e9 * seconds))

    def run(self, arrivals: NDArray[np.int64]) -> PacedTimes:
        return paced(self.call, range(len(self.service_ms)), arrivals, clock=lambda: self.now, sleep=self.sleep)


def test_fixed_arrivals_have_equal_gaps_and_poisson_ones_the_same_mean() -> None:
    assert schedule(Pace(RATE), 4, seed=0).tolist() == [0, 10_000_000, 20_000_000, 30_000_000]
    gaps = np.diff(schedule(Pace(RATE, "poisson"), 20_000, seed=1))
    assert gaps.mean() == pytest.approx(1e7, rel=0.03)
    assert gaps.std() == pytest.approx(1e7, rel=0.03)
    assert (schedule(Pace(RATE, "poisson"), 50, seed=1) == schedule(Pace(RATE, "poisson"), 50, seed=1)).all()


def test_nothing_runs_before_it_arrives_and_an_idle_engine_sleeps() -> None:
    machine = Machine(2.0)
    times = machine.run(schedule(Pace(RATE), 5, seed=0))
    assert machine.begun == [1_000 + 10_000_000 * run for run in range(5)]
    assert times.latency.tolist() == times.service.tolist() == [2_000_000] * 5
    assert machine.slept == pytest.approx(4 * 0.008)


def test_an_example_that_waits_counts_from_its_arrival() -> None:
    times = Machine(25.0, 1.0, 1.0).run(schedule(Pace(RATE), 3, seed=0))
    assert times.service.tolist() == [25_000_000, 1_000_000, 1_000_000]
    assert times.latency.tolist() == [25_000_000, 16_000_000, 7_000_000]


def test_waiting_is_that_of_an_m_d_1_queue() -> None:
    # Poisson arrivals, equal service, 70 % busy: the mean wait is rho / (2 (1 - rho)) services (Pollaczek, Khinchine)
    times = Machine(7.0).run(schedule(Pace(RATE, "poisson"), 200_000, seed=2))
    wait = (times.latency - times.service).mean() / 7e6
    assert wait == pytest.approx(0.7 / (2 * 0.3), rel=0.05)


def test_the_figures_tell_latency_service_and_how_busy_it_is() -> None:
    found = figures(Machine(5.0).run(schedule(Pace(RATE), 400, seed=0)), Pace(RATE))
    assert found.p50_ms is not None
    assert found.service_p50_ms is not None
    assert (found.p50_ms.value, found.service_p50_ms.value) == (5.0, 5.0)
    assert found.utilization == pytest.approx(0.5)
    assert found.p99_ms.low is None
    assert found.p999_ms is None
    assert not overload(found)


def test_a_queue_that_grows_is_warned_of() -> None:
    found = figures(Machine(15.0).run(schedule(Pace(RATE), 400, seed=0)), Pace(RATE))
    assert found.p99_ms.value > 1000
    assert "100 arrivals a second need 1.50 times the time there is" in overload(found)
