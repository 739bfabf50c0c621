"""Settings that reach OpenVINO."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import pytest
from backend_pivots import images, pivot, reference

from edgetl.backends import requirements
from edgetl.backends.openvino import OpenVinoBackend, OpenVinoEngine
from edgetl.errors import BackendError
from edgetl.types import IMAGE_INPUT, OUTPUT_NAME, Compiled, Engine, Precision, Scheme, Target

PRECISIONS: tuple[Precision, ...] = ("int8", "bfloat16", "float32")
TARGET = Target("cpu", "", "openvino", "any", "none", PRECISIONS, Scheme("uint8", False))
BACKEND = OpenVinoBackend()


def compiled_in(folder: Path, precision: Precision) -> Compiled:
    onnx.save_model(pivot("u8s8" if precision == "int8" else "float32"), folder / "pivot.onnx")
    (folder / "bundle").mkdir()
    return BACKEND.compile(folder / "pivot.onnx", TARGET, precision, folder / "bundle")


def setting(engine: Engine, name: str) -> Any:
    return cast(OpenVinoEngine, engine)._compiled.get_property(name)


@pytest.mark.parametrize(("precision", "element"), [("int8", "f32"), ("float32", "f32"), ("bfloat16", "bf16")])
def test_the_precision_is_always_set_never_left_to_the_runtime(
    tmp_path: Path, precision: Precision, element: str
) -> None:
    compiled = compiled_in(tmp_path, precision)
    assert compiled.facts["inference_precision_hint"] == element
    obstacle = BACKEND.cannot_run(TARGET, precision)
    if obstacle:
        pytest.skip(obstacle.reason)
    with BACKEND.open(tmp_path / "bundle", compiled, TARGET, threads=1) as engine:
        assert element in str(setting(engine, "INFERENCE_PRECISION_HINT")).replace("float32", "f32").replace(
            "bfloat16", "bf16"
        )


def test_threads_and_one_stream_reach_the_runtime(tmp_path: Path) -> None:
    compiled = compiled_in(tmp_path, "float32")
    for threads in (1, 2):
        with BACKEND.open(tmp_path / "bundle", compiled, TARGET, threads=threads) as engine:
            assert setting(engine, "INFERENCE_NUM_THREADS") == threads
            assert setting(engine, "NUM_STREAMS") == 1


def test_weights_are_not_rounded_to_16_bits(tmp_path: Path) -> None:
    compiled = compiled_in(tmp_path, "float32")
    batch = images(4, seed=2)
    with BACKEND.open(tmp_path / "bundle", compiled, TARGET, threads=1) as engine:
        logits = np.asarray(engine.infer({IMAGE_INPUT: batch})[OUTPUT_NAME], np.float32)
    assert np.abs(logits - reference(pivot("float32"), batch)).max() < 1e-5


def test_bfloat16_really_runs_in_bfloat16(tmp_path: Path) -> None:
    obstacle = BACKEND.cannot_run(TARGET, "bfloat16")
    if obstacle:
        pytest.skip(obstacle.reason)
    compiled = compiled_in(tmp_path, "bfloat16")
    batch = images(4, seed=2)
    with BACKEND.open(tmp_path / "bundle", compiled, TARGET, threads=1) as engine:
        logits = np.asarray(engine.infer({IMAGE_INPUT: batch})[OUTPUT_NAME], np.float32)
        assert engine.placement().summary() == "bfloat16 4"
    assert 1e-5 < np.abs(logits - reference(pivot("float32"), batch)).max() < 0.05


def test_a_cpu_without_bfloat16_refuses_to_open_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = compiled_in(tmp_path, "bfloat16")
    (tmp_path / "cpuinfo").write_text("flags : avx2\n", "utf-8")
    monkeypatch.setattr(requirements, "CPU_INFO", tmp_path / "cpuinfo")
    assert BACKEND.cannot_run(TARGET) is None
    assert BACKEND.cannot_run(TARGET, "int8") is None
    with (
        pytest.raises(BackendError, match=r"no bfloat16 instructions.*use the float32 or the int8 build"),
        BACKEND.open(tmp_path / "bundle", compiled, TARGET, threads=1),
    ):
        pass


def test_other_model_formats_are_not_even_tried(tmp_path: Path) -> None:
    compiled = compiled_in(tmp_path, "float32")
    onnx.save_model(pivot("float32"), tmp_path / "bundle" / "model.xml")
    with (
        pytest.raises(BackendError, match="not OpenVINO IR"),
        BACKEND.open(tmp_path / "bundle", compiled, TARGET, threads=1),
    ):
        pass


def test_the_graph_file_names_neither_the_machine_nor_the_pivots_place(tmp_path: Path) -> None:
    compiled_in(tmp_path, "int8")
    assert str(tmp_path) not in (tmp_path / "bundle" / "model.xml").read_text(encoding="utf-8")
