"""Hostile bundles and pictures for the programs of the device: one line, exit code 1, the same verdict as Python's."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from damage import damages
from hostile_bundles import MANIFEST, change_model, edit, put_outside, put_outside_in_a_branch, refit
from made_up import change_json
from native_build import RuntimeBuild
from pivot_folder import LABELS, make_pivot

from edgetl.bundle.compile import compile_targets
from edgetl.bundle.manifest import labels_text
from edgetl.bundle.read import read_bundle
from edgetl.errors import BundleError

pytestmark = pytest.mark.integration

APPS = ("edgetl-verify", "edgetl-run", "edgetl-bench")
SEED = 7
ROUNDS = 200


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("bundles")
    made = compile_targets(make_pivot(folder / "pivot", golden=1), ["null", "x86-cpu"], folder / "bundles")
    return {bundle.name: bundle for bundle in made}


@pytest.fixture(scope="module")
def programs(runtime_build: RuntimeBuild) -> Path:
    if not (runtime_build.bin / "edgetl-run").is_file():
        pytest.skip("the apps were left out: they need libjpeg-turbo and libpng")
    return runtime_build.bin


def refusal(program: Path, *arguments: str | Path, cwd: Path | None = None) -> str:
    """The one line of a program that must refuse."""
    done = subprocess.run([program, *arguments], capture_output=True, timeout=30, check=False, cwd=cwd)
    told = done.stderr.decode()
    assert (done.returncode, done.stdout, len(told.splitlines())) == (1, b"", 1), (arguments, done)
    return told


def arguments_of(app: str, bundle: Path, picture: Path) -> list[Path]:
    return [bundle, picture] if app == "edgetl-run" else [bundle]


@pytest.mark.parametrize("app", APPS)
def test_every_damage_to_a_bundle_is_one_line(
    programs: Path, bundles: dict[str, Path], tmp_path: Path, app: str
) -> None:
    whole = bundles["null-int8"]
    tried = list(damages(whole))
    assert len(tried) >= 166
    for damage in tried:
        bundle = Path(shutil.copytree(whole, tmp_path / "bundle"))
        damage.apply(bundle)
        told = refusal(programs / app, *arguments_of(app, bundle, whole / "golden" / "0.png"))
        assert str(bundle) in told, damage.name
        shutil.rmtree(bundle)
        (tmp_path / "elsewhere").unlink(missing_ok=True)


@pytest.mark.parametrize("change", [put_outside, put_outside_in_a_branch])
@pytest.mark.parametrize("app", APPS)
def test_cpp_external_data_is_refused_and_never_read_from_the_working_folder(
    programs: Path, bundles: dict[str, Path], tmp_path: Path, app: str, change: Any
) -> None:
    bundle = Path(shutil.copytree(bundles["x86-cpu-float32"], tmp_path / "bundle"))
    refit(bundle, "model.onnx", change_model(bundle / "model.onnx", change))
    (tmp_path / "w.bin").write_bytes(bytes(1_000_000))
    told = refusal(programs / app, *arguments_of(app, bundle, bundle / "golden" / "0.png"), cwd=tmp_path)
    assert "model.onnx: takes weights from another file, which no digest covers" in told


@pytest.mark.parametrize("label", ["\x1b]0;owned\x07", "a\nother.png: 7 100.0 %", "\x9b1m", "\u2028"])
@pytest.mark.parametrize("app", APPS)
def test_label_control_characters_are_refused_when_the_bundle_is_opened(
    programs: Path, bundles: dict[str, Path], tmp_path: Path, app: str, label: str
) -> None:
    bundle = Path(shutil.copytree(bundles["null-int8"], tmp_path / "bundle"))
    labels = (label, *LABELS[1:])
    edit(bundle / MANIFEST, lambda manifest: manifest.update(labels=labels))
    refit(bundle, "labels.txt", labels_text(labels).encode())
    told = refusal(programs / app, *arguments_of(app, bundle, bundle / "golden" / "0.png"))
    assert "`labels.0`: expected text without control characters" in told


def test_fifo_hang_a_named_pipe_as_a_picture_is_refused(
    programs: Path, bundles: dict[str, Path], tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "p.png")
    told = refusal(programs / "edgetl-run", bundles["null-int8"], tmp_path / "p.png")
    assert "p.png: not usable as an image: not a regular file" in told
    told = refusal(programs / "edgetl-bench", bundles["null-int8"], "--images", tmp_path / "p.png")
    assert "p.png" in told


def test_python_takes_no_manifest_that_cpp_refuses_and_the_other_way_round(
    programs: Path, bundles: dict[str, Path], tmp_path: Path
) -> None:
    bundle = Path(shutil.copytree(bundles["null-int8"], tmp_path / "bundle"))
    whole = (bundle / MANIFEST).read_bytes()
    taken = 0
    for index in range(ROUNDS):
        (bundle / MANIFEST).write_bytes(whole)
        change_json(bundle / MANIFEST, random.Random(f"{SEED} {index}"))
        try:
            read_bundle(bundle)
            python = "taken"
        except BundleError as error:
            python = str(error)
        done = subprocess.run(
            [programs / "edgetl-verify", bundle, "--digests-only"], capture_output=True, timeout=30, check=False
        )
        if done.returncode == 0 and python != "taken":
            # what only Python uses, only Python reads
            assert re.search(r"`(measured|target\.(scheme|options|precisions|cpu_\w+))", python), (index, python)
        else:
            assert (done.returncode == 0) == (python == "taken"), (index, python, done)
        taken += python == "taken"
    assert 0 < taken < ROUNDS / 2
