"""A small convolutional network trained on the spot, as float and as Q/DQ pivot, for tests that look into graphs.

uint8 (N, 16, 16, 3) `image` -> conv, relu, conv, relu, (conv) + residual, relu, mean, linear -> `logits`, four classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Literal

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from tiny_pictures import LABELS as LABELS
from tiny_pictures import SIZE as SIZE
from tiny_pictures import pictures as pictures
from torch import Tensor, nn

from edgetl.fronts.image.normalize import normalize
from edgetl.pivot.attach import attach
from edgetl.pivot.from_torch import to_onnx
from edgetl.pivot.rewrite import drop_unused_constants, split_float_biases
from edgetl.types import ImagePreprocessing

PREPROCESSING = ImagePreprocessing(SIZE, SIZE, "squash", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
LAYERS = ("stem", "widen", "branch", "head")
Activations = Literal["uint8", "int8"]


class Tiny(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.widen = nn.Conv2d(8, 12, 3, padding=1)
        self.branch = nn.Conv2d(12, 12, 3, padding=1)
        self.head = nn.Linear(12, len(LABELS))

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.widen(torch.relu(self.stem(x))))
        x = torch.relu(self.branch(x) + x)
        logits: Tensor = self.head(x.mean((2, 3)))
        return logits


@cache
def float_pivot() -> onnx.ModelProto:
    """The trained network. Callers that change it take a copy first."""
    torch.manual_seed(0)
    images, labels = pictures(128, seed=1)
    inputs, truth = torch.from_numpy(normalize(images, PREPROCESSING)), torch.from_numpy(labels)
    network = Tiny()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(80):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(inputs), truth).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return attach(to_onnx(network, (3, SIZE, SIZE)), PREPROCESSING, LABELS)


@cache
def quantized_pivot(activations: Activations = "uint8") -> onnx.ModelProto:
    """The same with Q/DQ pairs where the exporter puts them: on what layers, addition and mean read."""
    model = onnx.ModelProto()
    model.CopyFrom(float_pivot())
    readers = [node for node in model.graph.node if node.op_type in ("Conv", "Gemm", "Add", "ReduceMean")]
    readers = [node for node in readers if not node.name.startswith("image_")]
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    sources = [name for node in readers for name in node.input[:2] if name not in constants]
    ranges = _ranges(model, list(dict.fromkeys(sources)))
    before: dict[str, list[onnx.NodeProto]] = {}
    for node in readers:
        for index, name in enumerate(list(node.input)[: 1 if node.op_type == "ReduceMean" else 2]):
            made = (
                _weight_nodes(model, name, constants[name])
                if name in constants
                else _pair_nodes(model, name, ranges[name], activations)
            )
            node.input[index] = made[-1].output[0]
            if made[-1].output[0] not in {each.output[0] for nodes in before.values() for each in nodes}:
                before.setdefault(node.output[0], []).extend(made)
    nodes = [each for node in model.graph.node for each in (*before.get(node.output[0], ()), node)]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    split_float_biases(model)
    drop_unused_constants(model.graph)
    onnx.checker.check_model(model)
    return model


def run(model: onnx.ModelProto, images: NDArray[np.uint8], names: Sequence[str] = ("logits",)) -> list[np.ndarray]:
    """Outputs computed as written, without integer kernels."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    return [np.asarray(values) for values in session.run(list(names), {"image": images})]


def _ranges(model: onnx.ModelProto, names: list[str]) -> dict[str, tuple[float, float]]:
    exposed = onnx.ModelProto()
    exposed.CopyFrom(model)
    exposed.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names)
    values = run(exposed, pictures(64, seed=1)[0], names)
    return {name: (min(float(v.min()), 0.0), max(float(v.max()), 0.0)) for name, v in zip(names, values, strict=True)}


def _pair_nodes(
    model: onnx.ModelProto, name: str, extent: tuple[float, float], activations: Activations
) -> list[onnx.NodeProto]:
    low, high = extent
    scale = (high - low) / 255 if activations == "uint8" else max(-low, high) / 127
    zero_point = round(-low / scale) if activations == "uint8" else 0
    present = {tensor.name for tensor in model.graph.initializer}
    if f"{name}.scale" not in present:
        model.graph.initializer.append(numpy_helper.from_array(np.array(scale, np.float32), f"{name}.scale"))
        model.graph.initializer.append(numpy_helper.from_array(np.array(zero_point, activations), f"{name}.zero"))
    parameters = [f"{name}.scale", f"{name}.zero"]
    return [
        helper.make_node("QuantizeLinear", [name, *parameters], [f"{name}.q"], f"{name}.quantize"),
        helper.make_node("DequantizeLinear", [f"{name}.q", *parameters], [f"{name}.dq"], f"{name}.dequantize"),
    ]


def _weight_nodes(model: onnx.ModelProto, name: str, values: np.ndarray) -> list[onnx.NodeProto]:
    scale = np.abs(values.reshape(len(values), -1)).max(axis=1) / 127
    whole = np.rint(values / scale.reshape(-1, *[1] * (values.ndim - 1))).astype(np.int8)
    stored = {
        f"{name}.q": whole,
        f"{name}.scale": scale.astype(np.float32),
        f"{name}.zero": np.zeros(len(scale), np.int8),
    }
    model.graph.initializer.extend(numpy_helper.from_array(value, key) for key, value in stored.items())
    return [helper.make_node("DequantizeLinear", list(stored), [f"{name}.dq"], f"{name}.dequantize", axis=0)]


def double_weight_scale(model: onnx.ModelProto, layer: str) -> onnx.ModelProto:
    """A copy in which one layer's weights are twice what they should be."""
    return _scaled(model, f"{layer}.weight.scale", f"{layer}.weight.dequantize")


def double_activation_scale(model: onnx.ModelProto, layer: str) -> onnx.ModelProto:
    """A copy in which what one layer reads is rounded with one scale and read back with twice that scale."""
    (node,) = [each for each in model.graph.node if each.name == _node_of(model, layer)]
    reader = next(each for each in model.graph.node if node.input[0] in each.output)
    return _scaled(model, reader.input[1], reader.name)


def _node_of(model: onnx.ModelProto, layer: str) -> str:
    return next(str(node.name) for node in model.graph.node if f"{layer}.weight.dq" in node.input)


def _scaled(model: onnx.ModelProto, scale: str, node_name: str) -> onnx.ModelProto:
    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    value = next(numpy_helper.to_array(tensor) for tensor in copied.graph.initializer if tensor.name == scale)
    copied.graph.initializer.append(numpy_helper.from_array(value * np.float32(2), f"{scale}.doubled"))
    node = next(each for each in copied.graph.node if each.name == node_name)
    node.input[1] = f"{scale}.doubled"
    return copied
