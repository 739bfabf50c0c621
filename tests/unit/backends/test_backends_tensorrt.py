"""TensorRT's two steps, over a stand-in for the toolchain and the driver."""

from __future__ import annotations

import ctypes
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from backend_pivots import images, pivot
from fake_nvidia import FakeDriver, FakeTensorRT

from edgetl.backends import requirements
from edgetl.backends.tensorrt import CACHE_FILE, ENGINE_FILE, PIVOT_FILE, TensorRTBackend, check_fingerprint
from edgetl.errors import BackendError, UsageError
from edgetl.types import IMAGE_INPUT, OUTPUT_NAME, Compiled, FinishingBackend, Precision, Scheme, Target

TARGET = Target("gpu", "", "tensorrt", "any", "cuda", ("int8", "float32"), Scheme("int8", True))
BACKEND = TensorRTBackend()
FACTS = {"gpu": "A", "compute_capability": "8.7", "cuda_driver": "12.4", "tensorrt": "10.1.2"}


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> FakeDriver:
    fake = FakeDriver()
    monkeypatch.setattr(ctypes, "CDLL", lambda name: fake)
    return fake


@pytest.fixture(params=[8, 10, 11])
def trt(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, driver: FakeDriver) -> FakeTensorRT:
    fake = FakeTensorRT(request.param)
    monkeypatch.setitem(sys.modules, "tensorrt", fake)
    monkeypatch.setattr(requirements, "missing_module", lambda module, remedy: None)
    return fake


def compiled_in(folder: Path, precision: Precision = "float32", target: Target = TARGET) -> Compiled:
    path = folder / "given.onnx"
    onnx.save_model(pivot("s8s8" if precision == "int8" else "float32"), path)
    out = folder / "bundle"
    out.mkdir()
    return BACKEND.compile(path, target, precision, out)


def test_the_first_step_needs_no_tensorrt_and_leaves_a_bundle_to_finish(tmp_path: Path) -> None:
    compiled = compiled_in(tmp_path)
    assert BACKEND.missing() is None
    assert (compiled.finished, compiled.model, compiled.backend_version) == (False, PIVOT_FILE, "")
    assert (tmp_path / "bundle" / PIVOT_FILE).read_bytes() == (tmp_path / "given.onnx").read_bytes()


def test_an_unfinished_bundle_says_what_to_run(tmp_path: Path) -> None:
    compiled = compiled_in(tmp_path)
    with (
        pytest.raises(BackendError, match="edgetl compile --finish"),
        BACKEND.open(tmp_path / "bundle", compiled, TARGET, threads=1),
    ):
        pass


def test_finishing_keeps_pivot_engine_and_timings_and_records_the_gpu(tmp_path: Path, trt: FakeTensorRT) -> None:
    assert isinstance(BACKEND, FinishingBackend)
    folder = tmp_path / "bundle"
    done = BACKEND.finish(folder, compiled_in(tmp_path), TARGET)
    assert done.finished
    assert sorted(done.files) == sorted(path.name for path in folder.iterdir())
    assert set(done.files) == {PIVOT_FILE, ENGINE_FILE, CACHE_FILE}
    assert done.backend_version == trt.__version__
    expected = {"gpu": "Fake GPU", "compute_capability": "8.7", "cuda_driver": "12.4", "max_batch": "8"}
    assert expected.items() <= done.facts.items()


def test_finishing_again_uses_the_timings(tmp_path: Path, trt: FakeTensorRT) -> None:
    folder = tmp_path / "bundle"
    done = BACKEND.finish(folder, compiled_in(tmp_path), TARGET)
    BACKEND.finish(folder, done, TARGET)
    assert [config.cache for config in trt.created] == [b"", b"+timings"]


def test_timings_of_another_gpu_are_put_aside(tmp_path: Path, trt: FakeTensorRT) -> None:
    compiled = compiled_in(tmp_path)
    (tmp_path / "bundle" / CACHE_FILE).write_bytes(b"other GPU")
    BACKEND.finish(tmp_path / "bundle", compiled, TARGET)
    assert trt.created[0].cache == b""


def test_float32_means_float32_and_types_come_from_the_graph(tmp_path: Path, trt: FakeTensorRT) -> None:
    BACKEND.finish(tmp_path / "bundle", compiled_in(tmp_path), TARGET)
    assert trt.created[0].cleared == ["TF32"]
    assert trt.created[0].set_flags == []
    assert trt.network_flags == [1 if trt.__version__.startswith("8") else 2]


def test_only_tensorrt_8_is_told_about_int8(tmp_path: Path, trt: FakeTensorRT) -> None:
    BACKEND.finish(tmp_path / "bundle", compiled_in(tmp_path, "int8"), TARGET)
    assert trt.created[0].set_flags == (["INT8"] if trt.__version__.startswith("8") else [])


def test_options_reach_the_builder(tmp_path: Path, trt: FakeTensorRT) -> None:
    target = replace(TARGET, options={"max_batch": 3, "workspace_bytes": 1 << 29})
    BACKEND.finish(tmp_path / "bundle", compiled_in(tmp_path, target=target), target)
    assert trt.created[0].pools == {"workspace": 1 << 29}
    assert [shape[0] for shape in trt.created[0].profile.shapes] == [1, 1, 3]


def test_a_refused_build_gives_the_reason_in_one_line_and_writes_nothing(tmp_path: Path, trt: FakeTensorRT) -> None:
    compiled = compiled_in(tmp_path)
    trt.refuses = True
    with pytest.raises(BackendError, match="cannot build it: no kernel fits") as caught:
        BACKEND.finish(tmp_path / "bundle", compiled, TARGET)
    assert "\n" not in str(caught.value)
    assert [path.name for path in (tmp_path / "bundle").iterdir()] == [PIVOT_FILE]


def test_a_refused_model_names_what_the_parser_says(tmp_path: Path, trt: FakeTensorRT) -> None:
    compiled = compiled_in(tmp_path)
    trt.parse_errors = ["node 3: unsupported"]
    with pytest.raises(BackendError, match="cannot read it: node 3: unsupported"):
        BACKEND.finish(tmp_path / "bundle", compiled, TARGET)


def test_an_engine_splits_a_batch_that_is_larger_than_its_profile(tmp_path: Path, trt: FakeTensorRT) -> None:
    batch = images(11)
    folder = tmp_path / "bundle"
    done = BACKEND.finish(folder, compiled_in(tmp_path), TARGET)
    with BACKEND.open(folder, done, TARGET, threads=1) as engine:
        logits = np.asarray(engine.infer({IMAGE_INPUT: batch})[OUTPUT_NAME], np.float32)
        engine.infer({IMAGE_INPUT: batch[:3]})
    np.testing.assert_allclose(logits[:, 0], batch.reshape(11, -1).mean(axis=1), rtol=1e-6)
    assert logits[:, 1].tolist() == [8.0] * 8 + [3.0] * 3
    assert trt.engines[0].contexts[0].shapes == [8, 3]  # set only when it changes


def test_int16_values_reach_an_int32_input_as_they_are(tmp_path: Path, trt: FakeTensorRT) -> None:
    folder = tmp_path / "bundle"
    done = BACKEND.finish(folder, compiled_in(tmp_path), TARGET)
    trt.input_type = "int32"
    batch = images(2).astype(np.int16) - 500
    with BACKEND.open(folder, done, TARGET, threads=1) as engine:
        logits = np.asarray(engine.infer({IMAGE_INPUT: batch})[OUTPUT_NAME], np.float32)
    np.testing.assert_allclose(logits[:, 0], batch.reshape(2, -1).mean(axis=1), rtol=1e-6)


def test_closing_gives_everything_back(tmp_path: Path, trt: FakeTensorRT, driver: FakeDriver) -> None:
    folder = tmp_path / "bundle"
    done = BACKEND.finish(folder, compiled_in(tmp_path), TARGET)
    with BACKEND.open(folder, done, TARGET, threads=1) as engine:
        assert len(driver.memory) == 4
    assert driver.memory == {}
    assert driver.calls.count("cuDevicePrimaryCtxRetain") == driver.calls.count("cuDevicePrimaryCtxRelease_v2")
    assert driver.calls.count("cuStreamCreate") == driver.calls.count("cuStreamDestroy_v2")
    with pytest.raises(BackendError, match="closed"):
        engine.infer({IMAGE_INPUT: images(1)})
    with pytest.raises(BackendError, match="closed"):
        engine.placement()


def test_memory_that_runs_out_while_opening_is_given_back(
    tmp_path: Path, trt: FakeTensorRT, driver: FakeDriver
) -> None:
    folder = tmp_path / "bundle"
    done = BACKEND.finish(folder, compiled_in(tmp_path), TARGET)
    driver.failing = "cuMemAlloc_v2"
    with (
        pytest.raises(BackendError, match="cuMemAlloc_v2 failed: CUDA_ERROR_OUT_OF_MEMORY"),
        BACKEND.open(folder, done, TARGET, threads=1),
    ):
        pass
    assert driver.memory == {}
    assert driver.calls.count("cuDevicePrimaryCtxRetain") == driver.calls.count("cuDevicePrimaryCtxRelease_v2")


def test_the_placement_is_the_inspectors(tmp_path: Path, trt: FakeTensorRT) -> None:
    folder = tmp_path / "bundle"
    done = BACKEND.finish(folder, compiled_in(tmp_path), TARGET)
    with BACKEND.open(folder, done, TARGET, threads=1) as engine:
        (operator,) = engine.placement().operators
    assert (operator.name, operator.kind, operator.precision) == ("conv1", "convolution", "int8")
    assert operator.device == "Fake GPU"


def test_a_damaged_engine_gives_the_runtimes_reason(tmp_path: Path, trt: FakeTensorRT) -> None:
    folder = tmp_path / "bundle"
    done = BACKEND.finish(folder, compiled_in(tmp_path), TARGET)
    (folder / ENGINE_FILE).write_bytes(b"noise")
    with (
        pytest.raises(BackendError, match="rejects the engine: magic tag does not match"),
        BACKEND.open(folder, done, TARGET, threads=1),
    ):
        pass


@pytest.mark.parametrize("devices", [0, -1])
def test_a_driver_without_a_gpu_is_told_apart(driver: FakeDriver, devices: int) -> None:
    driver.devices = devices
    found = requirements.no_cuda_driver()
    assert found is not None
    assert "sees no GPU" in found.reason


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("gpu", "B", r"GPU A \(here B\)"),
        ("compute_capability", "9.0", r"compute capability 8.7 \(here 9.0\)"),
        ("tensorrt", "10.2.0", r"TensorRT 10.1.2 \(here 10.2.0\)"),
        ("cuda_driver", "12.3", r"CUDA driver 12.4 \(here 12.3, older\)"),
    ],
)
def test_an_engine_of_another_machine_is_refused(tmp_path: Path, key: str, value: str, words: str) -> None:
    with pytest.raises(BackendError, match=words + ".*compile --finish"):
        check_fingerprint(FACTS, {**FACTS, key: value}, tmp_path)


@pytest.mark.parametrize("driver_version", ["12.4", "12.10", "13.0"])
def test_the_same_machine_with_the_same_or_a_newer_driver_is_fine(tmp_path: Path, driver_version: str) -> None:
    check_fingerprint(FACTS, {**FACTS, "cuda_driver": driver_version}, tmp_path)


@pytest.mark.parametrize("options", [{"max_batch": 0}, {"max_batch": True}, {"workspace_bytes": "much"}, {"batch": 4}])
def test_impossible_options_are_refused(tmp_path: Path, options: dict[str, int | str | bool]) -> None:
    with pytest.raises(UsageError, match="option"):
        compiled_in(tmp_path, target=replace(TARGET, options=options))
