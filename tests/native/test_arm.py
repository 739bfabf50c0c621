"""The C++ half as ARM code under qemu: the unit tests, and a real network's answers next to those of x86."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from detector_pivot import make_detector_pivot
from made_up_sounds import (
    RATES,
    assert_decoded_alike,
    assert_spotted_alike,
    assert_windows_alike,
    random_clip,
    random_file,
)
from native_build import RuntimeBuild, cross_build
from numpy.typing import NDArray
from objects_tool import ObjectsTool, assert_same_bits, random_outputs, random_settings
from picture_tool import Tool, assert_resized_alike, noise, random_preprocessing, side
from sound_bundles import make_sound_bundle
from sound_tool import SoundTool
from text_tokenizers import random_texts, real_texts, train
from text_tool import TextTool
from this_cpu import needs_vnni

from edgetl.bench import qemu
from edgetl.bundle.compile import compile_targets
from edgetl.fronts.text.description import write_description
from edgetl.fronts.text.encode import Tokenizer
from edgetl.fronts.text.hugging_face import from_hf
from edgetl.tasks.detection.postprocess import postprocess
from edgetl.types.frames import frame_of

pytestmark = [pytest.mark.integration, pytest.mark.slow]

IMAGES = 100
SIZES = 300
OUTPUTS = 200
SOUNDS = 100
TEXTS = 200


@pytest.fixture(scope="module")
def sysroot() -> Path:
    obstacle = qemu.missing()
    if obstacle is not None:
        pytest.skip(f"{obstacle.reason}; {obstacle.remedy}")
    return qemu.sysroot()


@pytest.fixture(scope="module")
def arm64() -> RuntimeBuild:
    return cross_build("arm64", "aarch64-linux-gnu-g++", "qemu-aarch64-static")


@pytest.fixture(scope="module")
def armhf() -> RuntimeBuild:
    return cross_build("armhf", "arm-linux-gnueabihf-g++", "qemu-arm-static")


@pytest.fixture(scope="module")
def bundles(steel: Path) -> Path:
    """MobileNetV2 in INT8 that tells defects of steel apart, for both machines from one training."""
    return steel / "bundles"


@pytest.mark.parametrize("machine", ["arm64", "armhf"])
def test_the_unit_tests_pass_on_arm(machine: str, request: pytest.FixtureRequest) -> None:
    build: RuntimeBuild = request.getfixturevalue(machine)
    done = build.ctest("-LE", "consumer")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(("machine", "emulator"), [("arm64", "qemu-aarch64-static"), ("armhf", "qemu-arm-static")])
def test_resizing_on_arm_gives_the_bytes_of_python(machine: str, emulator: str, request: pytest.FixtureRequest) -> None:
    build: RuntimeBuild = request.getfixturevalue(machine)
    sysroot = f"/usr/{'aarch64-linux-gnu' if machine == 'arm64' else 'arm-linux-gnueabihf'}"
    tool = Tool(build.bin / "picture_tool", [emulator, "-L", sysroot])
    rng = np.random.default_rng(5)
    resized = [
        assert_resized_alike(tool, noise(rng, side(rng), side(rng)), random_preprocessing(rng, 160))
        for _ in range(SIZES)
    ]
    tool.close()
    assert sum(resized) > SIZES // 2


@pytest.mark.parametrize(("machine", "emulator"), [("arm64", "qemu-aarch64-static"), ("armhf", "qemu-arm-static")])
def test_objects_on_arm_have_the_bits_of_python(machine: str, emulator: str, request: pytest.FixtureRequest) -> None:
    build: RuntimeBuild = request.getfixturevalue(machine)
    sysroot = f"/usr/{'aarch64-linux-gnu' if machine == 'arm64' else 'arm-linux-gnueabihf'}"
    tool = ObjectsTool(build.bin / "objects_tool", [emulator, "-L", sysroot])
    rng = np.random.default_rng(6)
    for case in range(OUTPUTS):
        boxes, scores = random_outputs(rng, int(rng.choice([1, 50, 600])), int(rng.choice([1, 3, 20])))
        frame, settings = frame_of(side(rng), side(rng), random_preprocessing(rng, 400)), random_settings(rng)
        (expected,) = postprocess(boxes[None], scores[None], [frame], settings)
        assert_same_bits(tool.objects(boxes, scores, frame, settings), expected, f"case {case}")
    tool.close()


@pytest.mark.parametrize(("machine", "emulator"), [("arm64", "qemu-aarch64-static"), ("armhf", "qemu-arm-static")])
def test_sound_on_arm_has_the_bits_of_python(machine: str, emulator: str, request: pytest.FixtureRequest) -> None:
    build: RuntimeBuild = request.getfixturevalue(machine)
    sysroot = f"/usr/{'aarch64-linux-gnu' if machine == 'arm64' else 'arm-linux-gnueabihf'}"
    tool = SoundTool(build.bin / "sound_tool", [emulator, "-L", sysroot])
    rng = np.random.default_rng(8)
    read = [assert_decoded_alike(tool, random_file(rng), f"case {case}") for case in range(SOUNDS)]
    assert sum(read) > SOUNDS * 0.9
    for rates in ((16_000, 16_000), *RATES):
        assert_windows_alike(tool, random_clip(rng, 9000), rates, int(rng.integers(1, 5000)), 999)
    assert sum(assert_spotted_alike(tool, rng) for _ in range(SOUNDS)) > SOUNDS
    tool.close()


def test_a_user_s_project_runs_on_arm_with_its_bundle_inside(arm64: RuntimeBuild) -> None:
    done = arm64.ctest("-R", "^consumer_embedded$", "--no-tests=error")
    assert done.returncode == 0, done.stdout


def test_the_golden_images_come_out_right_on_arm(arm64: RuntimeBuild, sysroot: Path, bundles: Path) -> None:
    done = _on_arm(sysroot, [arm64.bin / "edgetl-verify", bundles / "steel-arm64-cpu"])
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_golden_objects_come_out_right_on_arm(arm64: RuntimeBuild, sysroot: Path, tmp_path: Path) -> None:
    made = compile_targets(make_detector_pivot(tmp_path / "pivot"), ["arm64-cpu"], tmp_path / "bundles")
    for bundle in made:
        done = _on_arm(sysroot, [arm64.bin / "edgetl-verify", bundle])
        assert done.returncode == 0, done.stdout + done.stderr
        assert "postprocess" in done.stdout


def test_the_golden_clips_come_out_right_on_arm(arm64: RuntimeBuild, sysroot: Path, tmp_path: Path) -> None:
    bundle = make_sound_bundle(tmp_path / "bundle", "arm64-cpu", 8000)
    done = _on_arm(sysroot, [arm64.bin / "edgetl-verify", bundle.folder])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "window" in done.stdout


@needs_vnni
def test_arm_and_x86_give_the_same_answers(
    runtime_build: RuntimeBuild, arm64: RuntimeBuild, sysroot: Path, bundles: Path, shared: Path
) -> None:
    if runtime_build.onnxruntime_library is None:
        pytest.skip("no onnxruntime package here")
    images = sorted((shared / "data" / "neu_steel").rglob("*.jpg"))[:: 600 // IMAGES][:IMAGES]
    assert len(images) == IMAGES
    library = ["--engine-library", str(runtime_build.onnxruntime_library)]
    native = _run(
        [runtime_build.bin / "edgetl-run", bundles / "steel-x86-cpu", *images, "--json", "--logits", *library]
    )
    emulated = _on_arm(sysroot, [arm64.bin / "edgetl-run", bundles / "steel-arm64-cpu", *images, "--json", "--logits"])
    x86, arm = _logits(native), _logits(emulated)
    cosines = (x86 * arm).sum(axis=1) / (np.linalg.norm(x86, axis=1) * np.linalg.norm(arm, axis=1))
    assert (x86.argmax(axis=1) == arm.argmax(axis=1)).mean() >= 0.99
    assert cosines.min() >= 0.999


def _on_arm(root: Path, command: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
    library = next((root / "site/onnxruntime/capi").glob("libonnxruntime.so.*"))
    paths = f"{root}/lib/aarch64-linux-gnu:{root}/usr/lib/aarch64-linux-gnu"
    emulator = ["qemu-aarch64-static", "-cpu", "max,sme=off", "-L", str(root), "-E", f"LD_LIBRARY_PATH={paths}"]
    return _run([*emulator, *command, "--engine-library", library])


def _run(command: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=1200, check=False)


def _logits(done: subprocess.CompletedProcess[str]) -> NDArray[np.float64]:
    assert done.returncode == 0, done.stderr
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return np.array([answer["logits"] for answer in answers])


@pytest.mark.parametrize(("machine", "emulator"), [("arm64", "qemu-aarch64-static"), ("armhf", "qemu-arm-static")])
def test_texts_on_arm_have_the_tokens_of_python(
    machine: str, emulator: str, request: pytest.FixtureRequest, shared: Path, tmp_path: Path
) -> None:
    if not (shared / "data" / "text" / "sst2_train.csv").exists():
        pytest.skip("no texts in shared/data/text")
    build: RuntimeBuild = request.getfixturevalue(machine)
    sysroot = f"/usr/{'aarch64-linux-gnu' if machine == 'arm64' else 'arm-linux-gnueabihf'}"
    tool = TextTool(build.bin / "text_tool", [emulator, "-L", sysroot])
    reviews = real_texts(shared, "sst2_train")
    texts = [*reviews[:TEXTS], *random_texts(TEXTS, 5)]
    for kind in ("uncased wordpiece", "byte-level bpe", "bpe of llama 2", "unigram"):
        folder = tmp_path / kind
        folder.mkdir()
        description = from_hf(train(kind, reviews, folder))
        write_description(folder / "description.json", description)
        assert tool.open((folder / "description.json").read_bytes()) is None
        assert tool.encode_all(texts) == [Tokenizer(description).encode(text) for text in texts]
    tool.close()
