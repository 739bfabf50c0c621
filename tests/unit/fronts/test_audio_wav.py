"""WAV, FLAC and OGG files become int16 samples by one rule each; a broken file gets one line."""

from __future__ import annotations

import io
import itertools
import wave
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import ArrayLike
from sounds import MALFORMED, as_24_bits, chunk, fmt, riff, tone, wav, write_wav

from edgetl.fronts.audio.decode import decode, decode_bytes
from edgetl.fronts.audio.examine import examine
from edgetl.fronts.audio.wav import UnreadableSound, decode_wav


def values(tag: int, bits: int, content: bytes, channels: int = 1) -> list[int]:
    data = riff(chunk(b"fmt ", fmt(tag, channels, bits=bits)), chunk(b"data", content))
    return [int(value) for value in decode_wav(data, "a.wav").samples]


def test_16_bits_are_read_unchanged_from_real_recordings(shared: Path) -> None:
    clips = sorted((shared / "data" / "keywords" / "val").rglob("*.wav"))[::9]
    for path in [*clips, *sorted((shared / "data" / "spoken_digits").rglob("*.wav"))[::30]]:
        sound = decode(path)
        with wave.open(str(path)) as reference:
            frames = reference.readframes(reference.getnframes())
            assert sound.rate_hz == reference.getframerate()
        assert sound.samples.tobytes() == frames


def test_every_width_becomes_16_bits_rounded_half_up_and_saturated() -> None:
    assert values(1, 8, bytes([0, 1, 127, 128, 129, 255])) == [-32768, -32512, -256, 0, 256, 32512]
    assert values(1, 16, np.array([-32768, -1, 0, 1, 32767], "<i2").tobytes()) == [-32768, -1, 0, 1, 32767]
    low, high = -(1 << 23), (1 << 23) - 1
    assert values(1, 24, as_24_bits([low, -129, -128, 127, 128, high])) == [-32768, -1, 0, 0, 1, 32767]
    wide = np.array([-(1 << 31), -32769, -32768, 32767, 32768, (1 << 31) - 1], "<i4")
    assert values(1, 32, wide.tobytes()) == [-32768, -1, 0, 0, 1, 32767]
    floats = np.array([-1.5, -1, -1.5 / 32768, -0.5 / 32768, 0.49 / 32768, 0.5 / 32768, 1, 7], "<f4")
    assert values(3, 32, floats.tobytes()) == [-32768, -32768, -1, 0, 0, 1, 32767, 32767]


def test_channels_are_averaged_and_rounded_half_up() -> None:
    stereo = [[1, 2], [-1, -2], [0, -1], [32767, 32767], [-32768, -32768]]
    assert decode_wav(wav(stereo), "a.wav").samples.tolist() == [2, -1, 0, 32767, -32768]
    assert decode_wav(wav([[1, 0, 0], [1, 1, 0], [-1, -1, 0]]), "a.wav").samples.tolist() == [0, 1, -1]
    assert values(1, 24, as_24_bits([256, 512, 1024, 0]), channels=2) == [2, 2]


def test_long_recordings_are_converted_in_blocks_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = np.random.default_rng(0).integers(-32768, 32768, (1000, 3))
    whole = decode_wav(wav(samples), "a.wav").samples
    monkeypatch.setattr("edgetl.fronts.audio.wav._BLOCK", 7)
    assert np.array_equal(decode_wav(wav(samples), "a.wav").samples, whole)


@pytest.mark.parametrize(("tag", "bits"), [(1, 8), (1, 16), (1, 24), (1, 32), (3, 32)])
def test_an_extensible_header_means_the_same_as_a_plain_one(tag: int, bits: int) -> None:
    data = chunk(b"data", bytes(bits // 8 * 6))
    plain = decode_wav(riff(chunk(b"fmt ", fmt(tag, bits=bits)), data), "a.wav")
    extensible = decode_wav(riff(chunk(b"fmt ", fmt(tag, bits=bits, extensible=True)), data), "a.wav")
    assert np.array_equal(plain.samples, extensible.samples)


def test_chunks_of_other_names_are_skipped_also_those_of_odd_size() -> None:
    form, data = chunk(b"fmt ", fmt()), chunk(b"data", np.array([5, -6], "<i2").tobytes())
    between = [chunk(b"JUNK", b"abc"), chunk(b"bext", bytes(602)), chunk(b"LIST", b"")]
    for order in itertools.permutations(between):
        assert decode_wav(riff(order[0], form, *order[1:], data, b"trailing"), "a.wav").samples.tolist() == [5, -6]


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x80000000, 0x7FFFF000])
def test_a_stream_whose_header_was_left_open_is_read_to_its_last_whole_frame(size: int) -> None:
    data = riff(chunk(b"fmt ", fmt(channels=2)), chunk(b"data", np.arange(8, dtype="<i2").tobytes(), size=size))
    assert decode_wav(data[:-3], "a.wav").samples.tolist() == [1, 3, 5]


@pytest.mark.parametrize("name", MALFORMED)
def test_a_broken_file_gets_one_line_that_says_what_is_wrong(tmp_path: Path, name: str) -> None:
    data, words = MALFORMED[name]
    path = tmp_path / "clip.wav"
    path.write_bytes(data)
    with pytest.raises(UnreadableSound) as caught:
        decode(path)
    line = str(caught.value)
    assert line.startswith(f"{path}: not usable as a sound: ")
    assert words in line
    assert "\n" not in line
    assert line.count("replace or remove") + line.count("convert it") + line.count("run git") <= 1


def test_a_missing_file_and_a_folder_get_one_line(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSound, match=r"no\.wav: not usable as a sound: no such file"):
        decode(tmp_path / "no.wav")
    with pytest.raises(UnreadableSound, match=r"not a regular file \(a folder\)"):
        decode(tmp_path)


def test_no_damage_of_a_file_ends_in_anything_but_samples_or_one_line() -> None:
    random = np.random.default_rng(1)
    good = riff(chunk(b"LIST", b"INFO"), chunk(b"fmt ", fmt(channels=2)), chunk(b"data", bytes(range(200))))
    read, lines = 0, list[str]()
    for _ in range(3000):
        damaged = bytearray(good)
        for place in random.integers(0, 60, random.integers(1, 4)):
            damaged[place] = random.integers(0, 256)
        try:
            read += len(decode_bytes(bytes(damaged[: random.choice([40, 150, 999])]), "a.wav").samples) > 0
        except UnreadableSound as error:
            lines.append(str(error))
    assert 100 < read < 2900
    assert not [line for line in lines if "\n" in line]


def test_examining_counts_samples_and_says_what_was_converted(tmp_path: Path) -> None:
    plain = examine(write_wav(tmp_path / "plain.wav", tone(440, seconds=0.5)))
    assert (plain.rate_hz, plain.samples, plain.traits) == (16_000, 8000, ())
    path = tmp_path / "stereo.wav"
    path.write_bytes(riff(chunk(b"fmt ", fmt(channels=2, bits=24)), chunk(b"data", bytes(60))))
    assert [(trait.kind, trait.high, trait.detail) for trait in examine(path).traits] == [
        ("channels", 2, ""),
        ("converted", 0, "24-bit integers"),
    ]


def encoded(samples: ArrayLike, kind: str, subtype: str) -> bytes:
    soundfile = pytest.importorskip("soundfile", reason="soundfile is not installed (the extra `audio`)")
    stream = io.BytesIO()
    soundfile.write(stream, samples, 16_000, format=kind, subtype=subtype)
    return stream.getvalue()


def test_flac_holds_exactly_the_samples_of_its_wav() -> None:
    samples = np.random.default_rng(0).integers(-32768, 32768, (4000, 2)).astype(np.int16)
    found = decode_bytes(encoded(samples, "FLAC", "PCM_16"), "a.flac")
    assert np.array_equal(found.samples, decode_wav(wav(samples), "a.wav").samples)
    deep = samples[:, 0].astype(np.int32) << 16 | 0x8000
    assert np.array_equal(
        decode_bytes(encoded(deep, "FLAC", "PCM_24"), "a.flac").samples,
        np.minimum(samples[:, 0].astype(np.int32) + 1, 32767),
    )


def test_ogg_comes_close_to_its_wav() -> None:
    samples = tone(440)
    found = decode_bytes(encoded(samples, "OGG", "VORBIS"), "a.ogg").samples
    assert len(found) == len(samples)
    assert np.corrcoef(found, samples)[0, 1] > 0.99


def test_a_damaged_flac_gets_one_line() -> None:
    data = encoded(tone(440), "FLAC", "PCM_16")
    with pytest.raises(UnreadableSound, match="it begins like a FLAC recording, but is damaged"):
        decode_bytes(data[:20], "a.flac")


def test_without_soundfile_a_flac_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "soundfile", None)
    with pytest.raises(
        UnreadableSound, match=r"it is a FLAC recording; install its reader, pip install 'edgetl\[audio\]'"
    ):
        decode_bytes(b"fLaC" + bytes(60), "a.flac")
