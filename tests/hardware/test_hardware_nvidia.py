"""Both NVIDIA toolchains on a real GPU: built, run, compared with the ONNX reference, timed for sanity."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from backend_pivots import Flavour, images, one_step, pivot, reference

from edgetl.backends.base import cannot_use, load
from edgetl.backends.cuda_driver import Gpu
from edgetl.errors import BackendError
from edgetl.pivot.half import to_float16
from edgetl.recipes.targets import load_target
from edgetl.types import IMAGE_INPUT, OUTPUT_NAME, Backend, Compiled, Engine, FinishingBackend, Precision, Target

pytestmark = pytest.mark.hardware("cuda")

FLAVOURS: dict[Precision, Flavour] = {"float32": "float32", "float16": "float32", "int8": "s8s8"}


@dataclass(frozen=True)
class Built:
    backend: Backend
    target: Target
    compiled: Compiled
    folder: Path
    flavour: Flavour

    @contextmanager
    def open(self) -> Iterator[Engine]:
        with self.backend.open(self.folder, self.compiled, self.target, threads=1) as engine:
            yield engine


@pytest.fixture(
    scope="module",
    params=[(name, precision) for name in ("nvidia-gpu", "nvidia-rtx") for precision in FLAVOURS],
    ids="-".join,
)
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Built:
    name, precision = request.param
    target = load_target(name)
    backend = load(target.backend)
    obstacle = cannot_use(target, precision)
    if obstacle:
        pytest.skip(f"{backend.name}: {obstacle.reason}; {obstacle.remedy}")
    folder = tmp_path_factory.mktemp(name)
    skip_where_no_plan_fits(name)
    path = tmp_path_factory.mktemp("pivot") / "pivot.onnx"
    model = pivot(FLAVOURS[precision])
    onnx.save_model(to_float16(model) if precision == "float16" else model, path)
    compiled = backend.compile(path, target, precision, folder)
    if isinstance(backend, FinishingBackend):
        compiled = backend.finish(folder, compiled, target)
    assert compiled.finished
    return Built(backend, target, compiled, folder, FLAVOURS[precision])


def skip_where_no_plan_fits(name: str) -> None:
    """TensorRT for RTX builds for some GPU generations only: not for 9.0, for example."""
    if name != "nvidia-rtx":
        return
    import tensorrt_rtx as trt

    gpu = Gpu()
    here = gpu.facts().compute_capability
    gpu.close()
    if not hasattr(trt.ComputeCapability, f"SM{here.replace('.', '')}"):
        pytest.skip(f"TensorRT for RTX {trt.__version__} does not build for compute capability {here}")


@pytest.mark.parametrize("count", [1, 3, 8, 20])
def test_the_gpu_computes_the_pivots_function(built: Built, count: int) -> None:
    batch = images(count, seed=3)
    with built.open() as engine:
        logits = np.asarray(engine.infer({IMAGE_INPUT: batch})[OUTPUT_NAME], np.float32)
    expected = reference(pivot(built.flavour), batch)
    # float32 without TF32 differs by the order of the sums only, float16 has 11 bits
    rounding = {"float32": 1e-3, "float16": 1e-2 * float(np.abs(expected).max())}
    tolerance = rounding.get(built.compiled.precision, 2 * one_step("s8s8"))
    assert np.abs(logits - expected).max() <= tolerance
    assert (logits.argmax(axis=1) == expected.argmax(axis=1)).all()


def test_the_inspector_lists_operators_with_known_precisions(built: Built) -> None:
    with built.open() as engine:
        engine.infer({IMAGE_INPUT: images(1)})
        placement = engine.placement()
    assert placement.operators
    if placement.compute() and built.compiled.precision == "int8":
        assert placement.not_integer() == ()
    if placement.compute() and built.compiled.precision != "int8":
        assert {operator.precision for operator in placement.compute()} == {built.compiled.precision}


def test_one_image_takes_less_than_ten_milliseconds(built: Built) -> None:
    batch = {IMAGE_INPUT: images(1)}
    with built.open() as engine:
        for _ in range(20):
            engine.infer(batch)
        times_ms = []
        for _ in range(100):
            start = time.perf_counter()
            engine.infer(batch)
            times_ms.append((time.perf_counter() - start) * 1000)
    assert 0.005 < float(np.median(times_ms)) < 10


def test_many_engines_one_after_another_leave_no_memory_behind(built: Built) -> None:
    for _ in range(5):
        with built.open() as engine:
            engine.infer({IMAGE_INPUT: images(2)})


def test_a_damaged_plan_is_refused_and_the_process_lives_on(built: Built, tmp_path: Path) -> None:
    content = (built.folder / built.compiled.model).read_bytes()
    for name, damaged in (("half", content[: len(content) // 2]), ("noise", b"\x00" * 4096)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / built.compiled.model).write_bytes(damaged)
        with (
            pytest.raises(BackendError, match="rejects the engine"),
            built.backend.open(folder, built.compiled, built.target, threads=1),
        ):
            pass
    with built.open() as engine:
        engine.infer({IMAGE_INPUT: images(1)})
