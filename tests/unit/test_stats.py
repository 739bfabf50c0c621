from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgetl.types import stats

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


class TestStudent:
    @pytest.mark.parametrize("freedom", [1, 2, 3, 4, 9, 29, 1000])
    def test_it_is_the_quantile_of_students_distribution(self, freedom: int) -> None:
        student = pytest.importorskip("scipy.stats").t
        assert stats.student(freedom) == pytest.approx(student.ppf(0.975, freedom), rel=1.5e-3)

    def test_without_a_degree_of_freedom_there_is_none(self) -> None:
        with pytest.raises(ValueError, match="at least 1 degree of freedom"):
            stats.student(0)
