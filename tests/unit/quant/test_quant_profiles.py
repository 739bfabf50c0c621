"""The four ways to choose a range, each against a direct computation on the values themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgetl.quant.observers import (
    BINS,
    Extremes,
    Histogram,
    IntegerType,
    choose_range,
    entropy_bound,
    mse_bound,
    percentile_bound,
)

U8 = IntegerType(0, 255, symmetric=False)
S8 = IntegerType(-128, 127, symmetric=True)

few = hnp.arrays(np.float32, st.integers(1, 300), elements=st.floats(-1e4, 1e4, width=32))
# many values of one of the shapes that activations have
drawn = st.tuples(st.integers(0, 2**32 - 1), st.sampled_from(["normal", "laplace", "relu", "uniform", "tail"]))
brute = settings(max_examples=25)


def _values(seed: int, shape: str) -> Any:
    rng = np.random.default_rng(seed)
    scale = float(rng.uniform(0.1, 10))
    made: dict[str, Any] = {
        "normal": lambda: rng.normal(size=5000),
        "laplace": lambda: rng.laplace(size=5000),
        "relu": lambda: np.maximum(rng.normal(size=5000), 0),
        "uniform": lambda: rng.uniform(-1, 3, 5000),
        "tail": lambda: np.r_[rng.normal(size=5000), rng.uniform(5, 40, 5)],
    }
    return (scale * made[shape]()).astype(np.float32)


def _seen(values: Any) -> Histogram:
    histogram = Histogram()
    histogram.add(values)
    return histogram


@given(st.lists(few, min_size=1, max_size=4))
def test_min_max_is_numpys_minimum_and_maximum_with_zero(batches: list[Any]) -> None:
    observer = Extremes()
    for batch in batches:
        observer.add(batch)
    whole = np.concatenate(batches)
    assert choose_range(observer, "min-max", 0.0, U8) == (min(whole.min(), 0.0), max(whole.max(), 0.0))


@given(few, st.floats(0.1, 100))
def test_the_percentile_is_numpys_order_statistic_to_within_a_bin(values: Any, percentile: float) -> None:
    histogram = _seen(values)
    ordered = np.sort(np.abs(values[values != 0]))
    if not len(ordered):
        assert percentile_bound(histogram, percentile) == 0.0
        return
    rank = percentile / 100 * len(ordered)
    # the bound must lie where at most and at least that many values are below it, give or take its bin
    low = ordered[max(int(np.ceil(rank)) - 1, 0)] if rank > 0 else 0.0
    high = ordered[min(int(np.floor(rank)), len(ordered) - 1)]
    width = histogram.width
    assert float(low) - 1.001 * width <= percentile_bound(histogram, percentile) <= float(high) + 1.001 * width


@brute
@given(drawn, st.floats(50, 99.99))
def test_the_share_of_values_within_the_percentile_is_the_percentile(made: tuple[int, str], percentile: float) -> None:
    values = _values(*made)
    histogram = _seen(values)
    bound = percentile_bound(histogram, percentile)
    magnitudes = np.abs(values[values != 0])
    wanted = percentile / 100 * len(magnitudes)
    assert (magnitudes < bound - histogram.width).sum() <= wanted + 1e-6
    assert (magnitudes <= bound + histogram.width).sum() >= wanted - 1e-6


def _brute_mse(values: Any, bound: float, integers: IntegerType) -> float:
    """Mean squared error of rounding the values themselves, written out."""
    low, high = max(float(values.min()), -bound, -np.inf), min(float(values.max()), bound)
    low, high = min(low, 0.0), max(high, 0.0)
    if integers.symmetric:
        scale, zero_point = max(-low, high) / 127, 0
    else:
        scale = (high - low) / 255
        zero_point = int(np.clip(round(-low / scale), 0, 255))
    q = np.clip(np.round(values.astype(np.float64) / scale) + zero_point, integers.low, integers.high)
    return float(np.mean((values - (q - zero_point) * scale) ** 2))


@brute
@given(drawn, st.sampled_from([U8, S8]))
def test_no_bound_of_a_direct_search_has_a_clearly_smaller_squared_error(
    made: tuple[int, str], integers: IntegerType
) -> None:
    values = _values(*made)
    largest = float(np.abs(values).max())
    found = _brute_mse(values, mse_bound(_seen(values), integers), integers)
    best = min(_brute_mse(values, largest * step / 128, integers) for step in range(1, 129))
    # the histogram knows values to within a bin, of which a step of 8 bits has at least eight
    assert found <= 1.1 * best


def _brute_entropy(counts: Any, levels: int) -> int:
    """How many bins to keep: Migacz' procedure bin by bin, in loops."""
    used = int(np.max(np.nonzero(counts)[0])) + 1
    best, best_size = np.inf, used
    for size in [*range(levels, used, 8), used]:
        reference = [float(c) for c in counts[:size]]
        reference[-1] += float(sum(counts[size:used]))
        sums, occupied = [0.0] * levels, [0] * levels
        for index in range(size):
            level = index * levels // size
            sums[level] += float(counts[index])
            occupied[level] += counts[index] > 0
        candidate = [
            sums[i * levels // size] / occupied[i * levels // size] if counts[i] > 0 else 0.0 for i in range(size)
        ]
        p, q = np.array(reference) / sum(reference), np.array(candidate) / max(sum(candidate), 1e-300)
        if not sum(candidate):
            continue
        divergence = sum(a * np.log(a / max(b, 1e-12)) for a, b in zip(p, q, strict=True) if a > 0)
        if divergence <= best + 1e-12:
            best, best_size = min(best, divergence), size
    return best_size


@settings(max_examples=8)
@given(drawn, st.sampled_from([127, 255]))
def test_entropy_keeps_the_bins_that_the_procedure_written_out_keeps(made: tuple[int, str], levels: int) -> None:
    values = _values(*made)
    histogram = _seen(values)
    # integers, counted by numpy on its own
    counts = np.bincount(np.floor(np.abs(values[values != 0]) / histogram.width).astype(int), minlength=BINS)[:BINS]
    kept = _brute_entropy(counts, levels)
    largest = float(np.abs(values).max())
    assert abs(entropy_bound(histogram, levels) - min(kept * histogram.width, largest)) <= 8.001 * histogram.width
