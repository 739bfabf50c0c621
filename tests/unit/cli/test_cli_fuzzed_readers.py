"""Made-up input for every reader of bundles and pivots, from a seed: taken, or refused in one line."""

from __future__ import annotations

import random
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from detector_pivot import ANCHORS, make_detector_pivot
from detector_pivot import LABELS as DETECTED
from hostile_bundles import MANIFEST, refit, refit_pivot
from made_up import change_json, changed_bytes
from numpy.typing import NDArray
from pivot_folder import LABELS, make_pivot

from edgetl.bundle.compile import compile_pivot, compile_targets
from edgetl.bundle.golden import replay
from edgetl.bundle.read import read_bundle
from edgetl.errors import EdgetlError
from edgetl.pivot.pivot import read_pivot
from edgetl.recipes.targets import load_target
from edgetl.types import OUTPUT_NAME

SEED = 20261129
ROUNDS = 100


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`pivot` and `bundles/x86-cpu-int8`, `detector` and `detectors/x86-cpu-int8`, with one golden image each."""
    folder = tmp_path_factory.mktemp("made")
    compile_targets(make_detector_pivot(folder / "detector", golden=1), ["x86-cpu"], folder / "detectors")
    compile_targets(make_pivot(folder / "pivot", golden=1), ["x86-cpu"], folder / "bundles")
    return folder


@pytest.fixture(autouse=True)
def ends_within_two_minutes() -> Iterator[None]:
    signal.alarm(120)
    yield
    signal.alarm(0)


def zeros(images: Sequence[NDArray[np.uint8]]) -> dict[str, NDArray[np.float32]]:
    return {OUTPUT_NAME: np.zeros((len(images), len(LABELS)), np.float32)}


def nothing_found(images: Sequence[NDArray[np.uint8]]) -> dict[str, NDArray[np.float32]]:
    shapes = {"boxes": (len(images), ANCHORS, 4), "scores": (len(images), ANCHORS, len(DETECTED))}
    return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}


def fuzz_manifest(made: Path, scratch: Path, rng: random.Random) -> None:
    bundle = Path(shutil.copytree(made / "bundles" / "x86-cpu-int8", scratch / "bundle"))
    change_json(bundle / MANIFEST, rng)
    read_bundle(bundle)


def fuzz_golden(made: Path, scratch: Path, rng: random.Random) -> None:
    bundle = Path(shutil.copytree(made / "bundles" / "x86-cpu-int8", scratch / "bundle"))
    name = rng.choice(["golden/0.png", "golden/0.rgb.npy", "golden/0.input.npy", "golden/logits.safetensors"])
    refit(bundle, name, changed_bytes((bundle / name).read_bytes(), rng))
    replay(bundle, read_bundle(bundle).manifest, zeros)


def fuzz_pivot(made: Path, scratch: Path, rng: random.Random) -> None:
    pivot = Path(shutil.copytree(made / "pivot", scratch / "pivot"))
    change_json(pivot / "pivot.json", rng)
    read_pivot(pivot)
    compile_pivot(pivot, load_target("null"), "float32", "fuzzed", scratch)


def fuzz_model(made: Path, scratch: Path, rng: random.Random) -> None:
    pivot = Path(shutil.copytree(made / "pivot", scratch / "pivot"))
    name = rng.choice(["float32.onnx", "golden/logits.safetensors", next(pivot.glob("int8-*")).name])
    refit_pivot(pivot, name, changed_bytes((pivot / name).read_bytes(), rng))
    compile_pivot(pivot, load_target("x86-cpu"), rng.choice(["int8", "float32"]), "fuzzed", scratch)


def fuzz_detector(made: Path, scratch: Path, rng: random.Random) -> None:
    bundle = Path(shutil.copytree(made / "detectors" / "x86-cpu-int8", scratch / "bundle"))
    name = rng.choice([MANIFEST, "golden/outputs.safetensors", "golden/detections.safetensors"])
    if name == MANIFEST:
        change_json(bundle / MANIFEST, rng)
    else:
        refit(bundle, name, changed_bytes((bundle / name).read_bytes(), rng))
    replay(bundle, read_bundle(bundle).manifest, nothing_found)


def fuzz_detector_pivot(made: Path, scratch: Path, rng: random.Random) -> None:
    pivot = Path(shutil.copytree(made / "detector", scratch / "pivot"))
    name = rng.choice(["pivot.json", "golden/outputs.safetensors", "golden/0.rgb.npy"])
    if name == "pivot.json":
        change_json(pivot / name, rng)
    else:
        refit_pivot(pivot, name, changed_bytes((pivot / name).read_bytes(), rng))
    compile_pivot(pivot, load_target("null"), "float32", "fuzzed", scratch)


READERS: dict[str, Callable[[Path, Path, random.Random], None]] = {
    "manifest": fuzz_manifest,
    "golden": fuzz_golden,
    "pivot": fuzz_pivot,
    "model": fuzz_model,
    "detector": fuzz_detector,
    "detector pivot": fuzz_detector_pivot,
}


@pytest.mark.parametrize("reader", list(READERS))
def test_whatever_a_reader_is_given_it_takes_or_refuses_in_one_line(made: Path, tmp_path: Path, reader: str) -> None:
    refused: list[str] = []
    for index in range(ROUNDS):
        scratch = tmp_path / str(index)
        scratch.mkdir()
        try:
            READERS[reader](made, scratch, random.Random(f"{SEED} {reader} {index}"))
        except EdgetlError as error:
            refused.append(str(error))
        shutil.rmtree(scratch)
    assert len(refused) > ROUNDS / 2
    assert [told for told in refused if len(told.splitlines()) != 1 or len(told) >= 1000] == []
