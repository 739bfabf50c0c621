"""Networks that never end or need all memory: what a bundle is tried in has a time and a memory limit."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import onnx
import pytest
from cli_calls import Shell
from hostile_bundles import change_model, need_memory, need_terabytes, never_end, refit, refit_pivot
from pivot_folder import make_pivot

from edgetl.backends import fresh_process
from edgetl.bundle.compile import compile_targets
from edgetl.bundle.inference import cannot_run
from edgetl.bundle.read import read_bundle

SECONDS = 3
HALF_A_GIB = 2**29


@pytest.fixture(scope="module")
def pivot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pivot(tmp_path_factory.mktemp("made") / "pivot")


@pytest.fixture(scope="module")
def whole(pivot: Path) -> Path:
    made = compile_targets(pivot, ["x86-cpu", "intel-cpu"], pivot.parent / "bundles")
    return made[0].parent


@pytest.fixture
def bundle(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole / "x86-cpu-float32", tmp_path / "bundle"))


def changed(pivot: Path, folder: Path, change: Callable[[onnx.ModelProto], object]) -> Path:
    shutil.copytree(pivot, folder)
    for model in folder.glob("*.onnx"):
        refit_pivot(folder, model.name, change_model(model, change))
    return folder


@pytest.mark.parametrize("command", ["verify", "bench"])
def test_an_endless_network_in_a_bundle_is_stopped(shell: Shell, bundle: Path, command: str) -> None:
    refit(bundle, "model.onnx", change_model(bundle / "model.onnx", never_end))
    answer = shell(command, bundle, "--time-limit", str(SECONDS), *(["-q"] if command == "bench" else []))
    assert (answer.code, len(answer.lines)) == (1, 1)
    assert f"did not finish within {SECONDS} s; --time-limit SECONDS allows more" in answer.err


def test_an_endless_network_in_a_pivot_is_no_success_of_compile(shell: Shell, pivot: Path, tmp_path: Path) -> None:
    made = changed(pivot, tmp_path / "pivot", never_end)
    words = ["compiled, but it does not run here: x86-cpu-int8", "did not finish within"]
    out = tmp_path / "out"
    shell.refuses(1, words, "compile", made, "--target", "x86-cpu", "--out", out, "--time-limit", str(SECONDS))
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("command", ["verify", "bench"])
def test_a_network_that_needs_terabytes_is_one_line(shell: Shell, bundle: Path, command: str) -> None:
    refit(bundle, "model.onnx", change_model(bundle / "model.onnx", need_terabytes))
    answer = shell(command, bundle, *(["-q"] if command == "bench" else []))
    assert (answer.code, len(answer.lines)) == (1, 1)
    assert "not enough free memory for it" in answer.err
    assert "/onnxruntime_src" not in answer.err


@pytest.mark.parametrize("target", ["x86-cpu", "intel-cpu"])
def test_a_pivot_that_needs_terabytes_is_no_success_of_compile(
    shell: Shell, pivot: Path, tmp_path: Path, target: str
) -> None:
    made = changed(pivot, tmp_path / "pivot", need_terabytes)
    words = [f"compiled, but it does not run here: {target}-int8: not enough free memory for it"]
    shell.refuses(1, words, "compile", made, "--target", target, "--out", tmp_path / "out")


def test_a_network_gets_no_more_memory_than_is_free(
    shell: Shell, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refit(bundle, "model.onnx", change_model(bundle / "model.onnx", partial(need_memory, size_bytes=HALF_A_GIB)))
    assert shell("verify", bundle).code == 0
    monkeypatch.setattr(fresh_process, "available_bytes", lambda: HALF_A_GIB)
    answer = shell("verify", bundle)
    assert (answer.code, len(answer.lines)) == (1, 1)
    assert "not enough free memory for it" in answer.err


@pytest.mark.parametrize("target", ["x86-cpu", "intel-cpu"])
def test_compile_opens_what_it_compiled(
    shell: Shell, pivot: Path, tmp_path: Path, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []
    real = fresh_process._ask

    def ask(request: fresh_process._Request, limits: fresh_process.Limits, where: str) -> dict[str, object]:
        tried.append(request.compiled.precision)
        return real(request, limits, where)

    monkeypatch.setattr(fresh_process, "_ask", ask)
    answer = shell("compile", pivot, "--target", target, "--out", tmp_path / "out", "--json")
    assert answer.code == 0
    bundles = [read_bundle(Path(folder)) for folder in json.loads(answer.out)["bundles"]]
    assert tried == [bundle.manifest.compiled.precision for bundle in bundles if not cannot_run(bundle)]
    assert "int8" in tried


def test_logits_that_are_no_numbers_are_null_in_json(shell: Shell, bundle: Path) -> None:
    def divide_by_zero(model: onnx.ModelProto) -> None:
        last = next(node for node in model.graph.node if "logits" in node.output)
        last.output[list(last.output).index("logits")] = "before"
        model.graph.node.append(onnx.helper.make_node("Sub", ["before", "before"], ["none"]))
        model.graph.node.append(onnx.helper.make_node("Div", ["none", "none"], ["logits"]))

    refit(bundle, "model.onnx", change_model(bundle / "model.onnx", divide_by_zero))
    answer = shell("verify", bundle, "--json")
    assert answer.code == 1
    network = next(step for step in answer.json()["steps"] if step["step"] == "network")
    assert (network["difference"], network["passed"]) == (None, False)
