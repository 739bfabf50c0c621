from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgetl.graph.rewrite import merge_pads


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
