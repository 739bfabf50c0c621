"""A folder of background noise is a class: windows of its long recordings, each recording on one side of the split."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from cli_calls import Shell
from sounds import tone, write_wav

from edgetl.data.fingerprint import fingerprint
from edgetl.data.split import make_split
from edgetl.errors import DataError
from edgetl.fronts.audio.decode import decode
from edgetl.fronts.audio.wav import UnreadableSound
from edgetl.recipes.data import Data
from edgetl.recipes.recipe_file import load_recipe
from edgetl.types import Sample, Split

NOISE = "_background_noise_"
RATE = 16_000


def words(root: Path, hertz: int = 200) -> Path:
    """Two words, six clips each."""
    for label, name in enumerate(("yes", "no")):
        for index in range(6):
            write_wav(
                root / name / f"{'anna' if index % 2 else 'bert'}_{index}.wav", tone(hertz + 300 * label + index, 0.3)
            )
    return root


def noise(root: Path, seconds: float, name: str, rate: int = RATE) -> Path:
    samples = 800 * np.random.default_rng(len(name)).standard_normal(round(seconds * rate))
    return write_wav(root / NOISE / name, samples, rate)


def drawn(root: Path, window_s: float = 1.0, **settings: object) -> Split:
    data = Data.model_validate({"train": "train", "shots": 2, **settings})
    return make_split(data, root, front="audio", window_s=window_s)


def recordings(samples: tuple[Sample, ...]) -> set[str]:
    return {Path(sample.path).name.split(":")[0] for sample in samples if NOISE in sample.path}


def test_windows_of_noise_are_a_class_and_no_recording_is_on_both_sides(tmp_path: Path) -> None:
    for name in ("tap.wav", "bike.wav", "miaow.wav"):
        noise(words(tmp_path / "train"), 5.5, name)
    split = drawn(tmp_path)
    assert split.classes == (NOISE, "no", "yes")
    assert [sum(sample.label == label for sample in split.shots) for label in range(3)] == [2, 2, 2]
    assert recordings(split.shots)
    assert recordings(split.val)
    assert not recordings(split.shots) & recordings(split.val)
    (moved := tmp_path / "elsewhere").mkdir()
    (tmp_path / "train").rename(moved / "train")
    assert [sample.sha256 for sample in drawn(moved).shots] == [sample.sha256 for sample in split.shots]


def test_a_window_is_that_part_of_the_recording_and_its_digest_is_of_the_samples(tmp_path: Path) -> None:
    path = noise(words(tmp_path / "train"), 9, "tap.wav")
    noise(tmp_path / "train", 9, "bike.wav")
    whole = decode(path).samples
    for sample in drawn(tmp_path, window_s=0.775).shots:
        if NOISE in sample.path:
            assert sample.path.split(":")[2] == "0.775"
            samples = decode(Path(sample.path)).samples
            assert len(samples) == 12_400
            assert sample.sha256 == hashlib.sha256(samples.tobytes()).hexdigest()
    assert np.array_equal(decode(Path(f"{path}:1.55:0.775")).samples, whole[24_800:37_200])


@pytest.mark.parametrize("shots", [2, "all"])
def test_validation_clips_without_noise_get_that_of_other_recordings_of_training(
    tmp_path: Path, shots: int | str
) -> None:
    words(tmp_path / "val", hertz=900)
    noise(words(tmp_path / "train"), 5, "tap.wav")
    noise(tmp_path / "train", 5, "bike.wav")
    split = drawn(tmp_path, val="val", shots=shots)
    assert recordings(split.shots) | recordings(split.val) == {"tap.wav", "bike.wav"}
    assert not recordings(split.shots) & recordings(split.val)


def test_speakers_and_recordings_are_kept_apart_together(tmp_path: Path) -> None:
    for name in ("tap.wav", "bike.wav"):
        noise(words(tmp_path / "train"), 4, name)
    split = drawn(tmp_path, group_by=r"([a-z]+)_\d+\.wav$")
    speakers = [
        {Path(s.path).name.split("_")[0] for s in side if NOISE not in s.path} for side in (split.shots, split.val)
    ]
    assert sorted(map(len, speakers)) == [1, 1]
    assert not speakers[0] & speakers[1]
    assert not recordings(split.shots) & recordings(split.val)


def test_windows_are_at_most_twice_as_many_as_the_clips_of_a_word_and_from_all_recordings(tmp_path: Path) -> None:
    for name in ("tap.wav", "bike.wav"):
        noise(words(tmp_path / "train"), 60, name)
    split = drawn(tmp_path)
    windows = [sample for sample in (*split.shots, *split.val) if NOISE in sample.path]
    assert len(windows) == 2 + 6
    assert recordings(tuple(windows)) == {"tap.wav", "bike.wav"}


def test_one_recording_cannot_serve_both_sides(tmp_path: Path) -> None:
    noise(words(tmp_path / "train"), 9, "tap.wav")
    with pytest.raises(DataError, match=f"every recording of class `{NOISE}` is used for training") as caught:
        drawn(tmp_path)
    assert "\n" not in str(caught.value)
    assert "group_by" not in str(caught.value)


def test_recordings_that_are_too_short_or_broken_are_named(tmp_path: Path) -> None:
    for name in ("tap.wav", "bike.wav"):
        noise(words(tmp_path / "train"), 4, name)
    noise(tmp_path / "train", 0.4, "click.wav")
    (tmp_path / "train" / NOISE / "fake.wav").write_bytes(b"RIFF")
    reasons = {Path(skipped.path).name: skipped.reason for skipped in drawn(tmp_path, shots=4).skipped}
    assert reasons["click.wav"] == "0.4 s long; background noise is cut into windows of 1 s"
    with pytest.raises(DataError, match=r"1 unreadable: .*fake\.wav"):
        drawn(tmp_path, shots=4, unreadable="refuse")


def test_noise_at_another_rate_is_refused_in_one_line(tmp_path: Path) -> None:
    noise(words(tmp_path / "train"), 4, "tap.wav", 44_100)
    noise(tmp_path / "train", 4, "bike.wav", 44_100)
    with pytest.raises(DataError, match=r"has 16000 samples a second, but .* has 44100; convert all clips") as caught:
        drawn(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_place_after_the_end_of_the_recording_is_refused(tmp_path: Path) -> None:
    path = noise(tmp_path, 2, "tap.wav")
    expected = r"tap\.wav:1\.5:1: not usable as a sound: expected sound from 1\.5 to 2\.5 s, the recording has 2\.000 s"
    with pytest.raises(UnreadableSound, match=expected):
        decode(Path(f"{path}:1.5:1"))
    with pytest.raises(UnreadableSound, match=r"absent\.wav: No such file"):
        decode(tmp_path / "absent.wav:1:1")


def test_the_fingerprint_changes_with_the_noise_and_with_the_length_of_its_windows(tmp_path: Path) -> None:
    noise(words(tmp_path / "train"), 4, "tap.wav")
    data = Data(train="train", shots=2)
    before = fingerprint(data, tmp_path, front="audio")
    assert fingerprint(data, tmp_path, front="audio", window_s=2) != before
    noise(tmp_path / "train", 5, "tap.wav")
    assert fingerprint(data, tmp_path, front="audio") != before


def test_new_and_check_take_a_folder_of_noise_beside_the_words(tmp_path: Path, shell: Shell) -> None:
    for name in ("tap.wav", "bike.wav", "miaow.wav", "office.wav"):
        noise(words(tmp_path / "data"), 8, name)
    done = shell("new", tmp_path / "data", "-o", tmp_path / "recipe.yaml")
    assert done.code == 0, done.err
    assert load_recipe(tmp_path / "recipe.yaml").data.group_by
    checked = shell("check", tmp_path / "recipe.yaml", "--set", "check.features=false", "--set", "data.shots=2")
    assert checked.code == 0, checked.out + checked.err


def test_new_counts_noise_once_that_training_lends_to_validation(tmp_path: Path, shell: Shell) -> None:
    words(tmp_path / "data" / "val", 250)
    for name in ("tap.wav", "bike.wav"):
        noise(words(tmp_path / "data" / "train"), 5, name)
    assert shell("new", tmp_path / "data", "-o", tmp_path / "recipe.yaml").code == 0
    text = (tmp_path / "recipe.yaml").read_text(encoding="utf-8")
    assert (
        "# 22 training clips, 6 to 10 per class; 12 validation clips, and some of the 10 windows of background" in text
    )
