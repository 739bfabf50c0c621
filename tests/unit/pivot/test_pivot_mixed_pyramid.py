"""Layers around the upsampling of a feature pyramid, in float and in integers."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgetl.pivot.mixed import float_layers, layers, quantize_only


def pyramid() -> onnx.ModelProto:
    """image (N, 8, 8, 3) -> convolution `coarse` -> twice as large -> convolution `fine`, all between Q/DQ pairs."""
    generator = np.random.default_rng(0)
    constants: dict[str, np.ndarray] = {
        "step": np.array(1 / 255, np.float32),
        "wide": np.array(4 / 255, np.float32),
        "zero": np.array(0, np.uint8),
        "twice": np.array([1, 1, 2, 2], np.float32),
    }
    nodes = [
        helper.make_node("Transpose", ["image"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("DequantizeLinear", ["planes", "step", "zero"], ["x"]),
        *_convolution("coarse", "x", "a", (4, 3, 1, 1), constants, generator),
        *_pair("a", "wide"),
        helper.make_node("Resize", ["a_dq", "", "twice"], ["b"], mode="nearest", nearest_mode="floor"),
        *_pair("b", "wide"),
        *_convolution("fine", "b_dq", "y", (2, 4, 1, 1), constants, generator),
    ]
    graph = helper.make_graph(
        nodes,
        "pyramid",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", 8, 8, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2, 16, 16])],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(model)
    return model


def _convolution(
    name: str,
    source: str,
    result: str,
    shape: tuple[int, ...],
    constants: dict[str, np.ndarray],
    generator: np.random.Generator,
) -> list[onnx.NodeProto]:
    constants[f"{name}.weight.q"] = generator.integers(-60, 61, shape).astype(np.int8)
    constants[f"{name}.weight.scale"] = np.full(shape[0], 0.01, np.float32)
    constants[f"{name}.weight.zero"] = np.zeros(shape[0], np.int8)
    stored = [f"{name}.weight.{part}" for part in ("q", "scale", "zero")]
    return [
        helper.make_node("DequantizeLinear", stored, [f"{name}.weight.dq"], axis=0),
        helper.make_node("Conv", [source, f"{name}.weight.dq"], [result]),
    ]


def _pair(name: str, scale: str) -> list[onnx.NodeProto]:
    return [
        helper.make_node("QuantizeLinear", [name, scale, "zero"], [f"{name}_q"]),
        helper.make_node("DequantizeLinear", [f"{name}_q", scale, "zero"], [f"{name}_dq"]),
    ]


def rounded(model: onnx.ModelProto) -> int:
    return Counter(node.op_type for node in model.graph.node)["QuantizeLinear"]


def outputs(model: onnx.ModelProto) -> np.ndarray:
    image = np.random.default_rng(1).integers(0, 256, (1, 8, 8, 3)).astype(np.uint8)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    return np.asarray(session.run(None, {"image": image})[0])


def test_the_layer_after_an_upsampling_takes_its_rounding_with_it_and_the_layer_before_keeps_none() -> None:
    model = pyramid()
    assert [layer.name for layer in layers(model)] == ["coarse", "fine"]
    fine = float_layers(model, ("fine",))
    assert [layer.name for layer in layers(fine)] == ["coarse"]
    # what only `fine` reads, through the upsampling, is no longer rounded
    assert rounded(fine) == 0
    np.testing.assert_allclose(outputs(fine), outputs(float_layers(model, ("coarse", "fine"))), atol=1e-6)


def test_the_layer_before_an_upsampling_still_writes_what_the_layer_after_it_reads() -> None:
    model = pyramid()
    coarse = float_layers(model, ("coarse",))
    assert [layer.name for layer in layers(coarse)] == ["fine"]
    assert rounded(coarse) == 2
    np.testing.assert_allclose(outputs(coarse), outputs(model), atol=1e-6)  # its integers, dequantized


@pytest.mark.parametrize(("name", "pairs"), [("coarse", 0), ("fine", 1)])
def test_alone_in_integers_each_has_its_own_rounding(name: str, pairs: int) -> None:
    alone = quantize_only(pyramid(), (name,))
    assert rounded(alone) == pairs
