"""Mel bands and cepstral coefficients equal the definitions that the pretrained networks come with."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from audio_definitions import clips, definition, unit

from edgetl.errors import UsageError
from edgetl.fronts.audio.mel import compute, front_end
from edgetl.types import Mel

RATE = 16000
MFCC = Mel(
    640, 320, 1024, 40, 20.0, 4000.0, triangles="htk", spectrum="amplitude", log="ln", floor=1e-12, coefficients=10
)
# decibels of int16 power, a tenth of them plus two; samples here count to one
DECIBELS = Mel(
    400, 160, 512, 32, 60.0, 3800.0, triangles="slaney", spectrum="power", log="dB", floor=1e-10 / 2**30,
    below_loudest=80.0, scale=0.1, offset=2 + 3 * math.log10(2**10),
)  # fmt: skip


def test_cepstral_coefficients_are_those_of_the_keyword_networks(shared: Path) -> None:
    samples = clips(shared)
    expected = definition(shared, "kws_ds_cnn_l").mfcc(unit(samples))
    found = compute(samples, front_end(MFCC, RATE))
    assert found.shape == (9, 49, 10)
    np.testing.assert_allclose(found, expected, atol=2e-3)  # torch sums 500 bins in float32, the loudest value is 90


def test_decibels_are_those_of_the_speech_embedding(shared: Path) -> None:
    samples = clips(shared)
    network = definition(shared, "speech_embedding").build()
    # its frames of 512 samples have the window of 400 in their middle
    within = samples[:, 56 : 56 + 400 + 96 * 160]
    found = compute(within, front_end(DECIBELS, RATE))
    assert found.shape == (9, 97, 32)
    np.testing.assert_allclose(found, network.mel(unit(samples)), atol=1e-4)


def test_a_pure_tone_is_loudest_in_the_band_around_it() -> None:
    mel = replace(MFCC, coefficients=0)
    tone = np.rint(20000 * np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE)).astype(np.int16)
    found = compute(tone[None], front_end(mel, RATE))[0]
    edges = 700 * np.expm1(np.linspace(1127 * np.log1p(20 / 700), 1127 * np.log1p(4000 / 700), 42) / 1127)
    assert set(found.argmax(1)) == {int(np.abs(edges[1:-1] - 1000).argmin())}
    # the amplitude of a windowed tone is half its height times the window's sum, shared by bins and bands
    assert 0.5 < float(np.exp(found.max())) / (20000 / 32768 * 640 / 4) < 4


@pytest.mark.parametrize("mel", [MFCC, DECIBELS, replace(DECIBELS, floored="add", below_loudest=0.0)])
def test_silence_is_the_floor(mel: Mel) -> None:
    mel = replace(mel, coefficients=0)
    found = compute(np.zeros((1, RATE), np.int16), front_end(mel, RATE))
    floor = math.log(mel.floor) if mel.log == "ln" else 10 * math.log10(mel.floor)
    np.testing.assert_allclose(found, floor * mel.scale + mel.offset, atol=1e-5)


def test_an_added_floor_moves_loud_values_too() -> None:
    noise = np.random.default_rng(0).integers(-3, 4, (1, RATE), dtype=np.int16)
    mel = replace(MFCC, coefficients=0, floor=0.01)
    sums = np.exp(compute(noise, front_end(replace(mel, floor=1e-12), RATE)))
    added = np.exp(compute(noise, front_end(replace(mel, floored="add"), RATE)))
    np.testing.assert_allclose(added, sums + 0.01, rtol=1e-4)
    np.testing.assert_allclose(np.exp(compute(noise, front_end(mel, RATE))), np.maximum(sums, 0.01), rtol=1e-4)


def test_each_clip_has_its_own_loudest_value() -> None:
    generator = np.random.default_rng(0)
    loud, quiet = (generator.integers(-high, high, RATE, dtype=np.int16) for high in (20000, 20))
    end = front_end(DECIBELS, RATE)
    both = compute(np.stack([loud, quiet]), end)
    np.testing.assert_array_equal(both[1], compute(quiet[None], end)[0])
    assert np.ptp(compute((np.arange(RATE) < 800)[None] * loud[None], end)) == pytest.approx(8, abs=1e-4)


def test_only_bins_that_a_band_uses_are_computed() -> None:
    end = front_end(MFCC, RATE)
    assert end.kernels.shape == (2 * 254, 640)  # bins 2 to 255 of 513
    assert (end.bands.sum(1) > 0).all()


@pytest.mark.parametrize(
    ("mel", "sentence"),
    [
        (replace(MFCC, high_hz=8001.0), "mel: expected low_hz < high_hz <= 8000, half the rate; found 20 and 8001"),
        (replace(MFCC, low_hz=4000.0), "mel: expected low_hz < high_hz <= 8000, half the rate; found 4000 and 4000"),
        (replace(MFCC, dft=512), "mel: expected hop <= window <= dft; found 320, 640 and 512 samples"),
        (replace(MFCC, hop=641), "mel: expected hop <= window <= dft; found 641, 640 and 1024 samples"),
        (replace(MFCC, coefficients=41), "mel: expected at most 40 coefficients, one a band; found 41"),
        (replace(MFCC, bands=200), "mel: band 5 of 200 holds no bin of a transform of 1024 samples; enlarge `dft`"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(mel: Mel, sentence: str) -> None:
    with pytest.raises(UsageError) as refused:
        front_end(mel, RATE)
    assert str(refused.value).startswith(sentence)
