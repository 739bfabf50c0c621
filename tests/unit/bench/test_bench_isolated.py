from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgetl.backends.fresh_process import Interrupted, Limits, cold_start
from edgetl.errors import BackendError
from edgetl.types import Compiled, Scheme, Target

IMAGE = np.zeros((8, 8, 3), np.uint8)
TARGET = Target(
    "null", "", "null", "any", "none", ("float32",), Scheme(activation_dtype="uint8", activation_symmetric=False)
)
COMPILED = Compiled("null", "1", "float32", "model.onnx", ("model.onnx",))


def answers(*texts: str, status: int = 0, stderr: str = "") -> Any:
    left = list(texts)

    def run(command: list[str], **kwargs: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, status, left.pop(0), stderr)

    return run


def line(milliseconds: float, peak: int) -> str:
    return f'{{"cold_start_ms": {milliseconds}, "peak_rss_bytes": {peak}, "baseline_rss_bytes": 7}}\n'


def test_the_median_of_three_fresh_processes_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(subprocess, "run", answers(line(50, 300), line(900, 100), line(60, 200)))
    found = cold_start(tmp_path, COMPILED, TARGET, IMAGE, threads=1)
    assert (found.cold_start_ms, found.peak_rss_bytes, found.baseline_rss_bytes, found.repeats) == (60, 200, 7, 3)


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (answers('{"error": "no kernel"}'), "null float32: fresh process: no kernel"),
        (answers("hello"), "wrote 'hello'; expected one JSON line"),
        (answers("{}"), "expected one JSON line"),
        (answers("", status=-11, stderr="Segmentation\nfault"), "ended with status -11: Segmentation fault"),
    ],
)
def test_a_process_that_fails_is_one_clear_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, run: Any, message: str
) -> None:
    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(BackendError, match=message):
        cold_start(tmp_path, COMPILED, TARGET, IMAGE, threads=1)


def test_a_process_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def run(command: list[str], **kwargs: Any) -> None:
        raise subprocess.TimeoutExpired(command, kwargs["timeout"])

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(Interrupted, match="did not finish within 5 s"):
        cold_start(tmp_path, COMPILED, TARGET, IMAGE, threads=1, limits=Limits(5))


def test_a_process_that_is_killed_is_no_fault_of_the_build(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(subprocess, "run", answers("", status=-9))
    with pytest.raises(Interrupted, match="was killed, possibly because memory ran out"):
        cold_start(tmp_path, COMPILED, TARGET, IMAGE, threads=1)
    monkeypatch.setattr(subprocess, "run", answers("", status=-11))
    with pytest.raises(BackendError) as caught:
        cold_start(tmp_path, COMPILED, TARGET, IMAGE, threads=1)
    assert not isinstance(caught.value, Interrupted)


def test_a_real_process_reports_what_opening_costs(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Cast", ["image"], ["cast"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["cast", "axes"], ["logits"], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "color",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", 8, 8, 3])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3])],
        [numpy_helper.from_array(np.array([1, 2]), "axes")],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), tmp_path / "model.onnx"
    )
    compiled = replace(COMPILED, backend="onnxruntime")
    found = cold_start(tmp_path, compiled, replace(TARGET, backend="onnxruntime"), IMAGE, threads=1, repeats=1)
    assert 1 < found.cold_start_ms < 60_000
    assert found.baseline_rss_bytes > 5_000_000
    assert 1_000_000 < found.peak_rss_bytes < 1_000_000_000


def test_an_error_in_a_real_process_arrives_here(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match=r"null float32: fresh process: .*model\.onnx"):
        cold_start(tmp_path, COMPILED, TARGET, IMAGE, threads=1, repeats=1)


def test_the_child_does_not_import_torch() -> None:
    loaded = "edgetl.backends.fresh_process, edgetl.bench.measure_builds, edgetl.bench.gates"
    code = f"import sys, {loaded}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
