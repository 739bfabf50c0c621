"""A trained ONNX classifier of the user's own becomes bundles, without torch, that do what all bundles do."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from chain import edgetl_without_torch, write_recipe
from cli_calls import Shell
from native_apps import Apps, python_logits
from onnx_networks import Look, body, write_network, write_pictures
from this_cpu import X86_TARGET
from tiny_network import LABELS

from edgetl.bundle.read import read_bundle
from edgetl.pivot.pivot import read_pivot

pytestmark = [pytest.mark.integration, pytest.mark.slow]

TARGETS = (X86_TARGET, "null")
KERAS = Path(__file__).parents[1] / "unit" / "imported" / "keras.onnx"


@dataclass(frozen=True)
class Import:
    """A finished import of a network with planes last, a batch of one and its own normalization of bytes."""

    folder: Path
    out: Path
    answer: dict[str, Any]

    def bundle(self, target: str) -> Path:
        return self.out / "bundles" / f"network-{target}"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Import:
    folder = tmp_path_factory.mktemp("import")
    look = Look(layout="nhwc", batch=1, takes_bytes=True, inside=True, softmax=True)
    network = write_network(folder / "network.onnx", look)
    write_pictures(folder / "data", 120)
    (folder / "classes.txt").write_text("\n".join(LABELS), encoding="utf-8")
    targets: list[str | Path] = [word for target in TARGETS for word in ("--target", target)]
    done = edgetl_without_torch(
        *("import", network, "--data", folder / "data", "--classes", folder / "classes.txt", *targets),
        *("--set", "gates.max_drop_points=20", "--out", folder / "out", "--quiet", "--json"),
    )
    assert done.code in (0, 3), done.err
    return Import(folder, folder / "out", json.loads(done.out))


def test_the_stages_are_those_of_a_build_with_import_for_adapt(made: Import) -> None:
    stages = [stage["stage"] for stage in made.answer["stages"]]
    assert stages[:3] == ["data", "check", "import"]
    assert {"quantize", "export", "compile", "bench", "report"} <= set(stages)


def test_the_pivot_is_proven_equal_to_the_file(made: Import) -> None:
    pivot = read_pivot(made.out / "pivot")
    assert pivot.labels == LABELS
    assert pivot.source.startswith("network.onnx, sha256 ")
    floating = next(model for model in pivot.models if model.precision == "float32")
    assert floating.parity
    assert floating.parity.max_abs_diff <= floating.parity.tolerance


def test_int8_of_the_bundle_loses_little(made: Import) -> None:
    report = made.answer["report"]
    bundle = next(each for each in report["bundles"] if each["target"] == X86_TARGET)
    int8 = next(build for build in bundle["builds"] if build["precision"] == "int8")
    assert int8["score"] >= report["reference"]["score"] - 0.1


def test_the_bundle_verifies_and_predicts_without_torch(made: Import) -> None:
    bundle = made.bundle(X86_TARGET)
    assert read_bundle(bundle).manifest.labels == LABELS
    assert edgetl_without_torch("verify", bundle).code == 0
    done = edgetl_without_torch("predict", bundle, *sorted((made.folder / "data" / "red").iterdir())[:6], "--json")
    assert done.code == 0, done.err
    assert done.out.count('"red"') >= 3


def test_the_programs_for_devices_give_the_same_logits(made: Import, apps: Apps, onnxruntime: tuple[str, ...]) -> None:
    bundle, images = made.bundle(X86_TARGET), sorted((made.folder / "data").rglob("*.png"))[::10]
    answers = apps.json("edgetl-run", bundle, *images, *onnxruntime, "--logits", "--threads", "1")
    found = np.array([answer["logits"] for answer in answers], np.float32)
    np.testing.assert_array_equal(found, python_logits(bundle, images))
    verified = apps("edgetl-verify", bundle, *onnxruntime)
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_repeating_the_import_does_nothing(made: Import, shell: Shell) -> None:
    done = shell("build", made.folder / "out.yaml")  # what --set said is in it
    assert done.code in (0, 3)
    assert "nothing to do" in done.err


def test_another_network_is_imported_again(made: Import, shell: Shell, tmp_path: Path) -> None:
    place = Path(shutil.copytree(made.folder, tmp_path / "again"))
    assert shell("adapt", place / "out.yaml", "--json").code == 0
    model = onnx.load_model(place / "network.onnx")
    weights = next(each for each in model.graph.initializer if len(each.dims) == 4)
    changed = onnx.numpy_helper.to_array(weights) * np.float32(1.01)
    weights.CopyFrom(onnx.numpy_helper.from_array(changed, weights.name))
    onnx.save_model(model, place / "network.onnx")
    done = shell("adapt", place / "out.yaml", "--json")
    assert done.code == 0, done.err
    reused = {stage["stage"]: stage["reused"] for stage in json.loads(done.out)["stages"]}
    assert (reused["data"], reused["import"]) == (True, False)


def test_a_network_of_keras_becomes_a_bundle_that_verifies(shell: Shell, tmp_path: Path) -> None:
    shutil.copy(KERAS, tmp_path / "network.onnx")
    write_pictures(tmp_path / "data", 120)
    (tmp_path / "classes.txt").write_text("\n".join(LABELS), encoding="utf-8")
    options = ("--classes", tmp_path / "classes.txt", "--normalize", "bytes", "--out", tmp_path / "out")
    done = shell("import", tmp_path / "network.onnx", "--data", tmp_path / "data", "--target", X86_TARGET, *options)
    assert done.code in (0, 3), done.err
    verified = shell("verify", tmp_path / "out" / "bundles" / f"network-{X86_TARGET}")
    assert verified.code == 0, verified.err


def _import(shell: Shell, folder: Path, *options: str | Path) -> str:
    done = shell("import", folder / "network.onnx", "--data", folder / "data", "--target", "null", *options)
    assert done.code == 1 or done.code == 2
    assert "Traceback" not in done.err
    return done.err.splitlines()[-1]


def test_a_file_that_is_not_there_is_named_and_nothing_is_written(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    assert "network.onnx: no such file" in _import(shell, tmp_path, "--out", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_wrong_order_of_classes_is_found_on_the_shots(shell: Shell, tmp_path: Path) -> None:
    write_network(tmp_path / "network.onnx")
    write_pictures(tmp_path / "data", 120)
    said = _import(shell, tmp_path, "--out", tmp_path / "out")  # sorted: blue, dark, green, red
    assert "no better than a guess" in said
    assert "the order of the classes is probably another: images of `" in said


def test_a_wrong_number_of_classes_is_one_line(shell: Shell, tmp_path: Path) -> None:
    write_network(tmp_path / "network.onnx")
    write_pictures(tmp_path / "data", 120)
    shutil.rmtree(tmp_path / "data" / "red")
    said = _import(shell, tmp_path, "--out", tmp_path / "out")
    assert "the network gives 4 scores, but the data has 3 classes (blue, dark, green)" in said
    (tmp_path / "names.txt").write_text("dark\nblue\ngreen\n", encoding="utf-8")
    said = _import(shell, tmp_path, "--out", tmp_path / "out", "--classes", tmp_path / "names.txt")
    assert "names 3 classes (dark, blue, green); name all 4 in their order" in said


def test_a_wrong_preprocessing_is_named_with_the_better_one(shell: Shell, tmp_path: Path) -> None:
    onnx.save_model(body(), tmp_path / "network.onnx")
    write_pictures(tmp_path / "data", 240)
    (tmp_path / "classes.txt").write_text("\n".join(LABELS), encoding="utf-8")
    options = ("--classes", tmp_path / "classes.txt", "--shots", "40", "--out", tmp_path / "out")
    said = _import(shell, tmp_path, "--normalize", "bytes", *options)
    assert "the preprocessing is probably wrong" in said
    assert "with normalize: imagenet; if that is how the network was trained, set it" in said


def test_a_folder_that_is_no_class_of_the_network_is_named(shell: Shell, tmp_path: Path) -> None:
    write_network(tmp_path / "network.onnx")
    write_pictures(tmp_path / "data", 120, labels=("dark", "red", "green", "violet"))
    (tmp_path / "classes.txt").write_text("\n".join(LABELS), encoding="utf-8")
    said = _import(shell, tmp_path, "--classes", tmp_path / "classes.txt", "--out", tmp_path / "out")
    assert "`violet` is not among the 4 classes of the network" in said


NET = """
from torch import nn

class Net(nn.Module):
    input_size = 32

    def __init__(self, classes):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU()
        )
        self.head = nn.Linear(16, classes)

    def forward(self, x):
        return self.head(self.features(x).mean((2, 3)))

def make(num_classes):
    return Net(num_classes)
"""


def test_a_torch_network_of_ones_own_is_adapted_and_exported(shell: Shell, tmp_path: Path) -> None:
    recipe = write_recipe(
        tmp_path,
        ["null"],
        backbone={"module": "net.py:make", "pretrained": False},
        adapt={"strategy": "probe", "head": "ncm", "sanity": "warn"},
        quantize={"method": "ptq"},
        check={"features": False},
    )
    (tmp_path / "net.py").write_text(NET, encoding="utf-8")
    done = shell("export", recipe, "--json")
    assert done.code == 0, done.err
    pivot = read_pivot(tmp_path / "build" / "pivot")
    assert (pivot.source, pivot.preprocessing.front) == ("module net.py", "image")
    assert {model.precision for model in pivot.models} == {"int8", "float32"}
    (tmp_path / "net.py").write_text(NET.replace("16", "12"), encoding="utf-8")
    again = json.loads(shell("adapt", recipe, "--json").out)
    assert not next(stage["reused"] for stage in again["stages"] if stage["stage"] == "adapt")
