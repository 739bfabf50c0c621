"""From the logits of one window after the other to detected words. The C++ runtime repeats this to the bit.

A stream of samples is cut into windows of W samples, the next one H samples after the one before; window h ends at
sample W + h * H. All numbers are float64 until the means, in this order:

    share[h, c] = e(logit[h, c] - max) / sum over c of e(...)             the sum from class 0 on
    mean[h, c]  = float32(sum of the last K shares / their number)        from the oldest on; K or as many as there were

Class c is detected in window h if mean[h, c] >= threshold[c] and the last detection ended `refractory` samples before
or earlier; of several such classes the one with the largest mean is, the first of equals.

e(x) for x <= 0 is an exponential of our own, since those of C libraries and NumPy differ in the last bit: n = floor(x /
ln 2 + 0.5), r = x - n ln 2 in two steps, the Taylor series of e^r up to r^13 from its last term on, times 2^n; 0 below
-708. Its relative error is below 4e-16.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgetl.errors import DataError

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

OFF = 2.0
"""A threshold that no probability reaches."""

_SERIES = tuple(
    1 / divisor
    for divisor in (
        6227020800.0,
        479001600.0,
        39916800.0,
        3628800.0,
        362880.0,
        40320.0,
        5040.0,
        720.0,
        120.0,
        24.0,
        6.0,
        2.0,
        1.0,
        1.0,
    )
)
_LOG2_E = 1.4426950408889634
_LN2_HIGH, _LN2_LOW = 0.693147180369123816490, 1.90821492927058770002e-10
_LOWEST = -708.0


@dataclass(frozen=True)
class Detection:
    """A detected class. `end` is the last sample of its window plus one, at the network's rate."""

    end: int
    label: int
    probability: float


@dataclass(frozen=True)
class Hops:
    """Windows of `window` samples, the next one `hop` samples after the one before, at the network's rate."""

    window: int
    hop: int

    def count(self, samples: int) -> int:
        """The windows of a recording of so many samples."""
        return max(0, (samples - self.window) // self.hop + 1)

    def starts(self, samples: int) -> range:
        """Where they begin."""
        return range(0, self.count(samples) * self.hop, self.hop)

    def end(self, index: int) -> int:
        return self.window + index * self.hop


def smoothed(logits: Floats, smoothing: int) -> Floats:
    """Mean probabilities (H, C) over the last `smoothing` windows, of the logits (H, C) of all windows.

    raises  DataError if a logit is not finite.
    """
    if not np.isfinite(logits).all():
        raise DataError("the network's output has values that are not finite")
    shares = _softmax(logits)
    sums = np.zeros_like(shares)
    for back in range(min(smoothing, len(shares)) - 1, -1, -1):
        sums[back:] += shares[: len(shares) - back] if back else shares
    counts = np.minimum(np.arange(1, len(shares) + 1), smoothing)
    return (sums / counts[:, None]).astype(np.float32)


def detections(means: Floats, thresholds: Floats, refractory: int, hops: Hops) -> tuple[Detection, ...]:
    """What is detected in `means` (H, C), in order. thresholds (C,)"""
    found: list[Detection] = []
    reached = means >= thresholds
    for index in np.nonzero(reached.any(axis=1))[0]:
        end = hops.end(int(index))
        if found and end - found[-1].end < refractory:
            continue
        label = int(np.where(reached[index], means[index], -1).argmax())
        found.append(Detection(end, label, float(means[index, label])))
    return tuple(found)


def _softmax(logits: Floats) -> Doubles:
    values = logits.astype(np.float64)
    shares = _exponential(values - values.max(axis=1, keepdims=True))
    sums = np.zeros(len(shares))
    for column in shares.T:
        sums += column
    return shares / sums[:, None]


def _exponential(values: Doubles) -> Doubles:
    bounded = np.maximum(values, _LOWEST)
    whole = np.floor(bounded * _LOG2_E + 0.5)
    rest = (bounded - whole * _LN2_HIGH) - whole * _LN2_LOW
    sums = np.zeros_like(rest)
    for factor in _SERIES:
        sums = sums * rest + factor
    scaled: Doubles = np.ldexp(sums, whole.astype(np.int64))
    return np.where(values < _LOWEST, 0.0, scaled)
