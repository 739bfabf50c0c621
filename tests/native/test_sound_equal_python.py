"""Sound files, resampling, windows and what a stream makes of logits give the bits in C++ that they give in Python."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from made_up_sounds import (
    RATES,
    assert_decoded_alike,
    assert_spotted_alike,
    assert_windows_alike,
    random_clip,
    random_file,
)
from native_build import RuntimeBuild
from sound_tool import Refusal, SoundTool
from sounds import MALFORMED, wav

from edgetl.fronts.audio.decode import decode_bytes

pytestmark = pytest.mark.integration

CASES = 200


@pytest.fixture(scope="module")
def tool(runtime_build: RuntimeBuild) -> Iterator[SoundTool]:
    opened = SoundTool(runtime_build.bin / "sound_tool")
    yield opened
    opened.close()


def test_files_of_every_kind_give_the_same_samples(tool: SoundTool) -> None:
    rng = np.random.default_rng(1)
    read = [assert_decoded_alike(tool, random_file(rng), f"case {case}") for case in range(CASES)]
    assert sum(read) > CASES * 0.9


def test_damaged_files_are_refused_where_python_refuses_them(tool: SoundTool) -> None:
    rng = np.random.default_rng(2)
    read = []
    for case in range(5 * CASES):
        data = bytearray(random_file(rng))
        for _ in range(int(rng.integers(1, 4))):
            data[int(rng.integers(min(len(data), 90)))] = int(rng.integers(256))
        read.append(assert_decoded_alike(tool, bytes(data[: int(rng.integers(len(data) + 1))]), f"case {case}"))
    assert 0 < sum(read) < len(read)


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_files_are_refused_with_one_line(tool: SoundTool, name: str) -> None:
    data, words = MALFORMED[name]
    assert not assert_decoded_alike(tool, data, name)
    found = tool.decode(data, "talk/bed.wav")
    assert isinstance(found, Refusal)
    assert found.message.startswith("talk/bed.wav: not usable as a sound: ")
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE" and name not in ("NaN", "floats of integers"):
        reason = words.partition("found")[0] if name in ("mu-law", "ADPCM", "MP3 inside") else words
        assert reason in found.message


def test_real_recordings_give_the_same_samples_and_windows(tool: SoundTool, shared: Path) -> None:
    folders = ("keywords", "spoken_digits", "speech_commands_samples")
    clips = sorted(path for name in folders for path in (shared / "data" / name).rglob("*.wav"))
    if not clips:
        pytest.skip("no recordings in shared/data")
    for path in clips:
        data = path.read_bytes()
        assert assert_decoded_alike(tool, data, str(path))
        sound = decode_bytes(data, str(path))
        assert_windows_alike(tool, sound.samples, (sound.rate_hz, 16_000), 12_400, 3100)


@pytest.mark.parametrize("rates", [(16_000, 16_000), *RATES])
def test_random_clips_give_the_same_windows(tool: SoundTool, rates: tuple[int, int]) -> None:
    rng = np.random.default_rng(3)
    for _ in range(CASES // 10):
        clip = random_clip(rng, 20_000)
        assert_windows_alike(tool, clip, rates, int(rng.integers(1, 9000)), int(rng.integers(200, 9000)))


def test_loud_clips_saturate_alike(tool: SoundTool) -> None:
    square = np.where(np.arange(4000) // 7 % 2 == 0, 32767, -32768).astype(np.int16)
    for rates in RATES:
        assert_windows_alike(tool, square, rates, 500, 333)
    assert assert_decoded_alike(tool, wav(square), "square")


def test_random_streams_have_the_same_means_and_detections(tool: SoundTool) -> None:
    rng = np.random.default_rng(7)
    assert sum(assert_spotted_alike(tool, rng) for _ in range(CASES)) > CASES
