"""Clips of sound are listed, drawn and refused by the rules of images, and a split knows their rate and lengths."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from sounds import MALFORMED, tone, write_wav

from edgetl.data.fingerprint import fingerprint
from edgetl.data.groups import group_keys
from edgetl.data.scan import scan
from edgetl.data.split import SPLIT_FILE, keep_split, make_split, read_split
from edgetl.errors import DataError
from edgetl.recipes.data import Data
from edgetl.types import Clips, Silent, Split


def clips(root: Path, counts: dict[str, int], *, rate: int = 16_000) -> Path:
    """Different tones, each a little longer than the one before; two speakers in turn."""
    for label, (name, count) in enumerate(counts.items()):
        for index in range(count):
            seconds = 0.02 + 0.001 * index
            samples = tone(200 + 300 * label + 10 * index, seconds, rate)
            write_wav(root / name / f"{'anna' if index % 2 else 'bert'}_{index}.wav", samples, rate)
    return root


def split(root: Path, **settings: object) -> Split:
    data = Data.model_validate({"train": "train", "shots": 2, **settings})
    return make_split(data, root, front="audio")


def test_a_folder_of_clips_gives_shots_and_validation_clips_with_their_lengths(tmp_path: Path) -> None:
    clips(tmp_path / "train", {"yes": 5, "no": 4})
    found = split(tmp_path)
    assert (found.classes, len(found.shots), len(found.val)) == (("no", "yes"), 4, 5)
    assert found.clips is not None
    assert found.clips.rate_hz == 16_000
    lengths = [(Path(s.path).stat().st_size - 44) // 2 for s in (*found.shots, *found.val)]
    assert found.clips.lengths == tuple(lengths)
    assert split(tmp_path) == found


def test_a_split_of_clips_survives_its_file_and_one_of_images_has_no_word_of_clips(
    tmp_path: Path, shared: Path
) -> None:
    clips(tmp_path / "train", {"yes": 5, "no": 4})
    found = split(tmp_path)
    keep_split(found, tmp_path, Silent())
    assert read_split(tmp_path / SPLIT_FILE) == found
    edited = (tmp_path / SPLIT_FILE).read_text().replace('"rate_hz": 16000', '"rate_hz": 8000')
    (tmp_path / SPLIT_FILE).write_text(edited)
    with pytest.raises(DataError, match="does not match its digest"):
        read_split(tmp_path / SPLIT_FILE)
    images = make_split(Data(train="trash/train", shots=1, max_val_images=6), shared / "data")
    keep_split(images, tmp_path, Silent())
    assert "clips" not in json.loads((tmp_path / SPLIT_FILE).read_text())


def test_a_list_names_clips_with_their_parts(tmp_path: Path) -> None:
    clips(tmp_path / "train", {"yes": 4, "no": 4})
    paths = sorted((tmp_path / "train").rglob("*.wav"))
    rows = [f"{p.relative_to(tmp_path)},{p.parent.name},{'val' if p.stem[-1] in '01' else 'train'}" for p in paths]
    (tmp_path / "list.csv").write_text("\n".join(["path,label,split", *rows]) + "\n")
    found = split(tmp_path, train="list.csv")
    assert {Path(sample.path).stem[-1] for sample in found.val} == {"0", "1"}
    assert {Path(sample.path).stem[-1] for sample in found.shots} == {"2", "3"}


def test_files_that_are_no_clips_are_named_and_skipped(tmp_path: Path) -> None:
    clips(tmp_path / "train", {"yes": 3, "no": 3})
    folder = tmp_path / "train" / "yes"
    (folder / "song.mp3").write_bytes(b"ID3")
    (folder / "notes.txt").write_text("loud")
    (folder / "photo.png").write_bytes(b"\x89PNG")
    (folder / "fake.wav").write_bytes(MALFORMED["an MP3 with tags"][0])
    (folder / "cut.wav").write_bytes(MALFORMED["cut in the samples"][0])
    reasons = {Path(skipped.path).name: skipped.reason for skipped in split(tmp_path).skipped}
    assert reasons["song.mp3"] == "not taken as a clip: its name ends in .mp3; convert it to WAV"
    assert reasons["notes.txt"] == "not taken as a clip: its name ends in .txt"
    assert reasons["photo.png"] == "not taken as a clip: its name ends in .png"
    assert reasons["fake.wav"].startswith("it is an MP3 recording, which is not supported; convert it: ffmpeg")
    assert reasons["cut.wav"] == "its header promises 64 bytes of samples, but 54 follow: truncated"


def test_one_clip_under_two_labels_is_a_conflict(tmp_path: Path) -> None:
    clips(tmp_path / "train", {"yes": 4, "no": 4})
    twin = tmp_path / "train" / "yes" / "bert_0.wav"
    (tmp_path / "train" / "no" / "twin.wav").write_bytes(twin.read_bytes())
    found = split(tmp_path)
    assert [set(conflict.labels) for conflict in found.conflicts] == [{"yes", "no"}]
    assert str(twin) not in {sample.path for sample in (*found.shots, *found.val)}
    assert any(skipped.reason.startswith("the same clip is also in `") for skipped in found.skipped)


def test_clips_of_two_rates_are_refused_with_one_file_of_each(tmp_path: Path) -> None:
    clips(tmp_path / "train", {"yes": 3, "no": 3})
    odd = write_wav(tmp_path / "train" / "no" / "odd.wav", tone(300, 0.02, 8000), 8000)
    expected = f"{odd}: has 8000 samples a second, but {tmp_path / 'train'}"
    with pytest.raises(DataError, match=re.escape(expected)) as caught:
        split(tmp_path)
    assert "has 16000; convert all clips to the rate that the device records" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_speaker_is_on_both_sides(tmp_path: Path) -> None:
    clips(tmp_path / "train", {"yes": 6, "no": 6})
    found = split(tmp_path, group_by=r"([a-z]+)_\d+\.wav$")
    keys = group_keys(r"([a-z]+)_\d+\.wav$", scan(tmp_path / "train", front="audio"))
    sides = [{keys[sample.path] for sample in side} for side in (found.shots, found.val)]
    assert sides[0] | sides[1] == {"anna", "bert"}
    assert not sides[0] & sides[1]


def test_validation_clips_can_be_limited(tmp_path: Path) -> None:
    clips(tmp_path / "train", {"yes": 8, "no": 8})
    found = split(tmp_path, max_val_images=4)
    assert sorted(sample.label for sample in found.val) == [0, 0, 1, 1]
    assert found.clips is not None
    assert len(found.clips.lengths) == 8


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"a.wav": b""}, "expected one sub-folder of clips per class, found 1 clips directly in it"),
        (
            {"yes/a.png": b"", "no/b.png": b""},
            "expected one sub-folder of clips per class, found 2 folders without clips",
        ),
        ({".yes/a.wav": b"", "no/b.txt": b""}, "found 1 folders without clips; hidden folders are not classes"),
    ],
)
def test_a_folder_without_clips_is_refused_in_words_of_sound(
    tmp_path: Path, files: dict[str, bytes], words: str
) -> None:
    for name, content in files.items():
        path = tmp_path / "train" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    with pytest.raises(DataError, match=re.escape(words)):
        split(tmp_path)


def test_too_few_clips_are_refused_in_words_of_sound(tmp_path: Path) -> None:
    clips(tmp_path / "train", {"yes": 5, "no": 2})
    with pytest.raises(DataError, match=r"class `no` has 2 usable clips; wanted 3 .*; add clips, set data\.shots to 1"):
        split(tmp_path)


def test_the_fingerprint_covers_the_clips_and_not_the_images_beside_them(tmp_path: Path) -> None:
    clips(tmp_path / "train", {"yes": 3, "no": 3})
    data = Data(train="train", shots=2)
    before = fingerprint(data, tmp_path, front="audio")
    write_wav(tmp_path / "train" / "yes" / "bert_0.wav", np.ones(300))
    assert fingerprint(data, tmp_path, front="audio") != before


def test_real_recordings_of_unseen_speakers_are_split_as_they_lie(shared: Path) -> None:
    folder = shared / "data" / "spoken_digits"
    found = make_split(Data(train="train", val="val", shots=5), folder, front="audio")
    assert (len(found.shots), len(found.val), found.skipped, found.traits) == (50, 120, (), ())
    assert isinstance(found.clips, Clips)
    assert found.clips.rate_hz == 8000
    assert 1000 < min(found.clips.lengths) < max(found.clips.lengths) < 20_000
