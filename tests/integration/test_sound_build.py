"""A keyword spotter from folders of clips to bundles, through the command line: what a user does with the result."""

from __future__ import annotations

import json
import shutil
import wave
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from chain import edgetl, edgetl_without_torch
from sound_chain import WORDS, SoundChain
from this_cpu import INTEL_TARGET, X86_TARGET

from edgetl.bench import qemu
from edgetl.bundle.golden_steps import replay_input
from edgetl.bundle.inference import open_bundle
from edgetl.bundle.read import read_bundle
from edgetl.errors import BundleError
from edgetl.fronts.audio.load import load_sound
from edgetl.types import AudioPreprocessing

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def rows(sound_chain: SoundChain) -> dict[str, dict[str, object]]:
    assert sound_chain.done.code == 0, sound_chain.done.err
    report = json.loads((sound_chain.out / "report.json").read_text(encoding="utf-8"))
    assert (report["task"], report["front"], report["metric"]) == ("classification", "audio", "top-1")
    return {bundle["target"]: bundle for bundle in report["bundles"]}


def clips(chain: SoundChain) -> list[Path]:
    return sorted(chain.val.rglob("*.wav"))


@pytest.mark.parametrize("target", [X86_TARGET, INTEL_TARGET])
def test_speakers_who_were_never_heard_are_understood(rows: dict[str, dict[str, object]], target: str) -> None:
    row = rows[target]
    assert row["verdict"] == "pass", row["reason"]
    assert isinstance(row["top1"], float)
    assert row["top1"] > 0.9
    assert "do not run in INT8" not in str(row["reason"])  # the front end is meant to be float


def test_the_bundle_for_arm_hears_the_same_under_emulation(sound_chain: SoundChain) -> None:
    obstacle = qemu.missing()
    if obstacle is not None:
        pytest.skip(f"no emulator here: {obstacle.reason}")
    ours, theirs = (read_bundle(sound_chain.bundle(target)) for target in (X86_TARGET, "arm64-cpu"))
    p = theirs.manifest.preprocessing
    assert isinstance(p, AudioPreprocessing)
    heard = np.stack([load_sound(path, p) for path in clips(sound_chain)[::6]])
    found = qemu.outputs(theirs.folder / theirs.manifest.compiled.model, heard)["logits"]
    with open_bundle(ours, threads=1) as engine:
        expected = np.asarray(engine.infer({"audio": heard})["logits"], np.float32)
    assert np.array_equal(found.argmax(1), expected.argmax(1))
    assert np.abs(found - expected).max() < 0.2 * (expected.max() - expected.min())


def test_the_bundle_for_the_gpu_is_built_and_says_that_it_was_not_measured(rows: dict[str, dict[str, object]]) -> None:
    if "nvidia-rtx" not in rows:
        pytest.skip("TensorRT-RTX is not installed here")
    assert rows["nvidia-rtx"]["verdict"] == "not measured"


@pytest.mark.parametrize("target", [X86_TARGET, INTEL_TARGET])
def test_every_golden_step_replays_without_torch(sound_chain: SoundChain, target: str) -> None:
    done = edgetl_without_torch("verify", sound_chain.bundle(target), "--json")
    assert done.code == 0, done.err
    for step in ("decode", "window", "network"):
        assert f'"{step}"' in done.out


def test_predict_names_the_words_as_the_report_counted_them(
    sound_chain: SoundChain, rows: dict[str, dict[str, object]]
) -> None:
    done = edgetl_without_torch("predict", sound_chain.bundle(X86_TARGET), sound_chain.val, "--json")
    assert done.code == 0, done.err
    answers = json.loads(done.out)
    right = [Path(answer["path"]).parent.name == answer["labels"][0] for answer in answers]
    assert len(right) == 12 * len(WORDS)
    assert np.mean(right) == pytest.approx(rows[X86_TARGET]["top1"])


def test_the_model_takes_samples_and_keeps_its_front_end_in_float(sound_chain: SoundChain) -> None:
    bundle = read_bundle(sound_chain.bundle(X86_TARGET))
    p = bundle.manifest.preprocessing
    assert isinstance(p, AudioPreprocessing)
    assert (p.file_rate_hz, p.rate_hz, p.samples) == (8000, 16000, 16000)
    assert str(bundle.manifest.signature.inputs[0]) == "audio int16 (?, 16000)"
    assert (bundle.folder / "resampler.npy").is_file()
    with open_bundle(bundle, threads=1) as engine:
        kinds = [op.precision for op in engine.placement().compute()]
    assert kinds.count("float32") <= 3  # the Fourier transform, the bands, and perhaps the head
    assert kinds.count("int8") + kinds.count("uint8") >= 20


def test_both_engines_and_the_pivot_hear_the_same(sound_chain: SoundChain) -> None:
    session = onnxruntime.InferenceSession(
        sound_chain.out / "pivot" / "float32.onnx", providers=["CPUExecutionProvider"]
    )
    bundle = read_bundle(sound_chain.bundle(INTEL_TARGET))
    p = bundle.manifest.preprocessing
    assert isinstance(p, AudioPreprocessing)
    heard = np.stack([load_sound(path, p) for path in clips(sound_chain)[:12]])
    (exact,) = session.run(["logits"], {"audio": heard})
    with open_bundle(bundle, threads=1) as engine:
        found = np.asarray(engine.infer({"audio": heard})["logits"])
    assert (found.argmax(1) == np.asarray(exact).argmax(1)).mean() > 0.9


def test_a_clip_of_another_rate_is_refused_in_one_line(sound_chain: SoundChain, tmp_path: Path) -> None:
    path = tmp_path / "fast.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(44100)
        file.writeframes(bytes(2 * 44100))
    done = edgetl("predict", sound_chain.bundle(X86_TARGET), path)
    assert done.code == 1
    assert "expected 8000 Hz, found 44100 Hz" in done.err
    assert len(done.err.strip().splitlines()) == 1


def test_an_image_is_refused_in_one_line(sound_chain: SoundChain, tmp_path: Path) -> None:
    path = tmp_path / "photo.wav"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(64))
    done = edgetl("predict", sound_chain.bundle(X86_TARGET), path)
    assert done.code == 1
    assert "PNG" in done.err
    assert len(done.err.strip().splitlines()) == 1


def test_built_again_nothing_is_done_twice(sound_chain: SoundChain, tmp_path: Path) -> None:
    shutil.copytree(sound_chain.out, tmp_path / "build")
    done = edgetl("build", sound_chain.recipe, "--out", tmp_path / "build", "--json")
    assert done.code == 0, done.err
    assert all(stage["reused"] for stage in json.loads(done.out)["stages"])


def test_another_filter_in_the_bundle_is_noticed(sound_chain: SoundChain, tmp_path: Path) -> None:
    bundle = shutil.copytree(sound_chain.bundle(X86_TARGET), tmp_path / "bundle")
    table = np.load(bundle / "resampler.npy", allow_pickle=False)
    table[0, 0] += 1
    np.save(bundle / "resampler.npy", table, allow_pickle=False)
    with pytest.raises(BundleError, match="expected the filter from 8000 to 16000 Hz"):
        replay_input(bundle, read_bundle(sound_chain.bundle(X86_TARGET)).manifest, 0, "golden/0.wav")


def test_a_manifest_without_its_filter_is_refused(sound_chain: SoundChain, tmp_path: Path) -> None:
    bundle = shutil.copytree(sound_chain.bundle(X86_TARGET), tmp_path / "bundle")
    manifest = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
    del manifest["files"]["resampler.npy"]
    (bundle / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    done = edgetl("verify", bundle)
    assert done.code == 1
    assert "resampler.npy" in done.err
    assert len(done.err.strip().splitlines()) == 1
