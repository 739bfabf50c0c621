"""Multiply-accumulates counted from an ONNX graph."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

from edgetl.pivot.macs import count_macs


def _model() -> ModelProto:
    """3x3 convolution 4 -> 8 in 2 groups with stride 2 on 10x10, mean, 8 -> 5 linear, with a symbolic batch."""
    constants = [
        numpy_helper.from_array(np.zeros((8, 2, 3, 3), np.float32), "kernel"),
        numpy_helper.from_array(np.zeros((5, 8), np.float32), "matrix"),
    ]
    nodes = [
        helper.make_node("Conv", ["x", "kernel"], ["c"], group=2, strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("GlobalAveragePool", ["c"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "matrix"], ["y"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4, 10, 10])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 5])],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])


def test_macs_of_one_image_are_counted_by_hand() -> None:
    assert count_macs(_model()) == 5 * 5 * 8 * (2 * 3 * 3) + 8 * 5


def test_counting_leaves_the_model_as_it_was() -> None:
    model = _model()
    before = model.SerializeToString()
    count_macs(model)
    assert model.SerializeToString() == before
