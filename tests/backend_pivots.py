"""Small pivots for the backend tests: what the exporter writes, at 32 x 32 pixels and 5 classes.

uint8 NHWC `image` -> preprocessing -> conv, relu, conv, relu, conv, residual add, relu, global pool, gemm -> `logits`.
Weights are drawn by a seed; the Q/DQ flavours take their ranges from the float network on the same images.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

SIZE, CLASSES, CHANNELS = 32, 5, 16
Flavour = Literal["float32", "u8s8", "s8s8"]

_QUANTIZED = ("x", "r1", "r2", "c3", "r3", "flat")
_CONVS = (("conv1", "x", "c1"), ("conv2", "r1", "c2"), ("conv3", "r2", "c3"))


@dataclass(frozen=True)
class Range:
    scale: np.float32
    zero_point: int


@cache
def pivot(flavour: Flavour) -> onnx.ModelProto:
    """A valid pivot. Callers that change it take a copy first."""
    return _model(flavour)


def images(count: int, seed: int = 0) -> NDArray[np.uint8]:
    """Smooth uint8 (count, 32, 32, 3) pictures: noise alone gives every image the same logits."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(0, 255, (count, 4, 4, 3))
    picture = np.kron(coarse, np.ones((1, 8, 8, 1))) + rng.normal(0, 8, (count, SIZE, SIZE, 3))
    return np.clip(picture, 0, 255).astype(np.uint8)


def reference(model: onnx.ModelProto, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Logits from the ONNX project's own evaluator."""
    (logits,) = ReferenceEvaluator(model).run(["logits"], {"image": batch})
    return np.asarray(logits, np.float32)


def one_step(flavour: Flavour) -> float:
    """How far one quantization step in every input of the last layer can move a logit."""
    weights = _weights()["gemm.weight"]
    return float(_ranges(flavour)["flat"].scale * np.abs(weights).sum(axis=1).max())


@cache
def _weights() -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng(7)

    def normal(*shape: int) -> NDArray[np.float32]:
        fan_in = int(np.prod(shape[1:]))
        return (rng.normal(0, np.sqrt(2 / fan_in), shape)).astype(np.float32)

    return {
        "conv1.weight": normal(CHANNELS, 3, 3, 3),
        "conv2.weight": normal(CHANNELS, CHANNELS, 3, 3),
        "conv3.weight": normal(CHANNELS, CHANNELS, 3, 3),
        "gemm.weight": normal(CLASSES, CHANNELS),
        "conv1.bias": rng.normal(0, 0.1, CHANNELS).astype(np.float32),
        "conv2.bias": rng.normal(0, 0.1, CHANNELS).astype(np.float32),
        "conv3.bias": rng.normal(0, 0.1, CHANNELS).astype(np.float32),
        "gemm.bias": rng.normal(0, 0.1, CLASSES).astype(np.float32),
    }


@cache
def _ranges(flavour: Flavour) -> dict[str, Range]:
    exposed = onnx.ModelProto()
    exposed.CopyFrom(pivot("float32"))
    exposed.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in _QUANTIZED)
    values = ReferenceEvaluator(exposed).run(list(_QUANTIZED), {"image": images(8)})
    return {name: _range(np.asarray(value), flavour) for name, value in zip(_QUANTIZED, values, strict=True)}


def _range(values: NDArray[np.float32], flavour: Flavour) -> Range:
    if flavour == "s8s8":
        return Range(np.float32(np.abs(values).max() / 127), 0)
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    scale = (high - low) / 255
    return Range(np.float32(scale), round(-low / scale))


class _Graph:
    def __init__(self, flavour: Flavour) -> None:
        self.flavour = flavour
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def node(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(op, inputs, [output], f"node_{output}", **attributes))
        return output

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        self.initializers.append(numpy_helper.from_array(value, name))
        return name

    def activation(self, name: str) -> str:
        """`name`, through a Q/DQ pair where the flavour has one."""
        if self.flavour == "float32":
            return name
        dequantized = f"{name}.dq"
        if any(node.output[0] == dequantized for node in self.nodes):
            return dequantized
        found = _ranges(self.flavour)[name]
        dtype = np.uint8 if self.flavour == "u8s8" else np.int8
        scale = self.constant(f"{name}.scale", np.array(found.scale, np.float32))
        zero = self.constant(f"{name}.zero", np.array(found.zero_point, dtype))
        self.node("QuantizeLinear", [name, scale, zero], f"{name}.q")
        return self.node("DequantizeLinear", [f"{name}.q", scale, zero], dequantized)

    def weight(self, name: str) -> str:
        value = _weights()[name]
        if self.flavour == "float32":
            return self.constant(name, value)
        per_channel = np.abs(value.reshape(len(value), -1)).max(axis=1) / 127
        shaped = per_channel.reshape(-1, *([1] * (value.ndim - 1)))
        whole = np.clip(np.rint(value / shaped), -127, 127).astype(np.int8)
        inputs = [
            self.constant(f"{name}.q", whole),
            self.constant(f"{name}.scale", per_channel.astype(np.float32)),
            self.constant(f"{name}.zero", np.zeros(len(value), np.int8)),
        ]
        return self.node("DequantizeLinear", inputs, f"{name}.dq", axis=0)

    def conv(self, name: str, source: str, output: str) -> str:
        inputs = [
            self.activation(source),
            self.weight(f"{name}.weight"),
            self.constant(f"{name}.bias", _weights()[f"{name}.bias"]),
        ]
        strides = [2, 2] if name == "conv1" else [1, 1]
        return self.node("Conv", inputs, output, kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=strides)


def _planes(per_channel: NDArray[np.float64]) -> NDArray[np.float32]:
    return per_channel.astype(np.float32).reshape(1, 3, 1, 1)


def _model(flavour: Flavour) -> onnx.ModelProto:
    graph = _Graph(flavour)
    graph.node("Cast", ["image"], "image_float", to=TensorProto.FLOAT)
    graph.node("Transpose", ["image_float"], "image_planes", perm=[0, 3, 1, 2])
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    scale = graph.constant("image_scale", _planes(1 / (255 * std)))
    offset = graph.constant("image_offset", _planes(-mean / std))
    graph.node("Mul", ["image_planes", scale], "image_scaled")
    graph.node("Add", ["image_scaled", offset], "x")
    for name, source, output in _CONVS:
        graph.conv(name, source, output)
        if name != "conv3":
            graph.node("Relu", [output], output.replace("c", "r"))
    graph.node("Add", [graph.activation("c3"), graph.activation("r1")], "sum")
    graph.node("Relu", ["sum"], "r3")
    graph.node("GlobalAveragePool", [graph.activation("r3")], "pooled")
    graph.node("Flatten", ["pooled"], "flat", axis=1)
    # onnxruntime runs a Gemm with a float bias and float output in float; without the bias it becomes QGemm
    graph.node("Gemm", [graph.activation("flat"), graph.weight("gemm.weight")], "product", transB=1)
    graph.node("Add", ["product", graph.constant("gemm.bias", _weights()["gemm.bias"])], "logits")
    proto = helper.make_graph(
        graph.nodes,
        "network",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", SIZE, SIZE, 3])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", CLASSES])],
        graph.initializers,
    )
    model = helper.make_model(proto, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return model
