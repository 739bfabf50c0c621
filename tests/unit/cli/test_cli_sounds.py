"""Bundles of sounds on the command line: predict, verify and bench speak of clips, and refuse what is no clip."""

from __future__ import annotations

import csv
import io
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cli_calls import Shell, write_images
from pivot_folder import make_pivot
from sounds import MALFORMED, tone, write_wav
from tiny_sounds import LABELS, PREPROCESSING, make_sound_pivot, write_tones

from edgetl.bundle.compile import compile_targets
from edgetl.bundle.inference import open_bundle
from edgetl.bundle.read import read_bundle
from edgetl.errors import BackendError
from edgetl.fronts.audio.decode import decode

QUICK = ("--runs", "20", "--warmup", "1", "--cold-starts", "0", "--quiet")


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One that hears 8 kHz, one that converts 16 kHz to it, and one that sees images."""
    folder = tmp_path_factory.mktemp("bundles")
    make_sound_pivot(folder / "tones")
    make_sound_pivot(folder / "converted", replace(PREPROCESSING, file_rate_hz=16000))
    make_pivot(folder / "images")
    made = {}
    for name in ("tones", "converted", "images"):
        compile_targets(folder / name, ["x86-cpu"], folder / f"{name}-bundles")
        made[name] = folder / f"{name}-bundles" / "x86-cpu-float32"
    try:
        with open_bundle(read_bundle(made["tones"]), threads=1):
            return made
    except BackendError as error:
        pytest.skip(str(error))


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """clips/low/0.wav, low/1.wav, middle/0.wav, ..."""
    return write_tones(tmp_path / "clips")


def test_tones_are_classified_by_their_pitch(shell: Shell, bundles: dict[str, Path], clips: Path) -> None:
    found = shell("predict", bundles["tones"], clips, "--json").json()
    assert len(found) == 6
    assert all(each["labels"][0] == Path(each["path"]).parent.name for each in found)


def test_a_part_of_a_recording_is_predicted_by_its_place_and_cannot_be_sorted(
    shell: Shell, bundles: dict[str, Path], clips: Path, tmp_path: Path
) -> None:
    parts = [decode(clips / name / "0.wav").samples for name in ("low", "middle")]
    recording = write_wav(tmp_path / "noise.wav", np.concatenate(parts), 8000)
    length = len(parts[0]) / 8000
    places = [f"{recording}:{start:g}:{length:g}" for start in (0, length)]
    found = shell("predict", bundles["tones"], *places, "--json").json()
    assert [(each["path"], each["labels"][0]) for each in found] == list(zip(places, ("low", "middle"), strict=True))
    refused = shell("predict", bundles["tones"], *places, "--sort-into", tmp_path / "sorted")
    assert refused.code == 2
    assert "--sort-into is for files; noise.wav:0:" in refused.err
    assert "is a part of a recording" in refused.err


def test_clips_of_another_rate_are_converted_by_a_bundle_made_for_it(
    shell: Shell, bundles: dict[str, Path], tmp_path: Path
) -> None:
    faster = write_tones(tmp_path / "faster", 1, rate=16000)
    found = shell("predict", bundles["converted"], faster, "--json").json()
    assert {each["labels"][0]: Path(each["path"]).parent.name for each in found} == {name: name for name in LABELS}


def test_predict_folder_pattern_and_list_mean_clips_and_nothing_else(
    shell: Shell, bundles: dict[str, Path], clips: Path
) -> None:
    write_images(clips / "covers", {"a": 1})
    (clips / "notes.txt").write_text("low/1.wav\n\nhigh/0.wav\n")
    named = [
        Path(line.split(": ")[0]).parent.name for line in shell("predict", bundles["tones"], clips).out.split("\n")
    ]
    assert named == ["high", "high", "low", "low", "middle", "middle", ""]
    assert len(shell("predict", bundles["tones"], clips / "*" / "1.wav", "--json").json()) == 3
    rows = list(csv.DictReader(io.StringIO(shell("predict", bundles["tones"], clips / "notes.txt", "--csv").out)))
    assert [row["prediction"] for row in rows] == ["low", "high"]
    (clips / "empty.txt").write_text("\n")
    shell.refuses(1, ["expected paths of clips"], "predict", bundles["tones"], clips / "empty.txt", "--quiet")
    shell.refuses(1, ["contain clips (.wav,"], "predict", bundles["tones"], clips / "covers", "--quiet")


def test_each_file_that_is_no_clip_has_its_own_line(
    shell: Shell, bundles: dict[str, Path], clips: Path, tmp_path: Path
) -> None:
    mp3, picture, faster = tmp_path / "song.mp3", tmp_path / "cover.wav", tmp_path / "faster.wav"
    mp3.write_bytes(MALFORMED["an MP3 with tags"][0])
    shutil.copy(write_images(tmp_path / "covers", {"a": 1}) / "a" / "0.png", picture)
    write_wav(faster, tone(440, 1.0, 44100), 44100)
    answer = shell("predict", bundles["tones"], clips / "low" / "0.wav", mp3, picture, faster, "--quiet")
    assert answer.code == 1
    assert len(answer.out.splitlines()) == 1
    reasons = (
        "song.mp3: not usable as a sound: it is an MP3",
        "it is a PNG, not a sound",
        "expected 8000 Hz, found 44100",
    )
    assert len(answer.lines) == 4
    for line, reason in zip(answer.lines, reasons, strict=False):
        assert reason in line
    assert "ffmpeg -i FILE -ar 8000 NEW.wav" in answer.lines[2]
    assert answer.lines[3] == "edgetl: 1 clips classified; 3 could not be used"


def test_a_clip_is_no_image(shell: Shell, bundles: dict[str, Path], clips: Path) -> None:
    clip = clips / "low" / "0.wav"
    shell.refuses(1, ["it is a WAV recording, not an image"], "predict", bundles["images"], clip, "--quiet")
    shell.refuses(1, ["contain images"], "predict", bundles["images"], clips, "--quiet")


def test_clips_are_sorted_into_folders_of_their_class(
    shell: Shell, bundles: dict[str, Path], clips: Path, tmp_path: Path
) -> None:
    out = tmp_path / "sorted"
    assert shell("predict", bundles["tones"], clips, "--sort-into", out).code == 0
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*.wav")) == sorted(
        f"{label}/{index}.wav" for label in LABELS for index in (0, 1)
    )


@pytest.mark.parametrize("name", ["tones", "converted"])
def test_verify_replays_decode_window_and_network_of_clips(shell: Shell, bundles: dict[str, Path], name: str) -> None:
    lines = shell("verify", bundles[name]).out.splitlines()[1:]
    assert [line.split()[:4] for line in lines] == [
        ["ok", "clip", str(index), step] for index in range(3) for step in ("decode", "window", "network")
    ]
    found = shell("verify", bundles[name], "--json").json()
    assert found["passed"]
    assert {step["step"] for step in found["steps"]} == {"decode", "window", "network"}
    assert "noun" not in found


def test_verify_names_the_clip_whose_window_differs(shell: Shell, bundles: dict[str, Path], tmp_path: Path) -> None:
    """A manifest that agrees with a wrong golden array: only replaying can find it."""
    import numpy as np

    from edgetl.bundle.write import replace_compiled

    copy = Path(shutil.copytree(bundles["tones"], tmp_path / "copy"))
    place = copy / "golden" / "1.input.npy"
    np.save(place, np.load(place)[::-1].copy(), allow_pickle=False)
    manifest = read_bundle(bundles["tones"]).manifest
    replace_compiled(copy, manifest, manifest.compiled)
    answer = shell("verify", copy)
    assert answer.code == 1
    assert "FAIL clip 1  window" in answer.out
    assert "the first step that differs is `window`" in answer.err


def test_bench_measures_accuracy_on_labeled_clips(shell: Shell, bundles: dict[str, Path], clips: Path) -> None:
    shutil.rmtree(clips / "high")
    (clips / "low" / "broken.wav").write_bytes(b"")
    answer = shell("bench", bundles["tones"], "--data", clips, *QUICK[:-1], "--json")
    (found,) = answer.json()["bundles"]
    assert (found["images"], found["top1"]["value"]) == (4, 1.0)
    assert "no clips of `high`" in answer.err
    assert "broken.wav: not usable as a sound: the file is empty" in answer.err
    assert "image" not in answer.err


def test_bench_takes_no_images_for_clips(shell: Shell, bundles: dict[str, Path], tmp_path: Path) -> None:
    pictures = write_images(tmp_path / "pictures", {"low": 1, "high": 1})
    shell.refuses(
        1, ["expected one sub-folder of clips per class"], "bench", bundles["tones"], "--data", pictures, *QUICK
    )


def test_select_compares_no_networks_for_sound(shell: Shell, clips: Path) -> None:
    recipe = clips.parent / "recipe.yaml"
    recipe.write_text(
        "name: tones\nfront: audio\ndata: {train: clips, shots: 1}\nbackbone: {name: speech_embedding}\n"
        "targets: [x86-cpu]\n"
    )
    shell.refuses(2, ["select compares networks for images", "docs/guide/audio.md"], "select", recipe)
    shell.refuses(1, ["contain images"], "cluster", clips, "--backbone", "mobilenetv2_100")
