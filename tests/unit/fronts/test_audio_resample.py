"""One integer filter between two rates: exact arithmetic, amplitudes kept below the cutoff, silence above it."""

from __future__ import annotations

from math import gcd
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sounds import tone, write_wav

from edgetl.errors import DataError
from edgetl.fronts.audio.load import at_network_rate, at_rate, load_sound
from edgetl.fronts.audio.resample import MAX_VALUES, Ratio, design, resample
from edgetl.fronts.audio.wav import Sound, UnreadableSound
from edgetl.fronts.audio.window import centered
from edgetl.types import AudioPreprocessing, Mel

MEL = Mel(400, 160, 512, 32, 60.0, 3800.0, "htk", "power", "ln", 1e-6)
PAIRS = [(8000, 16000), (44100, 16000), (48000, 16000), (22050, 16000), (11025, 16000), (16000, 8000), (16000, 48000)]


def by_the_rule(samples: NDArray[np.int16], from_hz: int, to_hz: int, table: NDArray[np.int16]) -> list[int]:
    """The docstring's formula, number by number, in Python's integers."""
    common = gcd(from_hz, to_hz)
    up, down, taps, count = to_hz // common, from_hz // common, table.shape[1], len(samples)
    result = []
    for n in range(-(-count * up // down)):
        i, p = divmod(n * down, up)
        places = [i - taps // 2 + 1 + k for k in range(taps)]
        total = sum(int(table[p, k]) * int(samples[at]) for k, at in enumerate(places) if 0 <= at < count)
        result.append(max(-32768, min(32767, (total + 16384) >> 15)))
    return result


@pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS)
@pytest.mark.parametrize("count", [1, 2, 7, 100, 333])
def test_every_output_follows_the_rule(from_hz: int, to_hz: int, count: int) -> None:
    samples = np.random.default_rng(count).choice([-32768, 32767], count).astype(np.int16)
    table = design(from_hz, to_hz)
    found = resample(samples, Ratio.of(from_hz, to_hz), table)
    assert found.tolist() == by_the_rule(samples, from_hz, to_hz, table)


def amplitude(samples: NDArray[np.int16], hz: float, rate: int) -> float:
    """Of a sine in the middle half, which holds whole periods."""
    middle = samples[rate // 4 : 3 * rate // 4].astype(np.float64)
    turns = np.exp(-2j * np.pi * hz * np.arange(len(middle)) / rate)
    return float(2 * abs((middle * turns).mean()))


@pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS)
def test_a_sine_below_the_cutoff_keeps_its_amplitude(from_hz: int, to_hz: int) -> None:
    for share in (0.01, 0.3, 0.6, 0.85):
        hz = 4 * round(share * min(from_hz, to_hz) / 8)
        found = at_rate(Sound(tone(hz, rate=from_hz), from_hz, 1, 16), to_hz)
        assert len(found) == to_hz
        assert abs(20 * np.log10(amplitude(found, hz, to_hz) / 8000)) < 0.1


@pytest.mark.parametrize(("from_hz", "to_hz"), [pair for pair in PAIRS if pair[0] > pair[1]])
def test_a_sine_above_the_new_nyquist_frequency_is_60_db_down(from_hz: int, to_hz: int) -> None:
    for hz in np.linspace(to_hz / 2 + 4, from_hz / 2 - 4, 7):
        found = at_rate(Sound(tone(hz, rate=from_hz, amplitude=30_000), from_hz, 1, 16), to_hz)
        loudest = np.abs(found[to_hz // 4 : -to_hz // 4].astype(np.float64)).max()
        assert 20 * np.log10(max(loudest, 1) / 30_000) < -60


@pytest.mark.parametrize(("from_hz", "to_hz"), [pair for pair in PAIRS if pair[0] < pair[1]])
def test_mirror_images_of_a_sine_are_60_db_down(from_hz: int, to_hz: int) -> None:
    hz = 4 * round(0.85 * from_hz / 8)
    found = at_rate(Sound(tone(hz, rate=from_hz), from_hz, 1, 16), to_hz)
    assert 20 * np.log10(amplitude(found, from_hz - hz, to_hz) / 8000) < -60


@pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS)
def test_a_constant_stays_exactly_as_it_is(from_hz: int, to_hz: int) -> None:
    found = at_rate(Sound(np.full(2000, 12345, np.int16), from_hz, 1, 16), to_hz)
    assert set(found[len(found) // 3 : -len(found) // 3].tolist()) == {12345}


def test_equal_rates_change_nothing() -> None:
    samples = np.random.default_rng(0).integers(-32768, 32768, 100).astype(np.int16)
    assert np.array_equal(at_rate(Sound(samples, 16_000, 1, 16), 16_000), samples)


def test_rates_without_a_small_ratio_are_refused_with_advice() -> None:
    with pytest.raises(
        DataError, match="from 44101 to 16000 Hz a filter needs 16000 phases; convert the clips to 16000"
    ):
        design(44_101, 16_000)
    assert design(192_000, 16_000).size <= MAX_VALUES


@pytest.mark.parametrize(
    ("count", "window", "expected"),
    [
        (3, 3, [1, 2, 3]),
        (5, 3, [2, 3, 4]),
        (4, 3, [1, 2, 3]),
        (2, 5, [0, 1, 2, 0, 0]),
        (3, 5, [0, 1, 2, 3, 0]),
        (1, 4, [0, 1, 0, 0]),
        (0, 2, [0, 0]),
    ],
)
def test_a_window_keeps_the_middle_and_fills_with_zeros(count: int, window: int, expected: list[int]) -> None:
    clip = np.arange(1, count + 1, dtype=np.int16)
    assert centered(clip, window).tolist() == expected


def test_a_clip_of_8_khz_is_heard_at_16_khz_in_the_middle_of_its_window(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", tone(440, seconds=0.5, rate=8000), rate=8000)
    found = load_sound(path, AudioPreprocessing(16_000, 8000, 16_000, MEL))
    assert found.shape == (16_000,)
    assert found.dtype == np.int16
    assert not found[:3900].any()
    assert not found[-3900:].any()
    assert abs(np.abs(found).max() - 8000) < 300


def test_a_clip_of_another_rate_than_declared_is_refused(tmp_path: Path) -> None:
    sound = Sound(tone(440, rate=22_050), 22_050, 1, 16)
    with pytest.raises(UnreadableSound, match=r"a\.wav: not usable as a sound: expected 16000 Hz, found 22050 Hz"):
        at_network_rate(sound, "a.wav", AudioPreprocessing(16_000, 16_000, 16_000, MEL))
