"""The rewritten first convolution computes the very same integers."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgetl.backends.onnx_stem import widen_stem
from edgetl.backends.sdk import import_onnxruntime

CHANNELS = 8


def stem(
    *,
    size: tuple[int, int] = (20, 24),
    kernel: tuple[int, int] = (3, 3),
    pads: tuple[int, int, int, int] = (1, 1, 1, 1),
    strides: tuple[int, int] = (2, 2),
    bias: bool = True,
    per_channel: bool = True,
    activation: str = "Clip",
) -> onnx.ModelProto:
    """uint8 NHWC `image` -> transpose -> dequantize -> conv -> activation -> quantize -> dequantize -> `answer`."""
    rng = np.random.default_rng(0)
    scales = rng.uniform(0.001, 0.01, CHANNELS if per_channel else ()).astype(np.float32)
    tensors = {
        "in_scale": np.float32(0.02),
        "in_zero": np.uint8(120),
        "weight": rng.integers(-64, 65, (CHANNELS, 3, *kernel)).astype(np.int8),  # 2 x 64 x 255: no pair saturates
        "weight_scale": scales,
        "weight_zero": np.zeros_like(scales, np.int8),
        "bias": rng.normal(0, 0.1, CHANNELS).astype(np.float32),
        "low": np.float32(0),
        "high": np.float32(6),
        "out_scale": np.float32(6 / 255),
        "out_zero": np.uint8(0),
    }
    conv = ["read", "real_weight", *(["bias"] if bias else [])]
    acting = {
        "Clip": [helper.make_node("Clip", ["sum", "low", "high"], ["acted"])],
        "Relu": [helper.make_node("Relu", ["sum"], ["acted"])],
        "": [helper.make_node("Identity", ["sum"], ["acted"])],
    }[activation]
    nodes = [
        helper.make_node("Transpose", ["image"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("DequantizeLinear", ["planes", "in_scale", "in_zero"], ["read"]),
        helper.make_node("DequantizeLinear", ["weight", "weight_scale", "weight_zero"], ["real_weight"], axis=0),
        helper.make_node("Conv", conv, ["sum"], kernel_shape=kernel, pads=pads, strides=strides),
        *acting,
        helper.make_node("QuantizeLinear", ["acted", "out_scale", "out_zero"], ["rounded"]),
        helper.make_node("DequantizeLinear", ["rounded", "out_scale", "out_zero"], ["answer"]),
    ]
    graph = helper.make_graph(
        nodes,
        "stem",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", *size, 3])],
        [helper.make_tensor_value_info("answer", TensorProto.FLOAT, ["batch", CHANNELS, None, None])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in tensors.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def answer(model: onnx.ModelProto, *, literally: bool) -> np.ndarray:
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if literally:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    _, height, width, _ = (d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim)
    images = np.random.default_rng(1).integers(0, 256, (3, height, width, 3), dtype=np.uint8)
    return np.asarray(session.run(None, {"image": images})[0])


@pytest.mark.parametrize("activation", ["Clip", "Relu", ""])
@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_the_answers_are_equal_to_the_bit(activation: str, per_channel: bool, bias: bool) -> None:
    model = stem(activation=activation, per_channel=per_channel, bias=bias)
    if not activation:  # an operator between that is not known keeps the stem as it is
        assert not widen_stem(model)
        return
    before = answer(model, literally=False)
    assert widen_stem(model)
    onnx.checker.check_model(model, full_check=True)
    assert np.array_equal(answer(model, literally=False), before)


@pytest.mark.parametrize(
    ("kernel", "pads"),
    [
        ((3, 3), (0, 0, 1, 1)),
        ((3, 3), (1, 1, 0, 0)),
        ((3, 3), (1, 0, 1, 1)),
        ((2, 2), (0, 0, 0, 0)),
        ((5, 5), (2, 2, 2, 2)),
        ((5, 5), (1, 1, 2, 2)),
        ((3, 5), (1, 2, 1, 2)),
        ((4, 4), (1, 1, 1, 1)),
        ((7, 7), (3, 3, 3, 3)),
        ((7, 7), (2, 2, 3, 3)),
    ],
)
@pytest.mark.parametrize("size", [(20, 24), (21, 32), (32, 4)])
def test_kernels_and_paddings_of_all_kinds_give_equal_answers(
    kernel: tuple[int, int], pads: tuple[int, int, int, int], size: tuple[int, int]
) -> None:
    model = stem(kernel=kernel, pads=pads, size=size)
    before = answer(model, literally=False)
    assert widen_stem(model)
    assert np.array_equal(answer(model, literally=False), before)
    literal = answer(model, literally=True)
    assert np.abs(literal - before).max() <= 1.01 * 6 / 255  # the literal graph breaks ties in floating point


@pytest.mark.parametrize(
    "other",
    [
        {"strides": (1, 1)},
        {"strides": (1, 2)},
        {"size": (20, 26)},
        {"kernel": (9, 9), "pads": (4, 4, 4, 4)},
        {"pads": (0, 0, 0, 0)},
        {"pads": (2, 2, 2, 2)},
    ],
    ids=str,
)
def test_other_forms_stay_as_they_are(other: dict[str, object]) -> None:
    model = stem(**other)  # type: ignore[arg-type]
    before = model.SerializeToString()
    assert not widen_stem(model)
    assert model.SerializeToString() == before


def test_an_image_that_something_else_reads_too_stays_as_it_is() -> None:
    model = stem()
    model.graph.node.append(helper.make_node("Identity", ["image"], ["copy"]))
    assert not widen_stem(model)
