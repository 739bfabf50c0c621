"""Small integer models whose pair sums leave 16 bits, and what goes into them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Array = NDArray[np.generic]
OPSETS = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]


def convolution(
    channels: int,
    outputs: int,
    kernel: int,
    *,
    groups: int = 1,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    size: int = 9,
    zero_point: int = 0,
    seed: int = 0,
    axes: int = 2,
) -> tuple[onnx.ModelProto, NDArray[np.uint8]]:
    """A QLinearConv with large weights of one sign per input channel, and bright pixels (1, C, size, size) or, along
    one axis, (1, C, size)."""
    generator = np.random.default_rng(seed)
    shape = (outputs, channels // groups, *[kernel] * axes)
    signs = generator.choice(np.array([-1, 1], np.int8), (*shape[:2], *[1] * axes))
    weights = generator.integers(60, 128, shape).astype(np.int8) * signs
    constants: dict[str, Any] = {
        "x_scale": np.float32(0.02),
        "x_zero": np.uint8(zero_point),
        "weights": weights,
        "w_scale": generator.uniform(0.005, 0.015, outputs).astype(np.float32),
        "w_zero": np.zeros(outputs, np.int8),
        "y_scale": np.float32(0.03 * (channels // groups) * kernel**axes),
        "y_zero": np.uint8(128),
        "bias": generator.integers(-1000, 1000, outputs).astype(np.int32),
    }
    node = helper.make_node(
        "QLinearConv",
        ["x", "x_scale", "x_zero", "weights", "w_scale", "w_zero", "y_scale", "y_zero", "bias"],
        ["y"],
        "convolution",
        group=groups,
        strides=[stride] * axes,
        pads=[padding] * 2 * axes,
        dilations=[dilation] * axes,
    )
    pixels = generator.integers(128, 256, (1, channels, *[size] * axes)).astype(np.uint8)
    return _model([node], constants, pixels.shape, TensorProto.UINT8), pixels


def linear(
    depth: int, outputs: int, rows: int = 1, *, quantized: bool = False, zero_point: int = 0, seed: int = 0
) -> tuple[onnx.ModelProto, NDArray[np.uint8]]:
    """A QGemm with a float or a quantized result, and large activations (rows, depth)."""
    generator = np.random.default_rng(seed)
    constants: dict[str, Any] = {
        "x_scale": np.float32(0.02),
        "x_zero": np.uint8(zero_point),
        "weights": generator.integers(-128, 128, (outputs, depth)).astype(np.int8),
        "w_scale": generator.uniform(0.005, 0.015, outputs).astype(np.float32),
        "w_zero": np.zeros(outputs, np.int8),
    }
    names = ["x", *constants, ""]
    if quantized:
        constants |= {"y_scale": np.float32(0.01 * depth), "y_zero": np.uint8(128)}
        names += ["y_scale", "y_zero"]
    node = helper.make_node("QGemm", names, ["y"], "linear", domain="com.microsoft", transB=1)
    data = generator.integers(128, 256, (rows, depth)).astype(np.uint8)
    return _model([node], constants, data.shape, TensorProto.UINT8 if quantized else TensorProto.FLOAT), data


def product(op: str, depth: int = 24, outputs: int = 6) -> tuple[onnx.ModelProto, NDArray[np.uint8]]:
    """A QLinearMatMul or MatMulIntegerToFloat on (1, 5, depth), as attention layers have them."""
    generator = np.random.default_rng(3)
    weights = generator.integers(-128, 128, (depth, outputs)).astype(np.int8)
    scale = generator.uniform(0.005, 0.015, outputs).astype(np.float32)
    constants: dict[str, Any] = {
        "x_scale": np.float32(0.02),
        "x_zero": np.uint8(9),
        "weights": weights,
        "w_scale": scale,
        "w_zero": np.zeros(outputs, np.int8),
    }
    data = generator.integers(128, 256, (1, 5, depth)).astype(np.uint8)
    if op == "QLinearMatMul":
        constants |= {"y_scale": np.float32(0.3), "y_zero": np.uint8(128)}
        node = helper.make_node(op, ["x", *constants], ["y"], "product")
        return _model([node], constants, data.shape, TensorProto.UINT8), data
    constants["bias"] = generator.normal(size=outputs).astype(np.float32)
    names = ["x", "weights", "x_scale", "w_scale", "x_zero", "w_zero", "bias"]
    node = helper.make_node(op, names, ["y"], "product", domain="com.microsoft")
    return _model([node], constants, data.shape, TensorProto.FLOAT), data


def network(*, peak: int = 127, size: int = 8, seed: int = 0) -> onnx.ModelProto:
    """uint8 image -> quantized convolution -> pointwise convolution -> mean -> linear layer -> 4 logits, as Q/DQ pairs.

    The first layer's weights are around `peak`, so with bright images it saturates (127) or cannot (63).
    """
    generator = np.random.default_rng(seed)
    first = generator.integers(peak - 20, peak + 1, (8, 3, 3, 3)) * generator.choice([-1, 1], (8, 1, 1, 1))
    constants: dict[str, Any] = {
        "x_scale": np.float32(1 / 255),
        "zero": np.uint8(0),
        "first": first.astype(np.int8),
        "first_scale": generator.uniform(0.002, 0.004, 8).astype(np.float32),
        "first_zero": np.zeros(8, np.int8),
        "a_scale": np.float32(6 / 255),
        "second": generator.integers(-40, 41, (6, 8, 1, 1)).astype(np.int8),
        "second_scale": generator.uniform(0.002, 0.004, 6).astype(np.float32),
        "second_zero": np.zeros(6, np.int8),
        "b_scale": np.float32(0.02),
        "b_zero": np.uint8(128),
        "axes": np.array([2, 3], np.int64),
        "third": generator.integers(-60, 61, (4, 6)).astype(np.int8),
        "third_scale": np.full(4, 0.01, np.float32),
        "third_zero": np.zeros(4, np.int8),
    }
    nodes = [
        helper.make_node("Transpose", ["image"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("DequantizeLinear", ["planes", "x_scale", "zero"], ["x"]),
        helper.make_node("DequantizeLinear", ["first", "first_scale", "first_zero"], ["first_real"], axis=0),
        helper.make_node("Conv", ["x", "first_real"], ["a"], "first_layer", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["a_relu"]),
        *_pair("a_relu", "a_scale", "zero"),
        helper.make_node("DequantizeLinear", ["second", "second_scale", "second_zero"], ["second_real"], axis=0),
        helper.make_node("Conv", ["a_relu_real", "second_real"], ["b"], "second_layer"),
        *_pair("b", "b_scale", "b_zero"),
        helper.make_node("ReduceMean", ["b_real", "axes"], ["mean"], keepdims=0),
        *_pair("mean", "b_scale", "b_zero"),
        helper.make_node("DequantizeLinear", ["third", "third_scale", "third_zero"], ["third_real"], axis=0),
        helper.make_node("Gemm", ["mean_real", "third_real"], ["logits"], "third_layer", transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", size, size, 3])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 4])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=OPSETS[:1], ir_version=10)
    onnx.checker.check_model(model)
    return model


def bright_images(count: int, size: int = 8, seed: int = 1) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(150, 256, (count, size, size, 3)).astype(np.uint8)


def _pair(name: str, scale: str, zero_point: str) -> list[onnx.NodeProto]:
    return [
        helper.make_node("QuantizeLinear", [name, scale, zero_point], [f"{name}_q"]),
        helper.make_node("DequantizeLinear", [f"{name}_q", scale, zero_point], [f"{name}_real"]),
    ]


def _model(
    nodes: list[onnx.NodeProto], constants: Mapping[str, Array], shape: tuple[int, ...], output: int
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "layer",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, shape)],
        [helper.make_tensor_value_info("y", output, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=OPSETS, ir_version=10)


LAYERS = {
    "pointwise": convolution(16, 32, 1),
    "three channels": convolution(3, 8, 1),
    "padded": convolution(8, 16, 3, padding=1, zero_point=7),
    "strided stem": convolution(3, 32, 3, stride=2, padding=1, zero_point=120, size=11),
    "dilated, odd channels": convolution(5, 7, 3, padding=2, dilation=2, zero_point=3),
    "groups": convolution(12, 24, 3, groups=3, padding=1),
    "groups of odd size": convolution(9, 24, 3, groups=3, padding=1, stride=2),
    "one channel in, two out, per group": convolution(8, 16, 3, groups=8, padding=1),
    "one channel": convolution(1, 20, 3, padding=1),
    "deep": convolution(512, 48, 1, size=5),
    "along a sequence": convolution(12, 16, 5, padding=2, stride=2, size=40, zero_point=7, axes=1),
    "along a sequence, odd channels": convolution(5, 8, 3, padding=2, dilation=2, size=30, axes=1),
    "linear, one row": linear(64, 32),
    "linear, odd depth": linear(65, 33),
    "linear, rows": linear(128, 40, 5),
    "linear, quantized": linear(70, 17, 3, quantized=True, zero_point=5),
    "linear, wide": linear(1280, 100, zero_point=3),
    "QLinearMatMul": product("QLinearMatMul"),
    "MatMulIntegerToFloat": product("MatMulIntegerToFloat"),
}
DEPTHWISE = {
    "16 groups": convolution(32, 32, 3, groups=32, padding=1),
    "9 groups": convolution(9, 9, 5, groups=9, padding=2, zero_point=9),
}
