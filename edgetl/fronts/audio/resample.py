"""int16 samples from one rate to another by a table of integers. The C++ runtime repeats `resample` to the bit.

With g = gcd(from_hz, to_hz), L = to_hz / g and M = from_hz / g, output sample n lies at the time n * M / L of the
input, in input samples; there is no delay. A clip of N samples becomes ceil(N * L / M). The table is int16 (L, T),
Q15, T even:

    i, p = divmod(n * M, L)                                                 in int64
    y[n] = [(sum over k of table[p, k] * x[i - T/2 + 1 + k] + 16384) >> 15]   k = 0 .. T-1, the sum in int64

x is 0 outside the clip, `>>` rounds down (arithmetic shift), [v] saturates v to -32768..32767. If L = M = 1 there is no
table and samples stay as they are.

Only the table needs floats, when it is made (`design`): it travels with the network as `resampler.npy`, so that Python
and C++ use the same integers.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, gcd
from typing import TYPE_CHECKING

import numpy as np

from edgetl.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

FILE_NAME = "resampler.npy"
MAX_VALUES = 1 << 18
"""Coefficients of a table: half a megabyte."""

_LOBES = 32  # of the sinc on each side, at the lower of the two rates
_BETA = 0.1102 * (72 - 8.7)  # a Kaiser window for 72 dB (Kaiser 1974)
_CUTOFF = 0.93  # of the lower Nyquist frequency, where half the amplitude is left
_BLOCK = 1 << 14  # output samples that are computed at once
_ONE = 1 << 15


@dataclass(frozen=True)
class Ratio:
    """up is L, down is M."""

    up: int
    down: int

    @classmethod
    def of(cls, from_hz: int, to_hz: int) -> Ratio:
        common = gcd(from_hz, to_hz)
        return cls(to_hz // common, from_hz // common)

    def length(self, samples: int) -> int:
        """Of a clip of so many samples, afterwards."""
        return -(-samples * self.up // self.down)


def design(from_hz: int, to_hz: int) -> NDArray[np.int16]:
    """The table (L, T) for two different rates. Raises DataError if it would have more than MAX_VALUES.

    A sinc under a Kaiser window. Up to 0.86 of the lower Nyquist frequency amplitudes are kept, from that frequency on
    they are 60 dB down or more. Each row is rounded so that it sums to exactly 32768: a constant stays as it is.
    """
    ratio = Ratio.of(from_hz, to_hz)
    scale = min(1.0, to_hz / from_hz)
    half = ceil(_LOBES / scale)
    if ratio.up * 2 * half > MAX_VALUES:
        raise DataError(
            f"from {from_hz} to {to_hz} Hz a filter needs {ratio.up} phases; convert the clips to {to_hz} Hz first, "
            f"for example with ffmpeg -i FILE -ar {to_hz} NEW.wav"
        )
    phase = np.arange(ratio.up)[:, None] / ratio.up
    time = np.arange(1 - half, half + 1) - phase  # of the inputs, seen from the output, in input samples
    width = _CUTOFF * scale
    window = np.i0(_BETA * np.sqrt(np.maximum(1 - (time / half) ** 2, 0)))
    return _rounded(np.sinc(width * time) * window)


def resample(samples: NDArray[np.int16], ratio: Ratio, table: NDArray[np.int16]) -> NDArray[np.int16]:
    """(N,) -> (ceil(N * L / M),), by the rule above."""
    up, taps = table.shape
    result = np.empty(ratio.length(len(samples)), np.int16)
    padded = np.concatenate([np.zeros(taps, np.int16), samples, np.zeros(taps, np.int16)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, taps)
    # sums of these products are integers below 2**53, so float64 is exact in any order, and fast
    rows = table.astype(np.float64)
    for phase in range(min(up, len(result))):
        places = np.arange(phase, len(result), up, dtype=np.int64) * ratio.down
        first, row = places // up + taps // 2 + 1, rows[int(places[0]) % up]
        for start in range(0, len(first), _BLOCK):
            sums = (windows[first[start : start + _BLOCK]].astype(np.float64) @ row).astype(np.int64)
            kept = np.clip((sums + _ONE // 2) >> 15, -32768, 32767)
            result[phase + start * up : phase + (start + len(kept)) * up : up] = kept
    return result


def _rounded(rows: NDArray[np.float64]) -> NDArray[np.int16]:
    """Rows of positive sum as integers that sum to 32768, by largest remainders."""
    exact = rows / rows.sum(axis=1, keepdims=True) * _ONE
    whole = np.floor(exact)
    missing = (_ONE - whole.sum(axis=1)).astype(np.int64)
    order = np.argsort(np.argsort(whole - exact, axis=1, kind="stable"), axis=1, kind="stable")
    return np.asarray(whole + (order < missing[:, None]), dtype=np.int16)
