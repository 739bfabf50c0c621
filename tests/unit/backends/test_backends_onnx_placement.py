"""Precisions of ONNX operators, followed through the graph."""

from __future__ import annotations

import numpy as np
import onnx
from backend_pivots import pivot
from onnx import TensorProto, helper, numpy_helper

from edgetl.backends.onnx_placement import element_types, operators
from edgetl.types import Placement


def graph(
    nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]]
) -> onnx.ModelProto:
    made = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    source = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    return helper.make_model(helper.make_graph(nodes, "g", [source], [], made))


def test_a_pivots_pairs_count_as_asked_for_only_when_asked() -> None:
    asked = Placement(operators(pivot("u8s8"), "none", as_requested=True))
    assert asked.summary() == "int8 4"
    assert Placement(operators(pivot("u8s8"), "none")).summary() == "float32 4"
    assert Placement(operators(pivot("float32"), "none", as_requested=True)).summary() == "float32 4"


def test_fused_integer_operators_pass_their_type_on() -> None:
    zero, scale = np.array(0, np.int8), np.array(1, np.float32)
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("QLinearConv", ["q", "s", "z", "w", "s", "z", "s", "z"], ["c"]),
        helper.make_node("QLinearConcat", ["s", "z", "c", "s", "z", "q", "s", "z"], ["k"], domain="com.microsoft"),
        helper.make_node("QGemm", ["k", "s", "z", "w", "s", "z"], ["y"], domain="com.microsoft"),
        helper.make_node("Sigmoid", ["y"], ["out"]),
    ]
    found = operators(graph(nodes, {"s": scale, "z": zero, "w": zero}), "CPU")
    assert [(op.kind, op.precision) for op in found] == [
        ("quantize", "float32"),
        ("convolution", "int8"),
        ("concat", "int8"),
        ("linear", "int8"),
        ("sigmoid", "float32"),  # a QGemm without an output scale answers in float
    ]


def test_dynamic_quantization_counts_as_integer() -> None:
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
        helper.make_node("MatMulInteger", ["q", "w"], ["y"]),
    ]
    model = graph(nodes, {"w": np.zeros((1, 1), np.int8)})
    model.graph.value_info.append(helper.make_tensor_value_info("q", TensorProto.UINT8, [1]))
    assert operators(model, "CPU")[1].precision == "uint8"
    assert element_types(model)["y"] == TensorProto.INT32


def test_nodes_without_a_name_go_by_their_output() -> None:
    (found,) = operators(graph([helper.make_node("Relu", ["x"], ["y"])], {}), "CPU")
    assert (found.name, found.kind, found.device) == ("y", "relu", "CPU")
