"""The arithmetic from samples to mel bands, as the arrays that the exported graph holds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgetl.errors import UsageError
from edgetl.types import Mel

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

_FULL_SCALE = 32768
_HTK = 1127.0  # mel(f) = 1127 ln(1 + f / 700), O'Shaughnessy 1987
_KNEE_HZ = 1000.0  # Slaney's Auditory Toolbox, 1998: 15 mel up to 1 kHz, then 27 for each factor of 6.4
_SLOPE, _STEP = 3 / 200, math.log(6.4) / 27


@dataclass(frozen=True)
class FrontEnd:
    """The front end of a `Mel`, on int16 samples (N, S):

        x = conv1d(samples, kernels, stride hop)            (N, 2 bins, frames): real parts, then imaginary parts
        s = x[first half] ** 2 + x[second half] ** 2        its square root if `amplitude`
        v = ln(max(s @ bands, floor)), or ln(s @ bands + floor) if `added`
        v = max(v, max over frames and bands of v - below)  if `below`
        result = v @ mix + offset, or v * factor + offset without a mix      (N, frames, features)

    kernels float32 (2 bins, window): only of the bins that a band uses, under the window, divided by 32768
    bands   float32 (bins, bands)
    mix     float32 (bands, coefficients): the cosine transform, times `factor`
    """

    kernels: Floats
    hop: int
    amplitude: bool
    bands: Floats
    floor: float
    added: bool
    below: float
    mix: Floats | None
    factor: float
    offset: float


def front_end(mel: Mel, rate_hz: int) -> FrontEnd:
    """The arrays of `mel` at a rate. Raises UsageError for settings that contradict each other."""
    _require_sense(mel, rate_hz)
    triangles = _triangles(mel, rate_hz)
    empty = np.nonzero(triangles.sum(0) == 0)[0]
    if len(empty):
        raise UsageError(
            f"mel: band {empty[0] + 1} of {mel.bands} holds no bin of a transform of {mel.dft} samples; "
            "enlarge `dft` or take fewer `bands`"
        )
    used = np.nonzero(triangles.sum(1))[0]
    bins = np.arange(used[0], used[-1] + 1)
    decibels = 10 / math.log(10) if mel.log == "dB" else 1.0
    factor = decibels * mel.scale
    return FrontEnd(
        kernels=_kernels(mel, bins),
        hop=mel.hop,
        amplitude=mel.spectrum == "amplitude",
        bands=triangles[bins].astype(np.float32),
        floor=mel.floor,
        added=mel.floored == "add",
        below=mel.below_loudest / decibels,
        mix=(_cosines(mel) * factor).astype(np.float32) if mel.coefficients else None,
        factor=factor,
        offset=mel.offset,
    )


def compute(samples: NDArray[np.int16], end: FrontEnd) -> Floats:
    """What the exported graph computes: int16 (N, S) -> float32 (N, frames, features). In float64 in between."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, end.kernels.shape[1], axis=1)[:, :: end.hop]
    parts = (frames @ end.kernels.T.astype(np.float64)).reshape(*frames.shape[:2], 2, -1)
    power = (parts**2).sum(2)
    sums = (np.sqrt(power) if end.amplitude else power) @ end.bands.astype(np.float64)
    values = np.log(sums + end.floor if end.added else np.maximum(sums, end.floor))
    if end.below:
        values = np.maximum(values, values.max((1, 2), keepdims=True) - end.below)
    mixed = values * end.factor if end.mix is None else values @ end.mix.astype(np.float64)
    result: Floats = (mixed + end.offset).astype(np.float32)
    return result


def _require_sense(mel: Mel, rate_hz: int) -> None:
    if not mel.hop <= mel.window <= mel.dft:
        raise UsageError(f"mel: expected hop <= window <= dft; found {mel.hop}, {mel.window} and {mel.dft} samples")
    if not mel.low_hz < mel.high_hz <= rate_hz / 2:
        raise UsageError(
            f"mel: expected low_hz < high_hz <= {rate_hz / 2:g}, half the rate; found {mel.low_hz:g} and "
            f"{mel.high_hz:g}"
        )
    if mel.coefficients > mel.bands:
        raise UsageError(f"mel: expected at most {mel.bands} coefficients, one a band; found {mel.coefficients}")


def _kernels(mel: Mel, bins: NDArray[np.intp]) -> Floats:
    places = np.arange(mel.window)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * places / mel.window)
    # whole turns are taken out first: cosines of large angles are less exact
    angles = 2 * np.pi * (np.outer(bins, places) % mel.dft) / mel.dft
    waves = np.concatenate([np.cos(angles), -np.sin(angles)])
    kernels: Floats = (waves * hann / _FULL_SCALE).astype(np.float32)
    return kernels


def _triangles(mel: Mel, rate_hz: int) -> Doubles:
    """(dft // 2 + 1, bands)."""
    hz: Doubles = np.arange(mel.dft // 2 + 1) * rate_hz / mel.dft
    if mel.triangles == "htk":
        low, high = (_HTK * math.log1p(f / 700) for f in (mel.low_hz, mel.high_hz))
        return _rise_and_fall(_HTK * np.log1p(hz / 700), np.linspace(low, high, mel.bands + 2))
    edges = _slaney_hz(np.linspace(_slaney(mel.low_hz), _slaney(mel.high_hz), mel.bands + 2))
    return _rise_and_fall(hz, edges) * 2 / (edges[2:] - edges[:-2])


def _rise_and_fall(places: Doubles, edges: Doubles) -> Doubles:
    """(places, bands): each band rises from its edge to the next one and falls to the one after."""
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    rising = (places[:, None] - low) / (middle - low)
    falling = (high - places[:, None]) / (high - middle)
    return np.maximum(0, np.minimum(rising, falling))


def _slaney(hz: float) -> float:
    if hz < _KNEE_HZ:
        return hz * _SLOPE
    return _KNEE_HZ * _SLOPE + math.log(hz / _KNEE_HZ) / _STEP


def _slaney_hz(mels: Doubles) -> Doubles:
    knee = _KNEE_HZ * _SLOPE
    return np.where(mels < knee, mels / _SLOPE, _KNEE_HZ * np.exp((np.maximum(mels, knee) - knee) * _STEP))


def _cosines(mel: Mel) -> Doubles:
    """(bands, coefficients): the orthonormal DCT-II, except that the first column is not divided by sqrt 2, as HTK and
    TensorFlow have it."""
    places = np.arange(mel.bands)[:, None] + 0.5
    cosines: Doubles = math.sqrt(2 / mel.bands) * np.cos(np.pi / mel.bands * places * np.arange(mel.coefficients))
    return cosines
