"""What a device does with a build - compile the pivot, predict, verify, bench - needs no torch."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from chain import Chain, edgetl, edgetl_without_torch
from cli_calls import Done

from edgetl.bundle.read import read_bundle

pytestmark = [pytest.mark.integration, pytest.mark.slow]

TRAINING = {"torchvision", "timm", "torchao", "sklearn", "onnxscript"}


def without_torch(*arguments: str | Path) -> Done:
    """Run where torch cannot be imported; asserts that nothing tried to get round it."""
    done = edgetl_without_torch(*arguments)
    assert done.code == 0, done.err
    assert not {name.partition(".")[0] for name in json.loads(done.lines[-1])} & TRAINING
    return done


@pytest.fixture(scope="module")
def compiled(chain: Chain, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bundles compiled from the pivot on a machine without torch."""
    out = tmp_path_factory.mktemp("compiled") / "bundles"
    targets = ("--target", "x86-cpu", "--target", "intel-cpu", "--target", "null")
    done = without_torch("compile", chain.pivot, *targets, "--out", out)
    assert done.out.splitlines() == [str(path) for path in (out / line for line in _NAMES)]
    return out


_NAMES = (
    "x86-cpu-int8",
    "x86-cpu-float32",
    "intel-cpu-int8",
    "intel-cpu-bfloat16",
    "intel-cpu-float32",
    "null-int8",
    "null-float32",
)


def test_a_pivot_is_compiled_to_the_very_bytes_of_the_build(chain: Chain, compiled: Path) -> None:
    for target in ("x86-cpu", "intel-cpu"):
        shipped = read_bundle(chain.bundle(target)).manifest
        again = read_bundle(compiled / f"{target}-{shipped.compiled.precision}").manifest
        assert again.files[again.compiled.model] == shipped.files[shipped.compiled.model]
        assert again.pivot_sha256 == shipped.pivot_sha256


@pytest.mark.parametrize("name", ["x86-cpu-int8", "x86-cpu-float32", "intel-cpu-int8", "intel-cpu-float32"])
def test_a_compiled_bundle_verifies(compiled: Path, name: str) -> None:
    answer = json.loads(without_torch("verify", compiled / name, "--json").out)
    assert answer["passed"]
    assert {step["step"] for step in answer["steps"]} == {"decode", "resize", "network"}


def test_a_build_that_the_pivot_has_no_model_for_is_named(chain: Chain, tmp_path: Path) -> None:
    done = edgetl("compile", chain.pivot, "--target", "x86-avx2", "--out", tmp_path / "bundles")
    assert done.code == 0
    assert done.out.strip() == str(tmp_path / "bundles" / "x86-avx2-float32")
    assert "edgetl: x86-avx2: no int8 build: the pivot has no INT8 network of the number format" in done.err


def test_a_bundle_that_answers_wrongly_is_found_by_its_golden_vectors(compiled: Path) -> None:
    done = edgetl("verify", compiled / "null-float32")
    assert done.code == 1
    assert "ok   image 0  resize" in done.out
    assert "FAIL image 0  network" in done.out
    assert len(done.lines) == 1
    assert "the first step that differs is `network`" in done.err


def test_predict_names_the_right_digits(chain: Chain) -> None:
    images = [path for digit in ("0", "1", "4") for path in sorted((chain.recipe.parent / "scans" / digit).iterdir())]
    some = images[::40]
    answer = json.loads(without_torch("predict", chain.bundle("x86-cpu"), *some, "--top", "2", "--json").out)
    assert [each["path"] for each in answer] == [str(path) for path in some]
    assert all(len(each["labels"]) == 2 for each in answer)
    assert all(0 <= share <= 1 for each in answer for share in each["probabilities"])
    right = [each["labels"][0] == path.parent.name for each, path in zip(answer, some, strict=True)]
    assert sum(right) / len(right) > 0.7


def test_predict_says_in_a_line_what_an_image_is(chain: Chain) -> None:
    done = without_torch("predict", chain.bundle("intel-cpu"), chain.image("4"))
    (line,) = done.out.splitlines()
    assert line.startswith(f"{chain.image('4')}: ")
    assert line.count("%") == 3


def test_bench_times_bundles_in_the_same_rounds_and_counts_right_answers(chain: Chain) -> None:
    bundles = [chain.bundle("x86-cpu"), chain.bundle("intel-cpu")]
    done = without_torch("bench", *bundles, "--data", chain.recipe.parent / "scans", "--json", "--quiet")
    answer = json.loads(done.out)
    first, second = answer["bundles"]
    assert (first["backend"], second["backend"]) == ("onnxruntime", "openvino")
    assert first["ratio"] is None
    assert second["ratio"]["low"] <= second["ratio"]["value"] <= second["ratio"]["high"]
    for each in answer["bundles"]:
        assert each["runs"] == 300
        assert 0 < each["p50_ms"]["value"] <= each["p99_ms"]["value"]
        assert each["images"] > 500
        assert each["top1"]["value"] > 0.7
    assert answer["machine"]["cpu"]


def test_bench_of_a_bundle_alone_times_its_golden_images(chain: Chain) -> None:
    done = without_torch("bench", chain.bundle("x86-cpu"), "--quiet")
    assert "layers int8" in done.out
    assert "p50" in done.out
    assert "top-1" not in done.out


def test_training_commands_say_in_one_line_which_extra_they_need(chain: Chain, tmp_path: Path) -> None:
    shutil.copyfile(chain.recipe, tmp_path / "recipe.yaml")
    (tmp_path / "scans").symlink_to(chain.recipe.parent / "scans")
    done = edgetl_without_torch("adapt", tmp_path / "recipe.yaml", "--quiet")
    assert done.code == 1
    told = [line for line in done.lines if line.startswith("edgetl: ")]
    assert told == ["edgetl: this needs the package torch, which is not installed; run: pip install 'edgetl[train]'"]
    assert "Traceback" not in done.err
