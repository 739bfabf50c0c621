from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgetl import stats
from edgetl.bench.latency import BLOCK
from edgetl.types import Estimate, Interval

counts = st.integers(1, 400).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total)))
pairs = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60)


def table(both: int, only_first: int, only_second: int, neither: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Correctness vectors with the four given counts."""
    first = np.repeat([True, True, False, False], [both, only_first, only_second, neither])
    second = np.repeat([True, False, True, False], [both, only_first, only_second, neither])
    return first, second


class TestWilson:
    def test_it_agrees_with_the_worked_example_of_newcombe(self) -> None:
        # Newcombe 1998, Statistics in Medicine 17:857-872, table I, method 3: 81 of 263
        interval = stats.wilson(81, 263)
        assert (round(interval.low, 4), round(interval.high, 4)) == (0.2553, 0.3662)

    def test_no_error_in_n_leaves_room_for_z_squared_over_n_plus_z_squared(self) -> None:
        interval = stats.wilson(100, 100)
        assert interval.high == 1.0
        assert interval.low == pytest.approx(100 / (100 + 1.959964**2), abs=1e-6)

    @settings(deadline=None)
    @given(counts)
    def test_it_agrees_with_scipy(self, case: tuple[int, int]) -> None:
        binomtest = pytest.importorskip("scipy.stats").binomtest
        interval = stats.wilson(*case)
        expected = binomtest(*case).proportion_ci(0.95, method="wilson")
        assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), abs=1e-9)

    @settings(deadline=None)
    @given(counts)
    def test_the_interval_holds_the_estimate_and_stays_between_0_and_1(self, case: tuple[int, int]) -> None:
        interval = stats.wilson(*case)
        assert 0 <= interval.low <= interval.value <= interval.high <= 1

    @pytest.mark.parametrize(("successes", "total"), [(0, 0), (3, 2), (-1, 5)])
    def test_impossible_counts_are_refused(self, successes: int, total: int) -> None:
        with pytest.raises(ValueError, match="expected 0 <= successes"):
            stats.wilson(successes, total)


class TestPairedDifference:
    def test_it_agrees_with_the_published_example_of_method_10(self) -> None:
        # Newcombe 1998, Statistics in Medicine 17:2635-2650, table II: cells 20, 12, 2, 16
        interval = stats.paired_difference(*table(20, 12, 2, 16))
        assert interval.value == pytest.approx(20.0)
        assert (round(interval.low, 2), round(interval.high, 2)) == (5.62, 32.92)

    def test_equal_answers_differ_by_nothing_with_room_for_error_on_both_sides(self) -> None:
        interval = stats.paired_difference(*table(90, 0, 0, 10))
        assert interval.value == 0
        assert interval.low < 0 < interval.high

    def test_pairing_narrows_the_interval(self) -> None:
        paired = stats.paired_difference(*table(85, 5, 5, 5))
        crossed = stats.paired_difference(*table(80, 10, 10, 0))
        assert paired.high - paired.low < crossed.high - crossed.low

    @settings(deadline=None)
    @given(pairs)
    def test_swapping_the_two_mirrors_the_interval(self, answers: list[tuple[bool, bool]]) -> None:
        first, second = (np.array(column) for column in zip(*answers, strict=True))
        forward, backward = stats.paired_difference(first, second), stats.paired_difference(second, first)
        assert forward.value == pytest.approx(-backward.value)
        assert (forward.low, forward.high) == pytest.approx((-backward.high, -backward.low))
        assert forward.low <= forward.value <= forward.high

    def test_it_covers_the_true_difference_about_95_times_in_100(self) -> None:
        generator = np.random.default_rng(0)
        shares = [0.85, 0.06, 0.04, 0.05]
        hits = 0
        for cells in generator.multinomial(200, shares, size=600):
            interval = stats.paired_difference(*table(*cells.tolist()))
            hits += interval.low <= 2.0 <= interval.high
        assert 0.93 <= hits / 600 <= 0.98

    def test_vectors_of_different_length_are_refused(self) -> None:
        with pytest.raises(ValueError, match="one length"):
            stats.paired_difference(np.array([True]), np.array([True, False]))


class TestMacroF1:
    def test_three_classes_by_hand(self) -> None:
        # class 0: 2 hits of 2 true, 3 answered: F1 4/5; class 1: 1 hit of 2 and 1: 2/3; class 2: 1, 1, 1: 1
        labels, answers = np.array([0, 0, 1, 1, 2]), np.array([0, 0, 0, 1, 2])
        assert stats.macro_f1(labels, answers) == pytest.approx((4 / 5 + 2 / 3 + 1) / 3)

    @settings(deadline=None)
    @given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=80))
    def test_it_agrees_with_scikit_learn(self, answers: list[tuple[int, int]]) -> None:
        f1_score = pytest.importorskip("sklearn.metrics").f1_score
        labels, predictions = (np.array(column) for column in zip(*answers, strict=True))
        expected = f1_score(labels, predictions, average="macro", zero_division=0)
        assert stats.macro_f1(labels, predictions) == pytest.approx(expected)

    def test_the_interval_holds_the_estimate_and_repeats_with_its_seed(self) -> None:
        generator = np.random.default_rng(1)
        labels = generator.integers(0, 4, 200)
        predictions = np.where(generator.random(200) < 0.8, labels, generator.integers(0, 4, 200))
        interval = stats.macro_f1_interval(labels, predictions, seed=3)
        assert interval.low < interval.value < interval.high
        assert 0.05 < interval.high - interval.low < 0.2
        assert interval == stats.macro_f1_interval(labels, predictions, seed=3)
        assert interval != stats.macro_f1_interval(labels, predictions, seed=4)

    def test_perfect_answers_have_no_spread(self) -> None:
        labels = np.arange(10)
        interval = stats.macro_f1_interval(labels, labels)
        assert (interval.low, interval.value, interval.high) == (1.0, 1.0, 1.0)


class TestQuantile:
    def test_the_median_of_300_lies_between_ranks_133_and_168(self) -> None:
        interval = stats.quantile(np.arange(1, 301), 0.5, block=None)
        assert interval is not None
        assert (interval.low, interval.value, interval.high) == (133, 150, 168)

    def test_p99_needs_299_samples(self) -> None:
        assert stats.quantile(np.arange(298), 0.99, block=None) is None
        interval = stats.quantile(np.arange(1, 300), 0.99, block=None)
        assert interval is not None
        assert interval.high == 299

    def test_p90_and_p99_of_1000_are_the_samples_of_that_rank(self) -> None:
        samples = np.random.default_rng(0).permutation(np.arange(1, 1001))
        values = [interval.value for q in (0.9, 0.99) if (interval := stats.quantile(samples, q, block=None))]
        assert values == [900, 990]

    @settings(deadline=None)
    @given(st.integers(6, 3000), st.floats(0.02, 0.98))
    def test_the_ranks_leave_at_most_5_percent_outside_and_are_not_wasteful(self, count: int, q: float) -> None:
        binom = pytest.importorskip("scipy.stats").binom
        interval = stats.quantile(np.arange(1, count + 1), q, block=None)
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
        found = [stats.quantile(generator.exponential(size=300), 0.9, block=None) for _ in range(400)]
        hits = sum(interval is not None and interval.low <= truth <= interval.high for interval in found)
        assert hits / 400 >= 0.93

    @pytest.mark.parametrize(("samples", "q"), [(np.zeros(0), 0.5), (np.ones(5), 1.0), (np.ones((2, 2)), 0.5)])
    def test_nonsense_is_refused(self, samples: NDArray[np.float64], q: float) -> None:
        with pytest.raises(ValueError, match="expected 0 < q < 1"):
            stats.quantile(samples, q, block=None)


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
        assert coverage([stats.quantile(each, q, block=BLOCK) for each in series], truth) >= 0.92
        assert coverage([stats.quantile(each, q, block=None) for each in series], truth) < 0.85  # what rounds cost

    def test_a_median_is_mostly_covered_where_a_round_is_like_the_one_before(self) -> None:
        generator = np.random.default_rng(4)
        series = [times(generator, rounds(generator, 0.03, memory=0.5)) for _ in range(300)]
        assert coverage([stats.quantile(each, 0.5, block=BLOCK) for each in series], 1e6) >= 0.88

    @pytest.mark.parametrize("q", [0.5, 0.9, 0.99])
    def test_rounds_that_do_not_differ_cost_little(self, q: float) -> None:
        generator = np.random.default_rng(5)
        series = [times(generator, np.ones(30 * BLOCK)) for _ in range(300)]
        alike = [stats.quantile(each, q, block=BLOCK) for each in series]
        apart = [stats.quantile(each, q, block=None) for each in series]
        assert coverage(alike, 1e6 * math.exp(NormalDist(0, 0.01).inv_cdf(q))) >= 0.93
        assert 1.0 <= mean_width(alike) / mean_width(apart) < 1.35

    def test_rounds_never_make_an_interval_narrower(self) -> None:
        generator = np.random.default_rng(6)
        for _ in range(50):
            each = times(generator, rounds(generator, 0.01))
            for q in (0.5, 0.9, 0.99):
                wide, narrow = stats.quantile(each, q, block=BLOCK), stats.quantile(each, q, block=None)
                assert wide is not None
                assert narrow is not None
                assert wide.low <= narrow.low <= narrow.value == wide.value <= narrow.high <= wide.high

    def test_the_rule_for_p99_does_not_depend_on_rounds(self) -> None:
        assert stats.quantile(np.arange(298), 0.99, block=BLOCK) is None
        assert stats.quantile(np.arange(299), 0.99, block=BLOCK) is not None

    def test_within_one_round_every_sample_counts_as_one(self) -> None:
        few = np.array([5, 1, 9, 3, 7, 2, 8, 6, 4])
        assert stats.quantile(few, 0.5, block=BLOCK) == stats.quantile(few, 0.5, block=1)

    @pytest.mark.parametrize(("own", "memory"), [(0.005, 0.0), (0.02, 0.0), (0.02, 0.5)])
    def test_a_speed_up_is_covered_although_rounds_differ(self, own: float, memory: float) -> None:
        generator = np.random.default_rng(7)
        found: list[Interval | None] = []
        for _ in range(100):
            shared = rounds(generator, 0.03, memory)
            both = [times(generator, shared * rounds(generator, own, memory)) for _ in range(2)]
            found.append(stats.speedup(both[0], both[1], block=BLOCK))
        assert coverage(found, 1.0) >= 0.91

    def test_a_speed_up_of_runs_that_count_alone_is_too_sure(self) -> None:
        generator = np.random.default_rng(8)
        pairs = [[times(generator, rounds(generator, 0.02)) for _ in range(2)] for _ in range(50)]
        as_rounds = [stats.speedup(one, two, block=BLOCK) for one, two in pairs]
        as_runs = [stats.speedup(one, two, block=1) for one, two in pairs]
        assert mean_width(as_rounds) > 1.3 * mean_width(as_runs)


def mean_width(found: Sequence[Interval | None]) -> float:
    return float(np.mean([each.high - each.low for each in found if each is not None]))


class TestStudent:
    @pytest.mark.parametrize("freedom", [1, 2, 3, 4, 9, 29, 1000])
    def test_it_is_the_quantile_of_students_distribution(self, freedom: int) -> None:
        student = pytest.importorskip("scipy.stats").t
        assert stats.student(freedom) == pytest.approx(student.ppf(0.975, freedom), rel=1.5e-3)

    def test_without_a_degree_of_freedom_there_is_none(self) -> None:
        with pytest.raises(ValueError, match="at least 1 degree of freedom"):
            stats.student(0)


class TestSpeedup:
    def test_half_the_time_is_twice_the_speed(self) -> None:
        times = np.random.default_rng(0).integers(900, 1100, 300)
        interval = stats.speedup(2 * times, times, block=BLOCK)
        assert interval.value == pytest.approx(2.0)
        assert interval.low <= 2.0 <= interval.high
        assert interval.high - interval.low < 0.1

    def test_equal_speeds_have_an_interval_around_1(self) -> None:
        generator = np.random.default_rng(1)
        one, two = generator.normal(10_000, 300, (2, 300)).astype(np.int64)
        interval = stats.speedup(one, two, block=BLOCK)
        assert interval.low < 1 < interval.high

    def test_drift_that_hits_both_does_not_widen_the_interval(self) -> None:
        generator = np.random.default_rng(2)
        one, two = generator.normal(10_000, 100, (2, 300))
        drift = np.linspace(1, 3, 300)
        steady = stats.speedup(one.astype(np.int64), two.astype(np.int64), block=BLOCK)
        drifting = stats.speedup((one * drift).astype(np.int64), (two * drift).astype(np.int64), block=BLOCK)
        assert drifting.high - drifting.low < 10 * (steady.high - steady.low)

    def test_a_single_run_has_no_interval_but_itself(self) -> None:
        one, two = np.array([300]), np.array([200])
        assert stats.speedup(one, two, block=BLOCK) == Interval(1.5, 1.5, 1.5)

    @pytest.mark.parametrize("count", [2, BLOCK, BLOCK + 1, 2 * BLOCK - 1, 2 * BLOCK + 1])
    def test_few_rounds_have_an_interval_with_a_width(self, count: int) -> None:
        one, two = np.random.default_rng(4).integers(900, 1100, (2, count))
        interval = stats.speedup(one, two, block=BLOCK)
        assert interval.low < interval.high

    def test_it_repeats_with_its_seed(self) -> None:
        one, two = np.random.default_rng(3).integers(900, 1100, (2, 50))
        assert stats.speedup(one, two, block=BLOCK, seed=1) == stats.speedup(one, two, block=BLOCK, seed=1)

    @pytest.mark.parametrize("bad", [np.zeros(3, np.int64), np.ones(2, np.int64)])
    def test_series_that_do_not_fit_are_refused(self, bad: NDArray[np.int64]) -> None:
        with pytest.raises(ValueError, match="expected"):
            stats.speedup(np.ones(3, np.int64), bad, block=BLOCK)


class TestP99:
    @pytest.mark.parametrize("noise", [0.0, 0.01, 0.03])
    def test_its_interval_holds_the_truth_where_it_claims_to(self, noise: float) -> None:
        generator = np.random.default_rng(11)
        found: list[Interval | None] = []
        for _ in range(300):
            p99 = stats.p99(times(generator, rounds(generator, noise, count=stats.P99_ROUNDS)), block=BLOCK)
            if p99.low is not None and p99.high is not None:
                found.append(Interval(p99.value, p99.low, p99.high))
        truth = 1e6 * math.exp(NormalDist(0, math.hypot(noise, 0.01)).inv_cdf(0.99))
        assert len(found) > 280
        assert coverage(found, truth) >= 0.92

    def test_of_fewer_rounds_it_is_an_indication(self) -> None:
        runs = np.random.default_rng(3).permutation(stats.P99_ROUNDS * BLOCK)
        assert stats.p99(runs, block=BLOCK).high is not None
        assert stats.p99(runs[:-1], block=BLOCK).high is None
        assert stats.p99(np.arange(300), block=BLOCK) == Estimate(296)
        assert stats.p99(np.array([3, 1]), block=BLOCK) == Estimate(3)

    def test_of_a_machine_that_drifts_slowly_it_is_an_indication(self) -> None:
        generator = np.random.default_rng(5)
        drifting = times(generator, rounds(generator, 0.03, memory=0.9, count=stats.P99_ROUNDS))
        assert stats.p99(drifting, block=BLOCK).low is None

    def test_no_run_is_its_upper_end_where_a_few_rounds_are_all_of_the_tail(self) -> None:
        values = np.full(stats.P99_ROUNDS * BLOCK, 1000)
        values[:100] = 2000
        assert stats.p99(values, block=BLOCK).high is None
