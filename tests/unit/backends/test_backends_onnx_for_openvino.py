"""What is taken out of a graph before OpenVINO reads it, and that OpenVINO then computes in integers."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from edgetl.backends.onnx_for_openvino import drop_weight_zero_points, join_smooth_activations
from edgetl.backends.sdk import import_openvino

TOKENS, WIDTH = 8, 32


class _Graph:
    """x (1, 8, 32) through operators with Q/DQ pairs; the weights share one constant of zeros, as exported ones do."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: dict[str, NDArray[Any]] = {
            "step": np.array(0.04, np.float32),
            "zero": np.array(120, np.uint8),
            "zeros": np.zeros(WIDTH, np.int8),
        }

    def node(self, kind: str, inputs: list[str], **settings: Any) -> str:
        output = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], output, **settings))
        return output

    def pair(self, name: str) -> str:
        return self.node("DequantizeLinear", [self.node("QuantizeLinear", [name, "step", "zero"]), "step", "zero"])

    def linear(self, name: str) -> str:
        number = len(self.nodes)
        self.tensors[f"w{number}"] = self.rng.integers(-127, 128, (WIDTH, WIDTH)).astype(np.int8)
        self.tensors[f"s{number}"] = self.rng.uniform(0.001, 0.003, WIDTH).astype(np.float32)
        self.tensors[f"b{number}"] = self.rng.normal(0, 0.1, WIDTH).astype(np.float32)
        weight = self.node("DequantizeLinear", [f"w{number}", f"s{number}", "zeros"], axis=0)
        product = self.node("MatMul", [name, self.node("Transpose", [weight])])
        return self.node("Add", [product, f"b{number}"])

    def model(self, answer: str) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes,
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, TOKENS, WIDTH])],
            [helper.make_tensor_value_info(answer, TensorProto.FLOAT, [1, TOKENS, WIDTH])],
            [numpy_helper.from_array(value, name) for name, value in self.tensors.items()],
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def three_layers() -> onnx.ModelProto:
    graph = _Graph()
    x = "x"
    for _ in range(3):
        x = graph.linear(graph.pair(x))
    return graph.model(x)


def activated(kind: str) -> onnx.ModelProto:
    """linear -> pair -> activation -> pair -> linear."""
    graph = _Graph()
    x = graph.pair(graph.linear(graph.pair("x")))
    y = graph.node("Mul", [x, graph.node("Sigmoid", [x])]) if kind == "SiLU" else graph.node(kind, [x])
    return graph.model(graph.linear(graph.pair(y)))


def answer(model: onnx.ModelProto) -> NDArray[Any]:
    values = np.random.default_rng(1).normal(0, 1.5, (1, TOKENS, WIDTH)).astype(np.float32)
    (found,) = ReferenceEvaluator(model).run(None, {"x": values})
    return np.asarray(found)


def precisions(model: onnx.ModelProto) -> list[str]:
    """What OpenVINO's linear layers compute in."""
    openvino = import_openvino()
    core = openvino.Core()
    compiled = core.compile_model(
        core.read_model(model.SerializeToString()), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    infos = [node.get_rt_info() for node in compiled.get_runtime_model().get_ordered_ops()]
    return [
        str(info["runtimePrecision"].astype(str)) for info in infos if info["layerType"].astype(str) == "FullyConnected"
    ]


def test_zero_points_of_weights_go_and_no_value_changes() -> None:
    model = three_layers()
    expected = answer(model)
    assert drop_weight_zero_points(model) == 3
    onnx.checker.check_model(model, full_check=True)
    found = answer(model)
    np.testing.assert_array_equal(found, expected)
    assert "zeros" not in [tensor.name for tensor in model.graph.initializer]


def test_zero_points_that_say_something_stay() -> None:
    model = three_layers()
    place = next(index for index, tensor in enumerate(model.graph.initializer) if tensor.name == "zeros")
    model.graph.initializer[place].CopyFrom(numpy_helper.from_array(np.full(WIDTH, 3, np.int8), "zeros"))
    assert drop_weight_zero_points(model) == 0


def test_layers_that_share_zeros_run_in_integers_on_openvino() -> None:
    model = three_layers()
    drop_weight_zero_points(model)
    assert precisions(model) == ["u8", "u8", "u8"]


@pytest.mark.parametrize("kind", ["SiLU", "Gelu", "HardSwish", "Sigmoid", "Tanh"])
def test_a_smooth_activation_reads_its_layers_exact_result(kind: str) -> None:
    model = activated(kind)
    before = answer(model)
    assert join_smooth_activations(model) == 1
    onnx.checker.check_model(model, full_check=True)
    after = answer(model)
    kinds = [node.op_type for node in model.graph.node]
    assert kinds.count("QuantizeLinear") == 2
    moved = np.abs(after - before)
    assert 0 < moved.max() < 0.15 * np.ptp(before)  # a rounding went, and nothing else


def test_pairs_that_an_integer_operator_reads_stay() -> None:
    model = three_layers()
    assert join_smooth_activations(model) == 0
    graph = _Graph()
    x = graph.pair(graph.linear(graph.pair("x")))
    gated = graph.node("Mul", [graph.node("Sigmoid", [x]), graph.node("Relu", [x])])
    assert join_smooth_activations(graph.model(gated)) == 0


def test_the_result_of_an_activation_is_still_rounded_for_the_layer_behind_it() -> None:
    model = activated("Gelu")
    drop_weight_zero_points(model)
    join_smooth_activations(model)
    assert precisions(model) == ["u8", "u8"]
