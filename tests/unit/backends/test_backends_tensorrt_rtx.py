"""TensorRT for RTX: really compiled where the toolchain is installed; opened over a stand-in for driver and runtime."""

from __future__ import annotations

import ctypes
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from backend_pivots import Flavour, images, pivot
from fake_nvidia import FakeDriver, FakeTensorRT
from onnx import TensorProto, helper

from edgetl.backends import requirements
from edgetl.backends.tensorrt_rtx import MODEL_FILE, TensorRTRTXBackend
from edgetl.errors import BackendError, UsageError
from edgetl.pivot.attach_audio import attach_audio
from edgetl.pivot.half import to_float16
from edgetl.types import (
    IMAGE_INPUT,
    OUTPUT_NAME,
    AudioPreprocessing,
    Compiled,
    FinishingBackend,
    Mel,
    Precision,
    Scheme,
    Target,
)

TARGET = Target("rtx", "", "tensorrt_rtx", "any", "cuda", ("int8", "float32"), Scheme("int8", True))
BACKEND = TensorRTRTXBackend()
COMPILED = Compiled("tensorrt_rtx", "1.7.1", "float32", MODEL_FILE, (MODEL_FILE,), facts={"tensorrt_rtx": "1.7.1"})


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> FakeDriver:
    fake = FakeDriver()
    monkeypatch.setattr(ctypes, "CDLL", lambda name: fake)
    return fake


@pytest.fixture
def trt(monkeypatch: pytest.MonkeyPatch, driver: FakeDriver) -> FakeTensorRT:
    fake = FakeTensorRT(11)
    fake.__version__ = "1.7.9"
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", fake)
    monkeypatch.setattr(requirements, "missing_module", lambda module, remedy: None)
    return fake


def need_the_toolchain() -> None:
    missing = BACKEND.missing()
    if missing:
        pytest.skip(f"{missing.reason}; {missing.remedy}")


def really_compiled(folder: Path, precision: Precision, flavour: Flavour, target: Target = TARGET) -> Compiled:
    need_the_toolchain()
    onnx.save_model(pivot(flavour), folder / "pivot.onnx")
    (folder / "bundle").mkdir()
    return BACKEND.compile(folder / "pivot.onnx", target, precision, folder / "bundle")


def test_a_plan_is_complete_without_a_gpu(tmp_path: Path) -> None:
    compiled = really_compiled(tmp_path, "int8", "s8s8")
    assert compiled.finished
    assert not isinstance(BACKEND, FinishingBackend)
    assert (tmp_path / "bundle" / MODEL_FILE).stat().st_size > 10_000
    assert compiled.facts["compute_capabilities"] == "library default"
    assert compiled.facts["tf32"] == "off"


def test_a_float16_build_is_smaller_than_the_float32_one(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    really_compiled(tmp_path / "whole", "float32", "float32")
    model = to_float16(pivot("float32"))
    onnx.save_model(model, tmp_path / "pivot.onnx")
    (tmp_path / "bundle").mkdir()
    compiled = BACKEND.compile(tmp_path / "pivot.onnx", TARGET, "float16", tmp_path / "bundle")
    assert compiled.precision == "float16"
    sizes = [(folder / "bundle" / MODEL_FILE).stat().st_size for folder in (tmp_path, tmp_path / "whole")]
    assert sizes[0] < sizes[1]


@pytest.mark.parametrize(("precision", "found"), [("float16", "float32"), ("float32", "float16")])
def test_a_pivot_of_the_other_float_is_refused(precision: Precision, found: str, tmp_path: Path) -> None:
    need_the_toolchain()
    model = pivot("float32") if found == "float32" else to_float16(pivot("float32"))
    onnx.save_model(model, tmp_path / "pivot.onnx")
    with pytest.raises(BackendError, match=f"a {precision} build takes .* {precision} weights; this one has {found}"):
        BACKEND.compile(tmp_path / "pivot.onnx", TARGET, precision, tmp_path)


def test_compute_capabilities_are_the_targets(tmp_path: Path) -> None:
    target = replace(TARGET, options={"compute_capabilities": "8.6, 8.9", "max_batch": 2})
    compiled = really_compiled(tmp_path, "int8", "s8s8", target)
    assert compiled.facts["compute_capabilities"] == "8.6, 8.9"
    assert compiled.facts["max_batch"] == "2"


def test_a_compute_capability_that_it_does_not_build_for_is_refused(tmp_path: Path) -> None:
    target = replace(TARGET, options={"compute_capabilities": "9.0"})
    with pytest.raises(UsageError, match=r"`9.0` is not one .*valid are: 7.5, 8.0"):
        really_compiled(tmp_path, "int8", "s8s8", target)


def test_unsigned_activations_are_refused_before_the_toolchain_sees_them(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="only to int8; found uint8"):
        really_compiled(tmp_path, "int8", "u8s8")


def test_the_real_parser_takes_what_the_rules_let_through(tmp_path: Path) -> None:
    really_compiled(tmp_path, "float32", "float32")
    assert (tmp_path / "bundle" / MODEL_FILE).is_file()


def test_int16_samples_become_int32_which_it_has(tmp_path: Path) -> None:
    need_the_toolchain()
    mel = Mel(400, 160, 512, 5, 60.0, 3800.0, triangles="slaney", spectrum="power", log="dB", floor=1e-9,
              below_loudest=80.0)  # fmt: skip
    shape: list[str | int | None] = ["batch", 1, mel.frames(4000), 5]
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("input", OUTPUT_NAME)]
    graph = helper.make_graph([helper.make_node("Relu", ["input"], [OUTPUT_NAME])], "g", ports[:1], ports[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    heard = attach_audio(model, AudioPreprocessing(16000, 16000, 4000, mel), ["a"])
    onnx.save_model(heard, tmp_path / "pivot.onnx")
    BACKEND.compile(tmp_path / "pivot.onnx", TARGET, "float32", tmp_path)
    assert (tmp_path / MODEL_FILE).stat().st_size > 100_000


def test_opening_runs_with_kernels_made_for_the_shape_at_once(tmp_path: Path, trt: FakeTensorRT) -> None:
    (tmp_path / MODEL_FILE).write_bytes(b"plan:4")
    batch = images(5)
    with BACKEND.open(tmp_path, COMPILED, TARGET, threads=1) as engine:
        logits = np.asarray(engine.infer({IMAGE_INPUT: batch})[OUTPUT_NAME], np.float32)
    np.testing.assert_allclose(logits[:, 0], batch.reshape(5, -1).mean(axis=1), rtol=1e-6)
    assert trt.engines[0].contexts[0].shapes == [4, 1]


def test_another_minor_version_says_what_to_install(tmp_path: Path, trt: FakeTensorRT) -> None:
    (tmp_path / MODEL_FILE).write_bytes(b"plan:4")
    trt.__version__ = "1.8.0"
    with (
        pytest.raises(BackendError, match=r"built by TensorRT for RTX 1.7.1; 1.8.0 is installed.*tensorrt_rtx==1.7.1"),
        BACKEND.open(tmp_path, COMPILED, TARGET, threads=1),
    ):
        pass


def test_without_a_driver_the_runtime_is_never_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "missing_module", lambda module, remedy: None)
    monkeypatch.setattr(requirements, "CUDA_DRIVER", "libno-such-driver.so.1")
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", None)  # importing it now would raise ImportError
    (tmp_path / MODEL_FILE).write_bytes(b"plan:4")
    with (
        pytest.raises(BackendError, match=r"no NVIDIA driver: libno-such-driver.so.1"),
        BACKEND.open(tmp_path, COMPILED, TARGET, threads=1),
    ):
        pass
