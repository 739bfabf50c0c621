from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgetl.bench import time_stats
from edgetl.bench.latency import BLOCK
from edgetl.types import Estimate, Interval


class TestQuantile:
    def test_the_median_of_300_lies_between_ranks_133_and_168(self) -> None:
        interval = time_stats.quantile(np.arange(1, 301), 0.5, block=None)
        assert interval is not None
        assert (interval.low, interval.value, interval.high) == (133, 150, 168)

    def test_p99_needs_299_samples(self) -> None:
        assert time_stats.quantile(np.arange(298), 0.99, block=None) is None
        interval = time_stats.quantile(np.arange(1, 300), 0.99, block=None)
        assert interval is not None
        assert interval.high == 299

    def test_p90_and_p99_of_1000_are_the_samples_of_that_rank(self) -> None:
        samples = np.random.default_rng(0).permutation(np.arange(1, 1001))
        values = [interval.value for q in (0.9, 0.99) if (interval := time_stats.quantile(samples, q, block=None))]
        assert values == [900, 990]

    @settings(deadline=None)
    @given(st.integers(6, 3000), st.floats(0.02, 0.98))
    def test_the_ranks_leave_at_most_5_percent_outside_and_are_not_wasteful(self, count: int, q: float) -> None:
        binom = pytest.importorskip("scipy.stats").binom
        interval = time_stats.quantile(np.arange(1, count + 1), q, block=None)
        if interval is None:
            assert (1 - q) ** count + q**count > 0.05 - 1e-9
            return
        below = binom.cdf(interval.low - 1, count, q)  # the quantile lies below the low end
        above = binom.sf(interval.high - 1, count, q)  # ... above the high end
        assert below + above <= 0.05 + 1e-9
        if interval.low < interval.value and interval.high < count and interval.low > 1:
            assert binom.cdf(interval.low, count, q) > 0.025 - 1e-9
            assert binom.sf(interval.high - 2, count, q) > 0.025 - 1e-9

    def test_it_covers_the_true_p90_of_a_skewed_distribution(self) -> None:
        generator = np.random.default_rng(2)
        truth = math.log(10)
        found = [time_stats.quantile(generator.exponential(size=300), 0.9, block=None) for _ in range(400)]
        hits = sum(interval is not None and interval.low <= truth <= interval.high for interval in found)
        assert hits / 400 >= 0.93

    @pytest.mark.parametrize(("samples", "q"), [(np.zeros(0), 0.5), (np.ones(5), 1.0), (np.ones((2, 2)), 0.5)])
    def test_nonsense_is_refused(self, samples: NDArray[np.float64], q: float) -> None:
        with pytest.raises(ValueError, match="expected 0 < q < 1"):
            time_stats.quantile(samples, q, block=None)


def rounds(generator: np.random.Generator, noise: float, memory: float = 0.0, count: int = 30) -> NDArray[np.float64]:
    """(count * BLOCK,) the factor by which each run is slower in its round: log-normal, `memory` the correlation of a
    round with the one before."""
    steps = generator.normal(0, noise * math.sqrt(1 - memory**2), count)
    state = np.empty(count)
    state[0] = generator.normal(0, noise)
    for index in range(1, count):
        state[index] = memory * state[index - 1] + steps[index]
    return np.repeat(np.exp(state), BLOCK)


def times(generator: np.random.Generator, slower: NDArray[np.float64]) -> NDArray[np.int64]:
    """Nanoseconds of runs that take 1 ms in the median of all rounds, with 1 % noise of their own."""
    return (1e6 * slower * np.exp(generator.normal(0, 0.01, slower.size))).astype(np.int64)


def coverage(found: list[Interval | None], truth: float) -> float:
    return sum(each is not None and each.low <= truth <= each.high for each in found) / len(found)


class TestRounds:
    @pytest.mark.parametrize("q", [0.5, 0.9])
    @pytest.mark.parametrize("noise", [0.01, 0.03, 0.05])
    def test_a_quantile_is_covered_although_rounds_differ(self, noise: float, q: float) -> None:
        generator = np.random.default_rng(int(1000 * noise))
        series = [times(generator, rounds(generator, noise)) for _ in range(300)]
        truth = 1e6 * math.exp(NormalDist(0, math.hypot(noise, 0.01)).inv_cdf(q))
        assert coverage([time_stats.quantile(each, q, block=BLOCK) for each in series], truth) >= 0.92
        assert coverage([time_stats.quantile(each, q, block=None) for each in series], truth) < 0.85  # what rounds cost

    @pytest.mark.parametrize(
        ("q", "memory", "count"), [(0.5, 0.5, 30), (0.5, 0.5, 300), (0.5, 0.9, 300), (0.99, 0.5, 1200)]
    )
    def test_of_100_intervals_93_to_97_hold_although_a_round_is_like_the_one_before(
        self, q: float, memory: float, count: int
    ) -> None:
        generator = np.random.default_rng(4)
        series = [times(generator, rounds(generator, 0.03, memory, count)) for _ in range(300)]
        truth = 1e6 * math.exp(NormalDist(0, math.hypot(0.03, 0.01)).inv_cdf(q))
        assert 0.93 <= coverage([time_stats.quantile(each, q, block=BLOCK) for each in series], truth) <= 0.97

    @pytest.mark.parametrize("q", [0.5, 0.9, 0.99])
    def test_rounds_that_do_not_differ_cost_little(self, q: float) -> None:
        generator = np.random.default_rng(5)
        series = [times(generator, np.ones(30 * BLOCK)) for _ in range(300)]
        alike = [time_stats.quantile(each, q, block=BLOCK) for each in series]
        apart = [time_stats.quantile(each, q, block=None) for each in series]
        assert coverage(alike, 1e6 * math.exp(NormalDist(0, 0.01).inv_cdf(q))) >= 0.93
        assert 1.0 <= mean_width(alike) / mean_width(apart) < 1.55

    def test_rounds_never_make_an_interval_narrower(self) -> None:
        generator = np.random.default_rng(6)
        for _ in range(50):
            each = times(generator, rounds(generator, 0.01))
            for q in (0.5, 0.9, 0.99):
                wide, narrow = time_stats.quantile(each, q, block=BLOCK), time_stats.quantile(each, q, block=None)
                assert wide is not None
                assert narrow is not None
                assert wide.low <= narrow.low <= narrow.value == wide.value <= narrow.high <= wide.high

    def test_the_rule_for_p99_does_not_depend_on_rounds(self) -> None:
        assert time_stats.quantile(np.arange(298), 0.99, block=BLOCK) is None
        assert time_stats.quantile(np.arange(299), 0.99, block=BLOCK) is not None

    def test_within_one_round_every_sample_counts_as_one(self) -> None:
        few = np.array([5, 1, 9, 3, 7, 2, 8, 6, 4])
        assert time_stats.quantile(few, 0.5, block=BLOCK) == time_stats.quantile(few, 0.5, block=1)

    @pytest.mark.parametrize(("own", "memory"), [(0.005, 0.0), (0.02, 0.0), (0.02, 0.5)])
    def test_a_speed_up_is_covered_although_rounds_differ(self, own: float, memory: float) -> None:
        generator = np.random.default_rng(7)
        found: list[Interval | None] = []
        for _ in range(100):
            shared = rounds(generator, 0.03, memory)
            both = [times(generator, shared * rounds(generator, own, memory)) for _ in range(2)]
            found.append(time_stats.speedup(both[0], both[1], block=BLOCK))
        assert coverage(found, 1.0) >= 0.91

    def test_a_speed_up_of_runs_that_count_alone_is_too_sure(self) -> None:
        generator = np.random.default_rng(8)
        pairs = [[times(generator, rounds(generator, 0.02)) for _ in range(2)] for _ in range(50)]
        as_rounds = [time_stats.speedup(one, two, block=BLOCK) for one, two in pairs]
        as_runs = [time_stats.speedup(one, two, block=1) for one, two in pairs]
        assert mean_width(as_rounds) > 1.3 * mean_width(as_runs)


def mean_width(found: Sequence[Interval | None]) -> float:
    return float(np.mean([each.high - each.low for each in found if each is not None]))


class TestSpeedup:
    def test_half_the_time_is_twice_the_speed(self) -> None:
        times = np.random.default_rng(0).integers(900, 1100, 300)
        interval = time_stats.speedup(2 * times, times, block=BLOCK)
        assert interval.value == pytest.approx(2.0)
        assert interval.low <= 2.0 <= interval.high
        assert interval.high - interval.low < 0.1

    def test_equal_speeds_have_an_interval_around_1(self) -> None:
        generator = np.random.default_rng(1)
        one, two = generator.normal(10_000, 300, (2, 300)).astype(np.int64)
        interval = time_stats.speedup(one, two, block=BLOCK)
        assert interval.low < 1 < interval.high

    def test_drift_that_hits_both_does_not_widen_the_interval(self) -> None:
        generator = np.random.default_rng(2)
        one, two = generator.normal(10_000, 100, (2, 300))
        drift = np.linspace(1, 3, 300)
        steady = time_stats.speedup(one.astype(np.int64), two.astype(np.int64), block=BLOCK)
        drifting = time_stats.speedup((one * drift).astype(np.int64), (two * drift).astype(np.int64), block=BLOCK)
        assert drifting.high - drifting.low < 10 * (steady.high - steady.low)

    def test_a_single_run_has_no_interval_but_itself(self) -> None:
        one, two = np.array([300]), np.array([200])
        assert time_stats.speedup(one, two, block=BLOCK) == Interval(1.5, 1.5, 1.5)

    @pytest.mark.parametrize("count", [2, BLOCK, BLOCK + 1, 2 * BLOCK - 1, 2 * BLOCK + 1])
    def test_few_rounds_have_an_interval_with_a_width(self, count: int) -> None:
        one, two = np.random.default_rng(4).integers(900, 1100, (2, count))
        interval = time_stats.speedup(one, two, block=BLOCK)
        assert interval.low < interval.high

    def test_it_repeats_with_its_seed(self) -> None:
        one, two = np.random.default_rng(3).integers(900, 1100, (2, 50))
        assert time_stats.speedup(one, two, block=BLOCK, seed=1) == time_stats.speedup(one, two, block=BLOCK, seed=1)

    @pytest.mark.parametrize("bad", [np.zeros(3, np.int64), np.ones(2, np.int64)])
    def test_series_that_do_not_fit_are_refused(self, bad: NDArray[np.int64]) -> None:
        with pytest.raises(ValueError, match="expected"):
            time_stats.speedup(np.ones(3, np.int64), bad, block=BLOCK)


class TestP99:
    @pytest.mark.parametrize("noise", [0.0, 0.01, 0.03])
    def test_its_interval_holds_the_truth_where_it_claims_to(self, noise: float) -> None:
        generator = np.random.default_rng(11)
        found: list[Interval | None] = []
        for _ in range(300):
            p99 = time_stats.p99(
                times(generator, rounds(generator, noise, count=time_stats.P99_RUNS // BLOCK)), block=BLOCK
            )
            if p99.low is not None and p99.high is not None:
                found.append(Interval(p99.value, p99.low, p99.high))
        truth = 1e6 * math.exp(NormalDist(0, math.hypot(noise, 0.01)).inv_cdf(0.99))
        assert len(found) > 280
        assert coverage(found, truth) >= 0.92

    def test_of_fewer_rounds_it_is_an_indication(self) -> None:
        runs = np.random.default_rng(3).permutation(time_stats.P99_RUNS)
        assert time_stats.p99(runs, block=BLOCK).high is not None
        assert time_stats.p99(runs[:-1], block=BLOCK).high is None
        assert time_stats.p99(np.arange(300), block=BLOCK) == Estimate(296)
        assert time_stats.p99(np.array([3, 1]), block=BLOCK) == Estimate(3)

    def test_of_a_machine_that_drifts_slowly_it_is_an_indication(self) -> None:
        generator = np.random.default_rng(5)
        drifting = times(generator, rounds(generator, 0.03, memory=0.9, count=time_stats.P99_RUNS // BLOCK))
        assert time_stats.p99(drifting, block=BLOCK).low is None

    def test_no_run_is_its_upper_end_where_a_few_rounds_are_all_of_the_tail(self) -> None:
        values = np.full(time_stats.P99_RUNS, 1000)
        values[:100] = 2000
        assert time_stats.p99(values, block=BLOCK).high is None

    def test_a_machine_that_drifts_slowly_is_told_how_many_runs_it_needs_and_then_has_an_interval(self) -> None:
        generator = np.random.default_rng(5)
        short = times(generator, rounds(generator, 0.03, memory=0.7, count=time_stats.P99_RUNS // BLOCK))
        assert time_stats.p99(short, block=BLOCK).low is None
        needed = time_stats.runs_for_tail(short, 0.99, block=BLOCK)
        assert time_stats.P99_RUNS < needed < 5 * time_stats.P99_RUNS
        assert (
            time_stats.p99(times(generator, rounds(generator, 0.03, 0.7, count=needed // 5)), block=BLOCK).low
            is not None
        )

    def test_p99_9_needs_ten_times_the_runs_of_p99(self) -> None:
        runs = np.random.default_rng(3).permutation(10 * time_stats.P99_RUNS)
        assert time_stats.runs_for_tail(runs[:300], 0.999, block=BLOCK) == runs.size
        assert time_stats.tail(runs[:-1], 0.999, block=BLOCK).low is None
        found = time_stats.tail(runs, 0.999, block=BLOCK)
        assert found.low is not None
        assert found.high is not None
        assert found.low < found.value == 59_939 < found.high

    def test_p99_9_of_a_slow_drift_needs_more_than_that(self) -> None:
        generator = np.random.default_rng(6)
        drifting = times(generator, rounds(generator, 0.03, memory=0.7, count=6000))
        assert 10 * time_stats.P99_RUNS < time_stats.runs_for_tail(drifting, 0.999, block=BLOCK) < 120_000

    def test_nothing_is_refused(self) -> None:
        with pytest.raises(ValueError, match="expected a vector"):
            time_stats.tail(np.zeros(0), 0.999, block=BLOCK)
