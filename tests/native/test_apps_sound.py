"""edgetl-run, edgetl-verify and edgetl-bench on bundles for sound compute what Python computes."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from cli_calls import Shell
from hostile_bundles import refit
from native_apps import Apps, Engine
from pivot_folder import make_pivot
from sound_bundles import GOLDEN, LABELS, RATE, WINDOW, SoundBundle, make_sound_bundle
from sounds import tone, wav, write_wav
from tiny_sounds import PREPROCESSING, make_sound_pivot, write_tones

from edgetl.bundle.compile import compile_targets
from edgetl.fronts.audio.decode import decode
from edgetl.fronts.audio.window import centered
from edgetl.report.devices import read_devices
from edgetl.tasks.classification.stream import OFF, Detection, Hops, detections, smoothed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Samples = NDArray[np.int16]

pytestmark = pytest.mark.integration

CLIPS = 200
HOPS = Hops(WINDOW, WINDOW // 4)
THRESHOLDS = np.array([0.8, 0.8, 0.8, OFF], np.float32)
CHOSEN = ("--threshold", "0.8", "--threshold", "_quiet_=off")


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, SoundBundle]:
    """By `<target>` for recordings at the network's rate, `8k` and `44k` for others."""
    folder = tmp_path_factory.mktemp("sound")
    made = {name: make_sound_bundle(folder / name, name) for name in ("x86-cpu", "intel-cpu", "null")}
    for name, rate in (("8k", 8000), ("44k", 44_100)):
        made[name] = make_sound_bundle(folder / name, "x86-cpu", rate)
    return made


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    (bundle, _) = compile_targets(make_pivot(folder / "pivot"), ["null"], folder / "bundles")
    return bundle


@pytest.fixture(scope="module")
def recordings(shared: Path) -> list[Path]:
    clips = sorted((shared / "data" / "keywords").rglob("*.wav")) + sorted(
        (shared / "data" / "speech_commands_samples").rglob("*.wav")
    )
    if len(clips) < CLIPS:
        pytest.skip(f"only {len(clips)} recordings at 16 kHz here")
    return clips[:: len(clips) // CLIPS][:CLIPS]


def logits_of(bundle: SoundBundle, paths: list[Path]) -> NDArray[np.float32]:
    return bundle.logits(np.stack([centered(bundle.heard(decode(path).samples), WINDOW) for path in paths]))


def assert_classified_alike(apps: Apps, bundle: SoundBundle, paths: list[Path], library: Path | str) -> None:
    found = apps.json("edgetl-run", bundle.folder, *paths, "--logits", "--engine-library", library)
    assert [each["path"] for each in found] == [str(path) for path in paths]
    logits = np.array([each["logits"] for each in found], np.float32)
    assert logits.tobytes() == logits_of(bundle, paths).tobytes()
    assert [each["labels"][0] for each in found] == [LABELS[int(row.argmax())] for row in logits]


def hops_of(
    bundle: SoundBundle, recording: Samples, smoothing: int
) -> tuple[NDArray[np.float32], tuple[Detection, ...]]:
    """What Python computes for a stream: the means (H, C), and the detections."""
    heard = bundle.heard(recording)
    windows = np.stack([heard[start : start + WINDOW] for start in HOPS.starts(len(heard))])
    means = smoothed(bundle.logits(windows), smoothing)
    return means, detections(means, THRESHOLDS, WINDOW, HOPS)


def lines(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def song(rate: int) -> Samples:
    """Tones of 0.6 s between pauses of a second, in noise."""
    rng = np.random.default_rng(0)
    parts = [np.zeros(rate, np.int16)]
    for hz in (440, 2640, 1320, 440):
        parts += [tone(hz, 0.6, rate), np.zeros(rate, np.int16)]
    quiet = np.concatenate(parts)
    return (quiet + rng.normal(0, 40, len(quiet))).astype(np.int16)


# --- files


def test_recordings_give_the_same_logits(
    apps: Apps, engine: Engine, bundles: dict[str, SoundBundle], recordings: list[Path]
) -> None:
    assert_classified_alike(apps, bundles[engine.target], recordings, engine.library)


def test_recordings_at_another_rate_give_the_same_logits(
    apps: Apps, bundles: dict[str, SoundBundle], onnxruntime: tuple[str, ...], shared: Path, tmp_path: Path
) -> None:
    digits = sorted((shared / "data" / "spoken_digits" / "val").rglob("*.wav"))[::4]
    if digits:
        assert_classified_alike(apps, bundles["8k"], digits, onnxruntime[1])
    tones = [write_wav(tmp_path / f"{hz}.wav", tone(hz, 0.7, 44_100), 44_100) for hz in (440, 1000, 2640)]
    assert_classified_alike(apps, bundles["44k"], tones, onnxruntime[1])


def test_the_result_for_people_names_the_classes(
    apps: Apps, bundles: dict[str, SoundBundle], onnxruntime: tuple[str, ...], tmp_path: Path
) -> None:
    path = write_wav(tmp_path / "a.wav", tone(1320, 0.5))
    told = apps("edgetl-run", bundles["x86-cpu"].folder, path, "--top", "2", *onnxruntime)
    assert told.stdout.startswith(f"{path}: middle 9")
    assert told.stdout.count("%") == 2


def test_files_of_another_kind_or_rate_are_one_line(
    apps: Apps, bundles: dict[str, SoundBundle], images: Path, tmp_path: Path
) -> None:
    sound = bundles["null"].folder
    slow = write_wav(tmp_path / "slow.wav", tone(440), 8000)
    picture = tmp_path / "a.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    apps.refuses(1, "slow.wav: not usable as a sound: expected 16000 Hz, found 8000 Hz", "edgetl-run", sound, slow)
    apps.refuses(1, "a.png: not usable as a sound: it is not a WAV file", "edgetl-run", sound, picture)
    apps.refuses(1, "absent.wav: not usable as a sound: No such file", "edgetl-run", sound, tmp_path / "absent.wav")
    apps.refuses(1, "slow.wav: not usable as an image", "edgetl-run", images, slow)


# --- beside the Python commands, on a network with its mel front end inside


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Builds by `<target> <rate of the clips>`."""
    folder, made = tmp_path_factory.mktemp("heard"), {}
    for rate in (8000, 16_000):
        pivot = make_sound_pivot(folder / f"{rate}", replace(PREPROCESSING, file_rate_hz=rate))
        for path in compile_targets(pivot, ["x86-cpu", "intel-cpu"], folder / f"{rate}-bundles"):
            made[f"{path.name.removesuffix('-float32')} {rate}"] = path
    return made


@pytest.mark.parametrize("rate", [8000, 16_000])
def test_run_and_verify_say_what_python_says(
    shell: Shell, apps: Apps, engine: Engine, heard: dict[str, Path], tmp_path: Path, rate: int
) -> None:
    bundle, library = heard[f"{engine.target} {rate}"], ("--engine-library", str(engine.library))
    clips = sorted(write_tones(tmp_path / "tones", 3, rate).rglob("*.wav"))
    assert apps("edgetl-run", bundle, *clips, *library).stdout == shell("predict", bundle, *clips).out
    found = apps.json("edgetl-run", bundle, *clips, *library)
    assert found == shell("predict", bundle, *clips, "--json").json()
    assert [Path(each["path"]).parent.name for each in found] == [each["labels"][0] for each in found]
    told, python = apps("edgetl-verify", bundle, *library), shell("verify", bundle)
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout == python.out
    assert apps.json("edgetl-verify", bundle, *library)["steps"] == shell("verify", bundle, "--json").json()["steps"]


def test_verify_and_python_name_the_same_step(
    shell: Shell, apps: Apps, onnxruntime: tuple[str, ...], heard: dict[str, Path], tmp_path: Path
) -> None:
    bundle = Path(shutil.copytree(heard["x86-cpu 16000"], tmp_path / "bundle"))
    for samples in (np.zeros(9600, np.int16), np.zeros(7, np.int16)):
        refit(bundle, "golden/1.wav", wav(samples, 16_000))
        told, python = apps("edgetl-verify", bundle, *onnxruntime), shell("verify", bundle)
        assert (told.returncode, python.code) == (1, 1)
        assert told.stdout == python.out
        assert "the first step that differs is `decode`" in told.stderr


# --- the self-test and the benchmark


@pytest.mark.parametrize("name", ["x86-cpu", "8k", "44k"])
def test_the_golden_clips_come_out_right(
    apps: Apps, bundles: dict[str, SoundBundle], onnxruntime: tuple[str, ...], name: str
) -> None:
    told = apps("edgetl-verify", bundles[name].folder, *onnxruntime)
    assert (told.returncode, told.stderr) == (0, "")
    steps = [line.split()[3] for line in told.stdout.splitlines()[1:]]
    assert steps == ["decode", "window", "network"] * GOLDEN
    assert told.stdout.splitlines()[1].startswith("ok   clip 0  decode   largest difference 0")


def test_the_first_step_that_differs_is_named(apps: Apps, onnxruntime: tuple[str, ...], tmp_path: Path) -> None:
    bundle = make_sound_bundle(tmp_path / "bundle", "x86-cpu", 8000)
    table = np.load(bundle.folder / "resampler.npy")
    _save(bundle, "resampler.npy", np.roll(table, 1, axis=1))
    done = apps("edgetl-verify", bundle.folder, *onnxruntime)
    assert "the first step that differs is `window`: largest difference" in done.stderr
    _save(bundle, "resampler.npy", table)
    samples = np.load(bundle.folder / "golden" / "1.samples.npy")
    samples[7] += 5
    refit(bundle.folder, "golden/1.wav", wav(samples, 8000))
    done = apps("edgetl-verify", bundle.folder, *onnxruntime)
    assert done.returncode == 1
    assert "the first step that differs is `decode`: largest difference 5 of 65535 (limit 0)" in done.stderr


def _save(bundle: SoundBundle, name: str, array: Samples) -> None:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    refit(bundle.folder, name, file.getvalue())


def test_bench_measures_a_bundle_for_sound(
    apps: Apps, bundles: dict[str, SoundBundle], onnxruntime: tuple[str, ...], images: Path, tmp_path: Path
) -> None:
    clips = write_wav(tmp_path / "clips" / "a.wav", tone(440)).parent
    for options in ([], ["--images", str(clips)]):
        found = apps.json("edgetl-bench", bundles["x86-cpu"].folder, "--cold-starts", "1", *options, *onnxruntime)
        (tmp_path / "device.json").write_text(json.dumps(found))
        (device,) = read_devices([tmp_path / "device.json"])
        (measured,) = device.measurement.bundles
        assert measured.p50_ms is not None
        assert measured.cold_start_ms is not None
        assert measured.detect_p50_ms is None
    sound = bundles["null"].folder
    apps.refuses(1, "takes another input", "edgetl-bench", sound, images)
    empty = tmp_path / "empty"
    empty.mkdir()
    apps.refuses(1, "holds no .wav file", "edgetl-bench", sound, "--images", empty, "--cold-starts", "0")


# --- streams


@pytest.mark.parametrize("name", ["x86-cpu", "8k"])
def test_every_window_of_a_stream_has_the_same_probabilities(
    apps: Apps, bundles: dict[str, SoundBundle], onnxruntime: tuple[str, ...], tmp_path: Path, name: str
) -> None:
    bundle = bundles[name]
    recording = song(bundle.file_rate_hz)
    path = write_wav(tmp_path / "song.wav", recording, bundle.file_rate_hz)
    options = ["--hops", "--json", "--top", str(len(LABELS)), *CHOSEN, *onnxruntime]
    told = lines(apps("edgetl-run", bundle.folder, path, "--stream", *options))
    means, expected = hops_of(bundle, recording, smoothing=4)
    found = [[line["probabilities"][line["labels"].index(label)] for label in LABELS] for line in told]
    assert np.array(found, np.float32).tobytes() == means.tobytes()
    assert [LABELS.index(line["detected"]) for line in told if line["detected"]] == [each.label for each in expected]
    assert [each.label for each in expected] == [0, 2, 1, 0]


def test_detections_are_printed_at_their_place(
    apps: Apps, bundles: dict[str, SoundBundle], onnxruntime: tuple[str, ...], tmp_path: Path
) -> None:
    bundle, recording = bundles["x86-cpu"], song(RATE)
    path = write_wav(tmp_path / "song.wav", recording)
    _, expected = hops_of(bundle, recording, smoothing=2)
    options = ["--stream", "--smoothing", "2", *CHOSEN, *onnxruntime]
    told = lines(apps("edgetl-run", bundle.folder, path, *options, "--json"))
    assert [(line["begin"], line["end"], line["rate_hz"]) for line in told] == [
        (each.end - WINDOW, each.end, RATE) for each in expected
    ]
    text = apps("edgetl-run", bundle.folder, path, *options).stdout.splitlines()
    assert len(text) == len(expected) >= 4
    end = expected[0].end / RATE
    assert text[0].startswith(f"{path}: {end - 0.5:.3f} to {end:.3f} s: detected low; low ")


def test_samples_from_stdin_are_heard_like_a_file(
    apps: Apps, bundles: dict[str, SoundBundle], onnxruntime: tuple[str, ...], tmp_path: Path
) -> None:
    bundle, recording = bundles["8k"].folder, song(8000)
    path = write_wav(tmp_path / "song.wav", recording, 8000)
    options = ["--stream", "--hops", "--json", *CHOSEN, *onnxruntime]
    from_file = lines(apps("edgetl-run", bundle, path, *options))
    command = [str(apps.bin / "edgetl-run"), str(bundle), "-", "--rate", "8000", *options]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    data = recording.tobytes()
    for at in range(0, len(data), 999):  # within a sample too
        process.stdin.write(data[at : at + 999])
        process.stdin.flush()
    out, _ = process.communicate(timeout=300)
    from_stdin = [json.loads(line) for line in out.splitlines()]
    assert {line.pop("path") for line in from_stdin} == {"-"}
    assert from_stdin == [{key: value for key, value in line.items() if key != "path"} for line in from_file]


def test_words_in_a_long_recording_are_heard_where_python_hears_them(
    apps: Apps, bundles: dict[str, SoundBundle], onnxruntime: tuple[str, ...], recordings: list[Path], tmp_path: Path
) -> None:
    recording = np.concatenate([decode(path).samples for path in recordings[:40]])
    path = write_wav(tmp_path / "long.wav", recording)
    bundle = bundles["x86-cpu"]
    means, expected = hops_of(bundle, recording, smoothing=4)
    told = lines(apps("edgetl-run", bundle.folder, path, "--stream", "--json", *CHOSEN, *onnxruntime))
    assert [(line["end"], LABELS.index(line["detected"])) for line in told] == [
        (each.end, each.label) for each in expected
    ]
    assert len(means) > 200


def test_a_length_in_milliseconds_moves_the_windows(
    apps: Apps, bundles: dict[str, SoundBundle], tmp_path: Path
) -> None:
    path = write_wav(tmp_path / "a.wav", tone(440, 2))
    options = ["--stream", "--hops", "--json", "--hop", "100", "--threshold", "0.25", "--refractory", "300"]
    told = lines(apps("edgetl-run", bundles["null"].folder, path, *options))
    assert [line["begin"] for line in told] == list(range(0, 24_001, 1600))
    assert [bool(line["detected"]) for line in told] == [index % 3 == 0 for index in range(16)]  # a quarter each


def test_options_of_streams_are_checked(
    apps: Apps, bundles: dict[str, SoundBundle], images: Path, tmp_path: Path
) -> None:
    sound, path = bundles["null"].folder, write_wav(tmp_path / "a.wav", tone(440))

    def refused(words: str, *arguments: str | Path, bundle: Path = sound) -> None:
        apps.refuses(2, words, "edgetl-run", bundle, *arguments)

    refused("--stream is for sound and series; the bundle is made for images", path, "--stream", bundle=images)
    refused("--hop needs --stream", path, "--hop", "100")
    refused("--threshold is for detectors", path, "--threshold", "0.5")
    refused("--logits is for files, not for --stream", path, "--stream", "--logits")
    refused("- needs --rate 16000, which the bundle takes", "-", "--stream")
    refused("found 8000: resample the samples", "-", "--stream", "--rate", "8000")
    refused("--rate is for samples from stdin", path, "--stream", "--rate", "16000")
    refused("- can be read once", "-", "-", "--stream", "--rate", "16000")
    refused(
        "--threshold takes a number from 0 to 1 or off, or CLASS= and that; found `2`",
        path,
        "--stream",
        "--threshold",
        "2",
    )
    refused("--threshold: the bundle has no class `bed`", path, "--stream", "--threshold", "bed=0.5")
    refused("--smoothing takes a whole number from 1 to 1000", path, "--stream", "--smoothing", "0")
