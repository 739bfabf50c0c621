from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgetl.pivot.rewrite import merge_pads, split_float_biases


def _padded_convolution(*, amounts: list[int], value: float = 0.0, also_read: bool = False) -> onnx.ModelProto:
    """x -> Pad -> Q -> DQ -> Conv 3x3; `also_read` adds a second reader of the padded tensor."""
    rng = np.random.default_rng(0)
    constants = [
        numpy_helper.from_array(np.array(amounts, np.int64), "amounts"),
        numpy_helper.from_array(np.asarray(np.float32(value)), "value"),
        numpy_helper.from_array(np.asarray(np.float32(0.05)), "scale"),
        numpy_helper.from_array(np.asarray(np.uint8(100)), "zero"),
        numpy_helper.from_array(rng.normal(size=(2, 1, 3, 3)).astype(np.float32), "w"),
    ]
    nodes = [
        helper.make_node("Pad", ["x", "amounts", "value"], ["padded"], "pad"),
        helper.make_node("QuantizeLinear", ["padded", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["d"]),
        helper.make_node("Conv", ["d", "w"], ["y"], pads=[0, 0, 0, 0], kernel_shape=[3, 3]),
    ]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    if also_read:
        nodes.append(helper.make_node("Relu", ["padded"], ["z"]))
        outputs.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, None))
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 6, 6])]
    graph = helper.make_graph(nodes, "g", inputs, outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def _run(model: onnx.ModelProto) -> np.ndarray:
    x = np.random.default_rng(1).uniform(-4, 6, size=(1, 1, 6, 6)).astype(np.float32)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    result: np.ndarray = session.run(None, {"x": x})[0]
    return result


def test_asymmetric_padding_moves_into_the_convolution_without_changing_it() -> None:
    model = _padded_convolution(amounts=[0, 0, 0, 1, 0, 0, 2, 1])
    before = _run(model)
    assert merge_pads(model) == 1
    assert [node.op_type for node in model.graph.node] == ["QuantizeLinear", "DequantizeLinear", "Conv"]
    np.testing.assert_allclose(_run(model), before, atol=1e-6)
    assert "amounts" not in {tensor.name for tensor in model.graph.initializer}


@pytest.mark.parametrize(
    ("amounts", "value", "also_read"),
    [
        ([0, 0, 1, 1, 0, 0, 1, 1], 0.5, False),
        ([0, 1, 0, 0, 0, 0, 0, 0], 0.0, False),
        ([0, 0, -1, 0, 0, 0, 0, 0], 0.0, False),
        ([0, 0, 1, 1, 0, 0, 1, 1], 0.0, True),
    ],
    ids=["padding with another value", "padding channels", "cropping", "read by something else too"],
)
def test_other_padding_stays(amounts: list[int], value: float, also_read: bool) -> None:
    model = _padded_convolution(amounts=amounts, value=value, also_read=also_read)
    assert merge_pads(model) == 0
    assert model.graph.node[0].op_type == "Pad"


def _linear(*, quantized_input: bool, quantized_output: bool) -> onnx.ModelProto:
    constants = [
        numpy_helper.from_array(np.asarray(0.05, np.float32), "scale"),
        numpy_helper.from_array(np.asarray(100, np.uint8), "zero"),
        numpy_helper.from_array(np.asarray(0, np.int8), "none"),
        numpy_helper.from_array(np.array([[1, -2], [3, 4], [5, 6]], np.int8), "q_weights"),
        numpy_helper.from_array(np.array([1, 2, 3], np.float32), "bias"),
    ]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["d"]),
        helper.make_node("DequantizeLinear", ["q_weights", "scale", "none"], ["w"]),
        helper.make_node("Gemm", ["d" if quantized_input else "x", "w", "bias"], ["y"], "gemm", transB=1),
        helper.make_node("Relu", ["y"], ["z"]),
    ]
    if quantized_output:
        nodes.append(helper.make_node("QuantizeLinear", ["z", "scale", "zero"], ["out"]))
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 2])],
        [helper.make_tensor_value_info("out" if quantized_output else "z", TensorProto.UNDEFINED, None)],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    return onnx.shape_inference.infer_shapes(model)


def test_the_bias_of_the_last_linear_layer_gets_a_node_of_its_own() -> None:
    model = _linear(quantized_input=True, quantized_output=False)
    x = {"x": np.array([[1.0, -2.0], [0.3, 4.0]], np.float32)}
    before = onnxruntime.InferenceSession(model.SerializeToString()).run(None, x)[0]
    assert split_float_biases(model) == 1
    gemm = next(node for node in model.graph.node if node.op_type == "Gemm")
    assert list(gemm.input) == ["d", "w"]
    onnx.checker.check_model(model)
    np.testing.assert_allclose(
        onnxruntime.InferenceSession(model.SerializeToString()).run(None, x)[0], before, rtol=1e-6
    )


@pytest.mark.parametrize(("quantized_input", "quantized_output"), [(False, False), (True, True)])
def test_other_linear_layers_keep_their_bias(quantized_input: bool, quantized_output: bool) -> None:
    model = _linear(quantized_input=quantized_input, quantized_output=quantized_output)
    assert split_float_biases(model) == 0
