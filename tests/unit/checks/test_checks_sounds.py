"""Clips of sound are checked for copies, silence, clipping, what the window cuts off, and drift."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from cli_calls import Shell
from numpy.typing import NDArray
from sounds import chunk, fmt, riff, tone, write_wav

from edgetl.checks.copies.clips import find_sound_copies
from edgetl.checks.sound_prints import SoundPrints, sound_prints
from edgetl.checks.sounds import clipping, converted, cut_off, silence
from edgetl.checks.subject import Subject
from edgetl.files.digest import file_digest
from edgetl.fronts.audio.decode import decode
from edgetl.fronts.audio.examine import examine
from edgetl.fronts.audio.load import at_rate
from edgetl.fronts.audio.wav import Sound
from edgetl.types import Sample, Silent

RATE = 16_000
Floats = NDArray[np.float64]


def samples(*paths: Path, label: int = 0) -> list[Sample]:
    return [Sample(str(path), label, file_digest(path)) for path in paths]


def kinds(clips: list[Sample], val: int) -> list[tuple[int, int, str]]:
    """Pairs among clips of which the last `val` are for validation."""
    sides = ["train" if index < len(clips) - val else "val" for index in range(len(clips))]
    prints = sound_prints(clips, 1.0, Silent())
    return [(copy.first, copy.second, copy.kind) for copy in find_sound_copies(prints, clips, sides, Silent())]  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def words(shared: Path) -> list[Sample]:
    return samples(*sorted((shared / "data" / "keywords").rglob("*.wav"))[::7])


def test_no_two_of_many_real_recordings_are_taken_as_one(words: list[Sample], shared: Path) -> None:
    digits = samples(*sorted((shared / "data" / "spoken_digits" / "train").rglob("*.wav"))[::6])
    assert kinds(words, 9) == []
    assert kinds(digits, 20) == []


def louder(clip: Floats) -> Floats:
    return np.clip(clip * 3, -32768, 32767)


def quieter(clip: Floats) -> Floats:
    return clip / 10


def shifted(clip: Floats) -> Floats:
    return np.concatenate([np.zeros(1600), clip[:-1600]])


def among_silence(clip: Floats) -> Floats:
    return np.concatenate([np.zeros(5000), clip, np.zeros(3000)])


def trimmed(clip: Floats) -> Floats:
    return clip[1500:-1500]


def noisy(clip: Floats) -> Floats:
    return clip + np.random.default_rng(0).normal(0, clip.std() / 10, len(clip))


def converted_twice(clip: Floats) -> Floats:
    once = at_rate(Sound(clip.astype(np.int16), RATE, 1, 16), 11_025)
    return at_rate(Sound(once, 11_025, 1, 16), RATE).astype(np.float64)


@pytest.mark.parametrize("change", [louder, quieter, shifted, among_silence, trimmed, noisy, converted_twice])
def test_one_recording_is_found_again_after_a_change(
    tmp_path: Path, words: list[Sample], change: Callable[[Floats], Floats]
) -> None:
    for index in (3, 11, 20):
        clip = change(decode(Path(words[index].path)).samples.astype(np.float64))
        twin = samples(write_wav(tmp_path / f"{index}.wav", np.round(clip).astype(np.int16)))
        assert kinds([*words, *twin], 1) == [(index, len(words), "copy")]


def test_equal_bytes_and_equal_samples_are_told_apart(tmp_path: Path, words: list[Sample]) -> None:
    path = Path(words[0].path)
    same, other = tmp_path / "same.wav", tmp_path / "other.wav"
    same.write_bytes(path.read_bytes())
    other.write_bytes(riff(chunk(b"fmt ", fmt()), chunk(b"LIST", b"INFO"), chunk(b"data", path.read_bytes()[44:])))
    assert kinds([words[0], words[1], *samples(same, other)], 2) == [(0, 2, "bytes"), (0, 3, "pixels")]


def beep(start: float, seed: int) -> NDArray[np.int16]:
    """A second of a soft room with half a second of 1 kHz that fades in and out."""
    fade = np.minimum(np.minimum(np.arange(8000), np.arange(8000)[::-1]) / 800, 1)
    sound = np.random.default_rng(seed).normal(0, 20, RATE)
    sound[4000:12_000] += 6000 * fade * np.sin(2 * np.pi * 1000 * (np.arange(8000) / RATE + start))
    return np.round(sound).astype(np.int16)


def test_two_recordings_of_one_beep_are_no_copy(tmp_path: Path, words: list[Sample]) -> None:
    """A tone correlates with itself; only the room around it shows that there were two recordings."""
    beeps = [write_wav(tmp_path / f"{seed}.wav", beep(0.00017 * seed, seed)) for seed in range(2)]
    assert {kind for _, _, kind in kinds([*words[:20], *samples(*beeps)], 1)} <= {"near"}


def prints_of(paths: list[Path], window_s: float = 1.0) -> tuple[Subject, SoundPrints]:
    subject = Subject(("word",), tuple(samples(*paths)), len(paths), "clip")
    return subject, sound_prints(subject.samples, window_s, Silent())


def some_words(words: list[Sample], *more: Path) -> list[Path]:
    return [*more, *(Path(sample.path) for sample in words[:8])]


def test_clips_without_sound_and_far_quieter_ones_are_named(tmp_path: Path, words: list[Sample]) -> None:
    zeros = write_wav(tmp_path / "zeros.wav", np.zeros(RATE))
    faint = write_wav(tmp_path / "faint.wav", tone(440, amplitude=9))
    found = silence(*prints_of(some_words(words, zeros, faint)))
    assert (found.verdict, found.found) == ("warn", 2)
    assert found.suspects[0].sentence == "holds no sound"
    assert "dB below its class" in found.suspects[1].sentence
    assert silence(*prints_of(some_words(words))).verdict == "pass"


def test_clips_cut_off_at_their_loudest_are_named_also_if_they_were_made_quieter(
    tmp_path: Path, words: list[Sample]
) -> None:
    hard = np.clip(tone(300, amplitude=60_000 / 2).astype(np.int32) * 4, -32768, 32767)
    clipped = write_wav(tmp_path / "clipped.wav", hard)
    later = write_wav(tmp_path / "later.wav", hard // 8)
    found = clipping(*prints_of(some_words(words, clipped, later)))
    assert {Path(suspect.pictures[0].path).name for suspect in found.suspects} == {"clipped.wav", "later.wav"}
    assert clipping(*prints_of(some_words(words))).verdict == "pass"


def test_sound_outside_of_the_window_is_named_and_silence_outside_is_not(tmp_path: Path, words: list[Sample]) -> None:
    word = decode(Path(words[0].path)).samples
    long = write_wav(tmp_path / "long.wav", np.tile(word, 3))
    padded = write_wav(tmp_path / "padded.wav", np.pad(word, RATE))
    subject, prints = prints_of(some_words(words, long, padded))
    found = cut_off(subject, prints, 1.0, RATE)
    assert [Path(suspect.pictures[0].path).name for suspect in found.suspects] == ["long.wav"]
    assert found.suspects[0].sentence == "3.00 s, 67 % of its energy outside"
    assert "set a longer audio.window_s" in found.remedy
    assert cut_off(*prints_of(some_words(words, long), 3.0), 3.0, RATE).verdict == "pass"


def test_averaged_channels_are_warned_of_and_other_widths_are_counted(tmp_path: Path, words: list[Sample]) -> None:
    stereo, deep = write_wav(tmp_path / "stereo.wav", np.ones((90, 2))), tmp_path / "deep.wav"
    deep.write_bytes(riff(chunk(b"fmt ", fmt(bits=24)), chunk(b"data", bytes(60))))
    subject, _ = prints_of(some_words(words, stereo, deep))
    traits = [trait for path in (stereo, deep) for trait in examine(path).traits]
    found = converted(subject, traits)
    assert found.verdict == "warn"
    assert found.sentence.startswith("1 clip is of several channels, averaged: ")
    assert found.sentence.endswith("; 1 clip is of 24-bit integers, rounded to 16 bits")
    assert converted(subject, traits[1:]).verdict == "pass"


def recipe(folder: Path, shared: Path, train: Path, val: Path) -> Path:
    path = folder / "recipe.yaml"
    data = {"train": str(train), "val": str(val), "shots": 3}
    backbone = {"name": "speech_embedding", "weights_dir": str(shared / "weights")}
    path.write_text(
        yaml.safe_dump(
            {"name": "k", "front": "audio", "data": data, "backbone": backbone, "targets": ["x86-cpu"]},
        )
    )
    return path


def test_check_passes_on_real_words_and_refuses_a_recording_on_both_sides(
    tmp_path: Path, shared: Path, shell: Shell
) -> None:
    words = shared / "data" / "keywords"
    val = tmp_path / "val"
    for path in sorted((words / "val").rglob("*.wav"))[::10]:
        write_wav(val / path.parent.name / path.name, decode(path).samples)
    done = shell("check", recipe(tmp_path, shared, words / "train", val), "--json")
    assert done.code == 0
    findings = {each["check"]: each for each in json.loads(done.out)["checks"]["findings"]}
    assert findings["copies"]["sentence"] == "no clip is in both training and validation"
    assert findings["labels"]["verdict"] in ("pass", "warn")
    assert json.loads(done.out)["checks"]["contact_sheet"] is None

    split = json.loads(next((tmp_path / "k-build").rglob("split.json")).read_text())
    shot = decode(Path(split["shots"][0]["path"])).samples
    write_wav(val / "bed" / "leak.wav", (shot * 0.5).astype(np.int16))
    done = shell("check", tmp_path / "recipe.yaml")
    assert done.code == 1
    assert "1 validation clip also among the training clips: " in done.err
    assert "the same recording: louder, quieter, shifted, trimmed" in done.out
    assert "sound:  16000 Hz" in done.out
