"""Settings that reach ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import onnx
import pytest
from backend_pivots import images, pivot

from edgetl.backends.onnxruntime import OnnxRuntimeBackend, OnnxRuntimeEngine
from edgetl.types import IMAGE_INPUT, Engine, Scheme, Target

if TYPE_CHECKING:
    import onnxruntime

TARGET = Target("cpu", "", "onnxruntime", "any", "none", ("int8", "float32"), Scheme("uint8", False))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    onnx.save_model(pivot("u8s8"), tmp_path / "pivot.onnx")
    (tmp_path / "bundle").mkdir()
    return tmp_path


def options_of(engine: Engine) -> onnxruntime.SessionOptions:
    return cast(OnnxRuntimeEngine, engine)._session.get_session_options()  # type: ignore[union-attr]


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_reach_the_session(folder: Path, threads: int) -> None:
    backend = OnnxRuntimeBackend()
    compiled = backend.compile(folder / "pivot.onnx", TARGET, "int8", folder / "bundle")
    before = running_threads()
    with backend.open(folder / "bundle", compiled, TARGET, threads=threads) as engine:
        engine.infer({IMAGE_INPUT: images(1)})
        assert options_of(engine).intra_op_num_threads == threads
        assert options_of(engine).inter_op_num_threads == 1
        assert running_threads() - before == threads - 1


def test_int8_is_fused_and_float_uses_blocked_convolutions(folder: Path) -> None:
    backend = OnnxRuntimeBackend()
    compiled = backend.compile(folder / "pivot.onnx", TARGET, "int8", folder / "bundle")
    with backend.open(folder / "bundle", compiled, TARGET, threads=1) as engine:
        placement = engine.placement()
    assert placement.summary() == "int8 4"
    assert {operator.device for operator in placement.operators} == {"CPU"}
    assert compiled.facts["graph_optimization_level"] == "all"


def test_a_signed_pivot_is_reported_as_not_integer(tmp_path: Path) -> None:
    """On x86 the runtime computes two of these convolutions in float without a word: the placement tells."""
    onnx.save_model(pivot("s8s8"), tmp_path / "pivot.onnx")
    (tmp_path / "bundle").mkdir()
    backend = OnnxRuntimeBackend()
    compiled = backend.compile(tmp_path / "pivot.onnx", TARGET, "int8", tmp_path / "bundle")
    with backend.open(tmp_path / "bundle", compiled, TARGET, threads=1) as engine:
        names = [operator.name for operator in engine.placement().not_integer()]
    assert len(names) == 2


def running_threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))
