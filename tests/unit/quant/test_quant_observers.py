from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import ArrayLike

from edgetl.errors import ParityError
from edgetl.quant.observers import (
    BINS,
    Extremes,
    Histogram,
    IntegerType,
    ObserverName,
    choose_range,
    entropy_bound,
    make_observer,
    mse_bound,
    percentile_bound,
    quantized,
)

U8 = IntegerType(0, 255, symmetric=False)
S8 = IntegerType(-128, 127, symmetric=True)
OBSERVERS: list[ObserverName] = ["min-max", "percentile", "entropy", "mse"]

finite = st.floats(-1e6, 1e6, width=32)
values = hnp.arrays(np.float32, st.integers(1, 200), elements=finite)
ranges = st.tuples(finite, finite).map(lambda pair: (min(pair), max(pair)))


def _seen(*batches: ArrayLike) -> Histogram:
    histogram = Histogram()
    for batch in batches:
        histogram.add(np.asarray(batch, np.float32))
    return histogram


# --- integers: scale and zero point, worked by hand ----------------------------------------------------------------


def test_relu6_in_uint8_has_its_zero_point_at_the_types_minimum() -> None:
    scale, zero_point = U8.parameters((0.0, 6.0))
    assert zero_point == 0
    assert scale == pytest.approx(6 / 255)


def test_an_affine_range_puts_zero_on_an_integer() -> None:
    scale, zero_point = U8.parameters((-1.0, 3.0))
    assert zero_point == 64  # 1 / (4 / 255) = 63.75
    assert scale == pytest.approx(4 / 255)


def test_a_symmetric_range_is_the_larger_side() -> None:
    scale, zero_point = S8.parameters((-2.54, 1.0))
    assert zero_point == 0
    assert scale == pytest.approx(0.02)


def test_symmetric_uint8_has_its_zero_point_in_the_middle() -> None:
    scale, zero_point = IntegerType(0, 255, symmetric=True).parameters((-2.54, 1.0))
    assert zero_point == 128
    assert scale == pytest.approx(0.02)


def test_a_tensor_that_is_always_zero_gets_scale_one() -> None:
    assert U8.parameters((0.0, 0.0)) == (1.0, 0)


@given(ranges, st.sampled_from([U8, S8]))
def test_zero_is_always_represented_exactly(data: tuple[float, float], integers: IntegerType) -> None:
    scale, zero_point = integers.parameters(data)
    assert scale > 0
    assert integers.low <= zero_point <= integers.high
    assert quantized(np.zeros(1), data, integers)[0] == 0.0


@given(ranges, st.sampled_from([U8, S8]), st.floats(0, 1))
def test_values_inside_the_range_move_by_at_most_one_step(
    data: tuple[float, float], integers: IntegerType, where: float
) -> None:
    low, high = min(data[0], 0.0), max(data[1], 0.0)
    value = np.array([low + where * (high - low)])
    scale, _ = integers.parameters(data)
    assert abs(quantized(value, data, integers) - value)[0] <= scale * 1.01


# --- the histogram ---------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.lists(values, min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_order_and_sizes_of_batches_do_not_matter(batches: list[np.ndarray], random: object) -> None:
    together = _seen(np.concatenate(batches))
    shuffled = list(batches)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    apart = _seen(*shuffled)
    np.testing.assert_array_equal(apart.counts, together.counts)
    assert (apart.width, apart.low, apart.high, apart.zeros) == (
        together.width,
        together.low,
        together.high,
        together.zeros,
    )


@settings(deadline=None)
@given(values)
def test_every_value_is_counted_once(batch: np.ndarray) -> None:
    histogram = _seen(batch)
    assert histogram.counts.sum() + histogram.zeros == batch.size


def test_memory_does_not_grow_with_the_data() -> None:
    histogram = _seen(*[np.random.default_rng(i).normal(size=1000) * 10**i for i in range(5)])
    assert histogram.counts.size == 2 * BINS


def test_values_fall_into_the_bins_that_hold_them() -> None:
    histogram = _seen([1.0, -1.0, 0.25, 0.0])
    assert histogram.width == 2.0**-10  # the smallest power of two with 1.0 < 2048 * width
    assert histogram.counts[BINS + 1024] == 1
    assert histogram.counts[BINS - 1024] == 1
    assert histogram.counts[BINS + 256] == 1
    assert histogram.zeros == 1
    assert histogram.magnitudes()[1024] == 1
    assert histogram.magnitudes()[1023] == 1  # -1.0 is the outer edge of its bin


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", [Histogram, Extremes])
def test_numbers_that_are_none_are_refused(kind: type[Histogram] | type[Extremes], bad: float) -> None:
    with pytest.raises(ParityError, match="diverged"):
        kind().add(np.array([1.0, bad], np.float32))


# --- choosing a range ------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(values, st.sampled_from(OBSERVERS), st.sampled_from([U8, S8]))
def test_a_range_contains_zero_and_stays_within_the_data(
    batch: np.ndarray, name: ObserverName, integers: IntegerType
) -> None:
    observer = make_observer(name)
    observer.add(batch)
    low, high = choose_range(observer, name, 99.0, integers)
    assert min(float(batch.min()), 0.0) <= low <= 0.0 <= high <= max(float(batch.max()), 0.0)


def test_min_max_is_the_smallest_and_the_largest_ever_seen() -> None:
    observer = Extremes()
    observer.add(np.array([1.0, 4.0], np.float32))
    observer.add(np.array([-2.0, 0.0], np.float32))
    assert choose_range(observer, "min-max", 99.0, U8) == (-2.0, 4.0)


def test_a_percentile_ignores_a_lone_outlier() -> None:
    histogram = _seen(np.r_[np.linspace(0, 1, 9999), 1000.0])
    assert percentile_bound(histogram, 99.9) == pytest.approx(1.0, abs=histogram.width)


def test_the_percentile_of_an_even_ramp_is_its_position() -> None:
    histogram = _seen(np.linspace(-1, 1, 20001))
    assert percentile_bound(histogram, 90.0) == pytest.approx(0.9, abs=2 * histogram.width)


@given(values, st.integers(0, 1000), st.floats(1, 100))
def test_zeros_do_not_move_a_percentile(batch: np.ndarray, zeros: int, percentile: float) -> None:
    assert percentile_bound(_seen(batch, np.zeros(zeros)), percentile) == percentile_bound(_seen(batch), percentile)


@pytest.mark.parametrize("name", OBSERVERS)
def test_a_tensor_that_is_nearly_always_zero_keeps_its_few_values(name: ObserverName) -> None:
    sparse = np.zeros(100_000, np.float32)
    sparse[:5] = 0.4
    observer = make_observer(name)
    observer.add(sparse)
    found = quantized(sparse.astype(np.float64), choose_range(observer, name, 99.99, U8), U8)
    np.testing.assert_allclose(found, sparse, atol=0.002)


def test_the_percentile_of_nothing_but_zeros_is_zero() -> None:
    assert percentile_bound(_seen(np.zeros(10)), 99.0) == percentile_bound(_seen(), 99.0) == 0.0


@settings(deadline=None)
@given(values, st.floats(1, 100), st.floats(1, 100))
def test_a_higher_percentile_never_gives_a_narrower_range(batch: np.ndarray, a: float, b: float) -> None:
    histogram = _seen(batch)
    low, high = sorted((a, b))
    assert percentile_bound(histogram, low) <= percentile_bound(histogram, high) + 1e-12


def test_entropy_clips_a_long_thin_tail() -> None:
    rng = np.random.default_rng(0)
    histogram = _seen(np.r_[np.abs(rng.normal(size=200_000)), rng.uniform(4, 60, size=20)])
    bound = entropy_bound(histogram, 255)
    assert 2.5 < bound < 50  # the classic rule is jumpy about how far, not about whether


def test_entropy_keeps_all_of_an_even_spread() -> None:
    histogram = _seen(np.random.default_rng(0).uniform(0, 1, size=200_000))
    assert entropy_bound(histogram, 255) > 0.97


def test_mse_finds_the_bound_that_a_direct_search_finds() -> None:
    data = np.random.default_rng(1).laplace(size=50_000).astype(np.float32)
    histogram = _seen(data)
    largest = float(np.abs(data).max())
    bounds = largest * np.arange(1, 129) / 128
    errors = [np.mean((data - quantized(data.astype(np.float64), (-b, b), S8)) ** 2) for b in bounds]
    assert mse_bound(histogram, S8) == pytest.approx(bounds[int(np.argmin(errors))], rel=0.1)


def test_mse_clips_a_lone_outlier_when_that_is_cheaper() -> None:
    data = np.r_[np.random.default_rng(0).uniform(-1, 1, 100_000), 8.0]
    assert mse_bound(_seen(data), S8) < 8.0
