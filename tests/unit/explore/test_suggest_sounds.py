"""`edgetl new` on clips of sound writes a recipe that the data fits, with speakers where the names tell them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cli_calls import Shell
from sounds import tone, write_wav

from edgetl.data.groups import group_keys
from edgetl.data.scan import scan
from edgetl.data.split import make_split
from edgetl.data.survey import front_of
from edgetl.explore.suggest_sounds import speaker_pattern
from edgetl.recipes.recipe import Recipe
from edgetl.recipes.recipe_file import load_recipe


def clips(root: Path, *names: str) -> Path:
    for index, name in enumerate(names):
        write_wav(root / name, tone(200 + 7 * index, 0.02))
    return root


def written(shell: Shell, data: Path, folder: Path) -> tuple[Recipe, str]:
    path = folder / "recipe.yaml"
    done = shell("new", data, "-o", path)
    assert done.code == 0, done.err
    return load_recipe(path), path.read_text(encoding="utf-8")


def test_words_of_unseen_speakers_get_a_recipe_with_their_network_and_speakers(
    shared: Path, tmp_path: Path, shell: Shell
) -> None:
    recipe, text = written(shell, shared / "data" / "spoken_digits", tmp_path)
    assert (recipe.front, recipe.backbone.name, recipe.data.augment) == ("audio", "speech_embedding", "speech")
    assert (recipe.data.shots, recipe.audio.window_s) == ("all", 1.0)
    assert (tmp_path / recipe.backbone.weights_dir[0]).resolve() == (shared / "weights").resolve()
    assert "# 8000 Hz, 0.18 to 0.86 s long" in text
    assert "# 6 speakers, by the file names; each is only on one side" in text
    checked = shell("check", tmp_path / "recipe.yaml", "--set", "data.shots=2")
    assert checked.code == 0
    assert re.search("pass +groups +no group is in both", checked.out)


def test_a_folder_without_a_validation_part_leaves_speakers_for_it(shared: Path, tmp_path: Path, shell: Shell) -> None:
    recipe, _ = written(shell, shared / "data" / "spoken_digits" / "train", tmp_path)
    split = make_split(recipe.data, tmp_path, front="audio")
    keys = group_keys(recipe.data.group_by or "", scan(shared / "data" / "spoken_digits" / "train", front="audio"))
    sides = [{keys[sample.path] for sample in side} for side in (split.shots, split.val)]
    assert sides[0]
    assert sides[1]
    assert not sides[0] & sides[1]


@pytest.mark.parametrize(
    ("names", "group"),
    [
        ([f"{w}/{w}_{who}_{n}.wav" for w in "ab" for who in ("ann", "bob") for n in range(3)], "ann"),
        ([f"{w}/{who}-{n}.wav" for w in ("x", "y") for who in ("s1", "s2") for n in range(3)], "s1"),
        ([f"{w}/0a7c2a8d_nohash_{n}.wav" for w in "ab" for n in range(2)], "0a7c2a8d"),
        ([f"{w}/{h}.wav" for w in "ab" for h in ("0a7c2a8d", "ffffffff")], "0a7c2a8d"),
    ],
)
def test_speakers_are_read_from_names(tmp_path: Path, names: list[str], group: str) -> None:
    listing = scan(clips(tmp_path, *names), front="audio")
    pattern = speaker_pattern(listing, None)
    assert group in set(group_keys(pattern, listing).values())


@pytest.mark.parametrize(
    "names",
    [
        ["a/1.wav", "a/2.wav", "b/1.wav", "b/2.wav"],  # a counter
        [f"{w}/{w}_{n}.wav" for w in ("yes", "no") for n in range(4)],  # the class and a counter
        [f"{w}/{w}{n}_a_b.wav" for w in ("yes", "no") for n in range(4)],  # constants
        [f"{w}/take_{chr(97 + n)}.wav" for w in ("yes", "no") for n in range(3)],  # too few clips of each
        ["a/ann_1.wav", "a/bob_1.wav", "b/ann_1_2.wav", "b/bob.wav"],  # names of several forms
        ["a/0a7c2a8d.wav", "b/0a7c2a8e.wav"],  # every speaker once
        [f"{w}/{m}_{who}_{n}.wav" for w in "ab" for m in ("m1", "m2") for who in ("ann", "bob") for n in range(2)],
    ],
)
def test_what_may_be_no_speaker_is_left_to_the_user(tmp_path: Path, names: list[str]) -> None:
    assert not speaker_pattern(scan(clips(tmp_path, *names), front="audio"), None)


def test_speakers_on_both_sides_are_told_and_not_refused(tmp_path: Path, shell: Shell) -> None:
    for side in ("train", "val"):
        folder = tmp_path / "data" / side
        names = [f"{w}/{w}_{who}_{n}.wav" for w in ("yes", "no") for who in ("ann", "bob") for n in range(3)]
        for index, name in enumerate(names):
            write_wav(folder / name, tone(200 + 7 * index + (side == "val"), 0.02))
    recipe, text = written(shell, tmp_path / "data", tmp_path)
    assert recipe.data.group_by is None
    assert "# 2 speakers, by the file names, are in training and validation" in text


def test_long_clips_get_a_longer_window(tmp_path: Path, shell: Shell) -> None:
    for label in ("saw", "drill"):
        for index in range(4):
            write_wav(tmp_path / "data" / label / f"{index}.wav", tone(100 + 40 * index, 2.31))
    recipe, text = written(shell, tmp_path / "data", tmp_path)
    assert recipe.audio.window_s == 2.4
    assert "# weights_dir: weights" in text


def test_clips_of_two_rates_are_refused_before_there_is_a_recipe(tmp_path: Path, shell: Shell) -> None:
    clips(tmp_path / "data", "yes/1.wav", "yes/2.wav", "no/1.wav", "no/2.wav")
    write_wav(tmp_path / "data" / "no" / "3.wav", tone(300, 0.1, 8000), 8000)
    done = shell("new", tmp_path / "data", "-o", tmp_path / "recipe.yaml")
    assert done.code == 1
    assert "expected clips of one rate, found 8000, 16000 Hz; convert all to the rate" in done.err
    assert len(done.lines) == 1


def test_a_list_of_clips_and_a_folder_of_mostly_clips_are_sound(tmp_path: Path, shell: Shell) -> None:
    clips(tmp_path / "data", "yes/1.wav", "yes/2.wav", "no/1.wav", "no/2.wav")
    (tmp_path / "data" / "no" / "cover.png").write_bytes(b"\x89PNG")
    assert front_of(tmp_path / "data") == "audio"
    rows = "".join(f"data/{w}/{n}.wav,{w}\n" for w in ("yes", "no") for n in (1, 2))
    (tmp_path / "list.csv").write_text("path,label\n" + rows)
    recipe, _ = written(shell, tmp_path / "list.csv", tmp_path)
    assert (recipe.front, recipe.data.train) == ("audio", "list.csv")
    (tmp_path / "data" / "no" / "1.wav").unlink()
    for index in range(5):
        (tmp_path / "data" / "yes" / f"{index}.jpg").write_bytes(b"")
    assert front_of(tmp_path / "data") == "image"
