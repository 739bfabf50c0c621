"""What the checks know of each clip: a digest of its samples, a print that gain and shifts leave alike, its levels."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgetl.fronts.audio.decode import decode
from edgetl.types import Progress, Sample

SILENT_DBFS = -120.0
"""Level of a clip of zeros."""

_BANDS, _LOWEST_HZ, _HIGHEST_HZ = 16, 100.0, 4000.0
_FRAMES, _RHYTHMS = 256, 64  # frames of 10 ms that a print covers, and modulation frequencies of it
_FLOOR = 1e-4  # of the loudest band: what is 40 dB below it is not heard
_FULL_SCALE = 32768.0
_CLIPPED_FROM = 1000  # quieter clips have few values, so that equal ones in a row say nothing

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SoundPrints:
    """Of N clips, in the order of their samples.

    sha256    of each file's bytes, hex
    contents  uint8 (N, 32): sha256 of the decoded samples
    rhythms   float32 (N, R): alike for one recording at another gain or with a shift
    lengths   (N,) in samples
    loud      (N,) level of the loudest frames in dB below full scale: the 95th percentile
    noise     (N,) level of the quietest frames: the 10th percentile
    bright    (N,) the frequency in Hz below which half of the energy lies
    clipped   (N,) share of samples in flat tops
    outside   (N,) share of the energy outside of the window
    """

    sha256: tuple[str, ...]
    contents: NDArray[np.uint8]
    rhythms: NDArray[np.float32]
    lengths: Floats
    loud: Floats
    noise: Floats
    bright: Floats
    clipped: Floats
    outside: Floats


def sound_prints(samples: Sequence[Sample], window_s: float, progress: Progress) -> SoundPrints:
    """Decode each clip once. Raises UnreadableSound."""
    contents, rhythms, numbers = [], [], []
    with progress.task("listening to clips", total=len(samples)) as advance:
        for sample in samples:
            sound = decode(Path(sample.path))
            contents.append(np.frombuffer(hashlib.sha256(sound.samples.tobytes()).digest(), np.uint8))
            power, frequencies = _power(sound.samples, sound.rate_hz)
            rhythms.append(_rhythm(power, frequencies))
            numbers.append(
                (
                    len(sound.samples),
                    *_levels(sound.samples, sound.rate_hz),
                    _half_of_energy(power, frequencies),
                    _flat_tops(sound.samples),
                    _outside(sound.samples, round(window_s * sound.rate_hz)),
                )
            )
            advance(1, Path(sample.path).name)
    columns = np.array(numbers, np.float64).reshape(len(samples), 6).T
    digests = tuple(sample.sha256 for sample in samples)
    return SoundPrints(digests, np.array(contents), np.array(rhythms, np.float32), *columns)


def _power(samples: NDArray[np.int16], rate_hz: int) -> tuple[Floats, Floats]:
    """(T, F) power in frames of 20 ms, 10 ms apart, and (F,) frequencies in Hz."""
    step = max(rate_hz // 100, 1)
    centered = samples - samples.mean(dtype=np.float64)
    padded = np.pad(centered, (0, max(2 * step - len(centered), 0)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, 2 * step)[::step] * np.hanning(2 * step)
    power: Floats = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    return power, np.fft.rfftfreq(2 * step, 1 / rate_hz).astype(np.float64)


def _rhythm(power: Floats, frequencies: Floats) -> NDArray[np.float32]:
    """Square roots of the modulation spectrum of logarithmic band energies: a gain is taken out by the floor, which
    moves with the loudest band, and a shift changes only the phase, which is left out."""
    edges = np.geomspace(_LOWEST_HZ, min(_HIGHEST_HZ, frequencies[-1] * 0.95), _BANDS + 1)
    width = 1.5 * frequencies[1]
    inside = [(frequencies >= low) & (frequencies < max(high, low + width)) for low, high in pairwise(edges)]
    bands = np.stack([power[:, each].sum(axis=1) for each in inside], axis=1)
    floor = bands.max() * _FLOOR
    if floor <= 0:
        return np.zeros(_BANDS * _RHYTHMS, np.float32)
    spectrum = np.fft.rfft(np.log(bands / floor + 1), _FRAMES, axis=0)[:_RHYTHMS]
    return np.sqrt(np.abs(spectrum)).astype(np.float32).ravel()


def _levels(samples: NDArray[np.int16], rate_hz: int) -> tuple[float, float]:
    """Of frames of 10 ms, in dB below full scale: the 95th and the 10th percentile."""
    step = max(rate_hz // 100, 1)
    whole = samples[: max(len(samples) // step, 1) * step].astype(np.float64) / _FULL_SCALE
    squares = (whole.reshape(-1, min(step, len(whole))) ** 2).mean(axis=1)
    decibels = 10 * np.log10(np.maximum(squares, 10 ** (SILENT_DBFS / 10)))
    return float(np.quantile(decibels, 0.95)), float(np.quantile(decibels, 0.1))


def _half_of_energy(power: Floats, frequencies: Floats) -> float:
    running = np.cumsum(power.sum(axis=0))
    return float(frequencies[np.searchsorted(running, running[-1] / 2)]) if running[-1] > 0 else 0.0


def _flat_tops(samples: NDArray[np.int16]) -> float:
    """Share of samples that begin three in a row at the clip's largest amplitude: a microphone or a gain cut them off,
    at full scale or before a later gain."""
    amplitude = np.abs(samples.astype(np.int32))
    largest = int(amplitude.max())
    if largest < _CLIPPED_FROM or len(samples) < 3:
        return 0.0
    top = amplitude >= 0.998 * largest
    return float((top[:-2] & top[1:-1] & top[2:]).mean())


def _outside(samples: NDArray[np.int16], window: int) -> float:
    """Share of the energy that `edgetl.fronts.audio.window.centered` cuts off."""
    squares = samples.astype(np.float64) ** 2
    total = float(squares.sum())
    if len(samples) <= window or total == 0:
        return 0.0
    first = (len(samples) - window) // 2
    return 1 - float(squares[first : first + window].sum()) / total
