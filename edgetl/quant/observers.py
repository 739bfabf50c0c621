"""Observe the values of a tensor over many batches and choose the range that 8-bit integers will cover. Torch-free.

A range always contains zero and never exceeds the data. Observers hold a bounded amount of memory and, being made of
exact counts, do not depend on the order or the sizes of the batches.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgetl.errors import ParityError

BINS = 2048  # on each side of zero
_MSE_CANDIDATES = 128
_ENTROPY_STEP = 8
_SILU_LOWS = (-12.0, -10.0, -8.0, -7.0, -6.0, -5.0, -4.0, -3.0, -2.0)
_SILU_HIGHS = 32
_SILU_IS_ZERO = -80.0  # no overflow of exp
_CHUNK = 1 << 18  # values counted at a time: the temporaries stay small and in the processor's cache

Range = tuple[float, float]
ObserverName = Literal["min-max", "percentile", "entropy", "mse"]


@dataclass(frozen=True)
class IntegerType:
    """The integers a tensor is rounded to: q in [low, high], and whether the zero point is fixed to the middle."""

    low: int
    high: int
    symmetric: bool

    def parameters(self, data: Range) -> tuple[float, int]:
        """(scale, zero point) for a range, so that real = scale * (q - zero_point) and 0.0 is exact.

        Affine: scale = (high - low) / (q_high - q_low), zero point rounded (Jacob et al. 2018, arXiv:1712.05877,
        section 3). Symmetric: scale = max |x| / 127 and a fixed zero point. The scale is a float32 value.
        """
        low, high = min(data[0], 0.0), max(data[1], 0.0)
        if self.symmetric:
            middle = (self.low + self.high + 1) // 2
            return _scale(max(-low, high), self.high - middle), middle
        scale = _scale(high - low, self.high - self.low)
        zero_point = round(self.low - low / scale)
        return scale, min(max(zero_point, self.low), self.high)


def _scale(length: float, steps: int) -> float:
    smallest = float(np.finfo(np.float32).tiny) * 256
    # a tensor that is always zero may get any scale; one keeps the int32 bias of the runtimes in range
    return max(float(np.float32(length / steps)), smallest) if length > 0 else 1.0


class Histogram:
    """Exact counts of values in bins of a power-of-two width, aligned to zero, 2 * BINS of them.

    When a value falls outside, neighboring bins merge and the width doubles, which keeps all counts exact.
    Exact zeros are counted apart: they are represented without error whatever the range.
    """

    def __init__(self) -> None:
        self.low, self.high = 0.0, 0.0
        self.zeros = 0
        self.width = 0.0
        self.counts = np.zeros(2 * BINS, np.int64)  # bin i covers [(i - BINS) * width, (i - BINS + 1) * width)

    def add(self, values: NDArray[np.float32]) -> None:
        """Count float32 values of any shape. Raises ParityError on NaN or infinity."""
        flat = values.reshape(-1)
        for start in range(0, flat.size, _CHUNK):
            self._add(flat[start : start + _CHUNK])

    def _add(self, flat: NDArray[np.float32]) -> None:
        low, high = _extremes(flat)
        self.low, self.high = min(self.low, low), max(self.high, high)
        zeros = int(np.count_nonzero(flat == 0))
        self.zeros += zeros
        if zeros == flat.size:
            return
        self._cover(max(-low, high))
        place = flat * np.float32(1 / self.width)
        np.floor(place, out=place)
        place += np.float32(BINS)  # whole numbers below 2**24: nothing is rounded
        counts = np.bincount(place.astype(np.intp), minlength=2 * BINS)
        counts[BINS] -= zeros
        self.counts += counts

    def _cover(self, bound: float) -> None:
        exponent = max(int(np.frexp(bound / BINS)[1]), -100)  # bound < BINS * 2 ** exponent
        wanted = 2.0**exponent
        if not self.counts.any():
            self.width = max(self.width, wanted)
        while self.width < wanted:
            merged = np.zeros_like(self.counts)
            merged[BINS // 2 : BINS // 2 + BINS] = self.counts.reshape(-1, 2).sum(axis=1)
            self.counts, self.width = merged, self.width * 2

    def magnitudes(self) -> NDArray[np.int64]:
        """Counts of |x|, without exact zeros: bin i covers i * width to (i + 1) * width."""
        result: NDArray[np.int64] = self.counts[BINS:] + self.counts[BINS - 1 :: -1]
        return result

    def centers(self) -> NDArray[np.float64]:
        """The middle of every bin."""
        return (np.arange(-BINS, BINS, dtype=np.float64) + 0.5) * self.width

    def clipped_to(self, bound: float) -> Range:
        """The data's range, cut at +-bound."""
        return max(self.low, -bound), min(self.high, bound)


class Extremes:
    """The smallest and the largest value seen, and zero."""

    def __init__(self) -> None:
        self.low, self.high = 0.0, 0.0

    def add(self, values: NDArray[np.float32]) -> None:
        """Raises ParityError on NaN or infinity."""
        if values.size:
            low, high = _extremes(values)
            self.low, self.high = min(self.low, low), max(self.high, high)


Observer = Histogram | Extremes


def make_observer(name: ObserverName) -> Observer:
    return Extremes() if name == "min-max" else Histogram()


def choose_range(observer: Observer, name: ObserverName, percentile: float, integers: IntegerType) -> Range:
    """The range to cover for the observed values."""
    if isinstance(observer, Extremes):
        return observer.low, observer.high
    choosers: dict[str, Callable[[], float]] = {
        "percentile": lambda: percentile_bound(observer, percentile),
        "entropy": lambda: entropy_bound(observer, _levels(observer, integers)),
        "mse": lambda: mse_bound(observer, integers),
    }
    return observer.clipped_to(choosers[name]())


def percentile_bound(histogram: Histogram, percentile: float) -> float:
    """The bound below which `percentile` % of all |x| lie, interpolated inside its bin; 0 if nothing was seen.

    Exact zeros do not count, as with the other observers: no range rounds them. If they did, most of a tensor that is
    nearly always zero would be clipped, up to all of it.
    """
    counts = histogram.magnitudes()
    cumulated = np.cumsum(counts)
    wanted = int(cumulated[-1]) * percentile / 100
    index = min(int(np.searchsorted(cumulated, wanted)), BINS - 1)
    inside = (wanted - (cumulated[index] - counts[index])) / max(int(counts[index]), 1)
    bound = (index + min(float(inside), 1.0)) * histogram.width
    return min(bound, max(-histogram.low, histogram.high))


def entropy_bound(histogram: Histogram, levels: int) -> float:
    """The bound with the least Kullback-Leibler divergence between the clipped histogram of |x| and the same in
    `levels` steps (Migacz, "8-bit inference with TensorRT", GTC 2017)."""
    counts = histogram.magnitudes().astype(np.float64)
    largest = max(-histogram.low, histogram.high)
    used = int(np.max(np.nonzero(counts)[0])) + 1 if counts.any() else 0
    if used <= levels:
        return largest
    sizes = [*range(levels, used, _ENTROPY_STEP), used]
    divergences = [_divergence(counts[:used], size, levels) for size in sizes]
    # the later of equals: do not clip without a reason
    best = sizes[len(sizes) - 1 - int(np.argmin(divergences[::-1]))]
    return float(min(best * histogram.width, largest))


def _divergence(counts: NDArray[np.float64], size: int, levels: int) -> float:
    kept = counts[:size]
    reference = kept.copy()
    reference[-1] += counts[size:].sum()
    group = np.arange(size) * levels // size
    occupied = (kept > 0).astype(np.float64)
    mean = np.bincount(group, kept, levels) / np.maximum(np.bincount(group, occupied, levels), 1)
    candidate = mean[group] * occupied
    if not candidate.any():
        return float("inf")
    p, q = reference / reference.sum(), candidate / candidate.sum()
    some = p > 0
    return float(np.sum(p[some] * np.log(p[some] / np.maximum(q[some], 1e-12))))


def mse_bound(histogram: Histogram, integers: IntegerType) -> float:
    """The bound with the least mean squared error of rounding and clipping, of 128 evenly spaced ones."""
    largest = max(-histogram.low, histogram.high)
    some = histogram.counts > 0
    centers = np.clip(histogram.centers()[some], histogram.low, histogram.high)
    counts = histogram.counts[some].astype(np.float64)
    bounds = largest * np.arange(1, _MSE_CANDIDATES + 1) / _MSE_CANDIDATES
    errors = [
        float(counts @ (centers - quantized(centers, histogram.clipped_to(float(bound)), integers)) ** 2)
        for bound in bounds
    ]
    return float(bounds[len(bounds) - 1 - int(np.argmin(errors[::-1]))])


def silu_range(histogram: Histogram, integers: IntegerType) -> Range:
    """The range of x with the least mean squared error of x * sigmoid(x), whose ends are chosen apart.

    SiLU is nearly 0 for all values far below zero, so a long negative tail need not cost steps.
    """
    some = histogram.counts > 0
    if not some.any():
        return histogram.low, histogram.high
    centers = np.clip(histogram.centers()[some], histogram.low, histogram.high)
    counts, exact = histogram.counts[some].astype(np.float64), _silu(centers)
    lows = [histogram.low, *(low for low in _SILU_LOWS if low > histogram.low)]
    highs = histogram.high * np.arange(_SILU_HIGHS, 0, -1) / _SILU_HIGHS
    ranges = [(low, float(high)) for high in highs for low in lows]
    errors = [float(counts @ (exact - _silu(quantized(centers, each, integers))) ** 2) for each in ranges]
    return ranges[int(np.argmin(errors))]


def _silu(x: NDArray[np.float64]) -> NDArray[np.float64]:
    result: NDArray[np.float64] = x / (1 + np.exp(-np.maximum(x, _SILU_IS_ZERO)))
    return result


def quantized(values: NDArray[np.float64], data: Range, integers: IntegerType) -> NDArray[np.float64]:
    """Values after rounding to `integers` over the range `data`, half to even, and back."""
    scale, zero_point = integers.parameters(data)
    q = np.clip(np.rint(values / scale) + zero_point, integers.low, integers.high)
    result: NDArray[np.float64] = (q - zero_point) * scale
    return result


def _levels(histogram: Histogram, integers: IntegerType) -> int:
    one_sided = histogram.low == 0 or histogram.high == 0
    return integers.high - integers.low if one_sided and not integers.symmetric else (integers.high - integers.low) // 2


def _extremes(values: NDArray[np.float32]) -> Range:
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ParityError(
            f"observing ranges: expected finite numbers, found a tensor from {low} to {high}; "
            "the adapted network has diverged: lower adapt.learning_rate"
        )
    return low, high
