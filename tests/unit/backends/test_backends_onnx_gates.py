"""Sigmoids, their products and global means get ONNX Runtime's integer kernels, and the values stay."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from edgetl.backends.onnx_gates import use_integer_gates
from edgetl.backends.sdk import import_onnxruntime

CHANNELS, SIZE = 16, 6
_PAIRS = {"x": (0.05, 100), "a": (0.03, 9), "m": (0.02, 0), "y": (0.015, 20)}


def gated(*, signed: bool = False, keepdims: int = 1) -> onnx.ModelProto:
    """x -> pair -> x * sigmoid(x) -> pair -> a; mean of a -> pair -> sigmoid; times a -> pair -> `answer`."""
    nodes: list[onnx.NodeProto] = []
    tensors: dict[str, NDArray[Any]] = {"axes": np.array([-1, -2], np.int64)}

    def pair(name: str) -> str:
        scale, zero_point = _PAIRS[name]
        whole = np.array(zero_point - 128, np.int8) if signed else np.array(zero_point, np.uint8)
        tensors.update({f"{name}_scale": np.array(scale, np.float32), f"{name}_zero": whole})
        settings = [f"{name}_scale", f"{name}_zero"]
        nodes.append(helper.make_node("QuantizeLinear", [name, *settings], [f"{name}_whole"]))
        nodes.append(helper.make_node("DequantizeLinear", [f"{name}_whole", *settings], [f"{name}_real"]))
        return f"{name}_real"

    x = pair("x")
    nodes.append(helper.make_node("Sigmoid", [x], ["s"]))
    nodes.append(helper.make_node("Mul", [x, "s"], ["a"]))
    a = pair("a")
    nodes.append(helper.make_node("ReduceMean", [a, "axes"], ["m"], keepdims=keepdims))
    m = pair("m")
    if keepdims:
        nodes.append(helper.make_node("Sigmoid", [m], ["gate"]))
        nodes.append(helper.make_node("Mul", [a, "gate"], ["y"]))
        answer, rank = pair("y"), 4
    else:
        answer, rank = m, 2
    graph = helper.make_graph(
        nodes,
        "gated",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", CHANNELS, SIZE, SIZE])],
        [helper.make_tensor_value_info(answer, TensorProto.FLOAT, [None] * rank)],
        [numpy_helper.from_array(value, name) for name, value in tensors.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def answers(model: onnx.ModelProto) -> list[NDArray[Any]]:
    """What the outputs are on three drawn inputs."""
    values = np.random.default_rng(0).normal(1, 2, (3, CHANNELS, SIZE, SIZE)).astype(np.float32)
    return [np.asarray(each) for each in ReferenceEvaluator(model).run(None, {"x": values})]


def optimized(model: onnx.ModelProto, folder: Path) -> Counter[str]:
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(folder / "optimized.onnx")
    options.log_severity_level = 4
    onnxruntime.InferenceSession(model.SerializeToString(), options)
    return Counter(node.op_type for node in onnx.load(folder / "optimized.onnx").graph.node)


def test_silu_gates_and_their_means_run_in_integers(tmp_path: Path) -> None:
    model = gated()
    before = optimized(model, tmp_path)
    assert before["Sigmoid"] == 2
    assert before["ReduceMean"] == 1
    assert use_integer_gates(model) == 3
    onnx.checker.check_model(model, full_check=True)
    after = optimized(model, tmp_path)
    assert (after["QLinearSigmoid"], after["QLinearMul"], after["QLinearGlobalAveragePool"]) == (2, 2, 1)
    assert (after["QuantizeLinear"], after["DequantizeLinear"]) == (1, 1)  # of the input and of the answer


def test_the_values_stay_within_what_rounding_a_sigmoid_moves() -> None:
    model = gated()
    (expected,) = answers(model)
    use_integer_gates(model)
    (found,) = answers(model)
    # half a step of 1/255 of both sigmoids, times the largest factor, and the three roundings that this can tip over
    largest = 0.05 * 155
    allowed = 2 * largest * 0.5 / 255 + _PAIRS["a"][0] + _PAIRS["m"][0] * 0.25 * largest + _PAIRS["y"][0]
    assert np.abs(found - expected).max() <= allowed
    assert np.abs(found - expected).mean() < _PAIRS["y"][0]


def test_a_second_run_finds_nothing_left_to_do() -> None:
    model = gated()
    use_integer_gates(model)
    once = model.SerializeToString(deterministic=True)
    assert use_integer_gates(model) == 0
    assert model.SerializeToString(deterministic=True) == once


@pytest.mark.parametrize("model", [gated(signed=True), gated(keepdims=0)], ids=["signed", "mean that drops axes"])
def test_means_without_an_integer_kernel_stay_as_they_are(model: onnx.ModelProto) -> None:
    use_integer_gates(model)
    assert "ReduceMean" in [node.op_type for node in model.graph.node]


def test_a_sigmoid_that_something_else_reads_as_well_stays_exact() -> None:
    model = gated()
    model.graph.output.append(helper.make_tensor_value_info("s", TensorProto.FLOAT, [None] * 4))
    _, exact = answers(model)
    assert use_integer_gates(model) == 2
    _, found = answers(model)
    np.testing.assert_array_equal(found, exact)
