"""Trained ONNX classifiers as their owners bring them: the tiny network in other layouts, ranges and batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from tiny_network import LABELS, SIZE, float_pivot, pictures

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Look:
    """How the file takes an image and gives its scores.

    inside  the normalization is in the graph, after the input of 0 to 1 or of bytes
    """

    layout: Literal["nchw", "nhwc"] = "nchw"
    batch: int | None = None
    takes_bytes: bool = False
    inside: bool = False
    bgr: bool = False
    softmax: bool = False
    planes: bool = False
    """Scores of shape (batch, classes, 1, 1)."""


def body() -> onnx.ModelProto:
    """The trained network alone: float32 `input` (batch, 3, 16, 16), normalized, -> `logits`."""
    model = onnx.ModelProto()
    model.CopyFrom(float_pivot())
    graph = model.graph
    source = next(node.output[0] for node in graph.node if node.name == "image_transpose")
    kept = [node for node in graph.node if not node.name.startswith("image_")]
    del graph.node[:]
    graph.node.extend(kept)
    del graph.input[:], model.metadata_props[:]
    graph.input.append(helper.make_tensor_value_info(source, TensorProto.FLOAT, ["batch", 3, SIZE, SIZE]))
    return model


def network(look: Look | None = None) -> onnx.ModelProto:
    look = look or Look()
    model = body()
    graph = model.graph
    source = graph.input[0].name
    before: list[onnx.NodeProto] = []
    name, axis = "photo", -1 if look.layout == "nhwc" else 1
    shape = (1, 1, 1, 3) if look.layout == "nhwc" else (1, 3, 1, 1)

    def step(op: str, *others: str, **attributes: Any) -> None:
        nonlocal name
        made = f"{name}_{op.lower()}"
        before.append(helper.make_node(op, [name, *others], [made], made, **attributes))
        name = made

    def constant(called: str, values: NDArray[np.generic]) -> str:
        graph.initializer.append(numpy_helper.from_array(values, called))
        return called

    if look.takes_bytes:
        step("Cast", to=TensorProto.FLOAT)
    if look.inside:
        unit = 255.0 if look.takes_bytes else 1.0
        mean = np.array(IMAGENET_MEAN, np.float32).reshape(shape) * np.float32(unit)
        step("Sub", constant("photo_mean", mean))
        step("Div", constant("photo_std", np.array(IMAGENET_STD, np.float32).reshape(shape) * np.float32(unit)))
    if look.bgr:
        step("Gather", constant("photo_order", np.array([2, 1, 0])), axis=axis % 4)
    if look.layout == "nhwc":
        step("Transpose", perm=[0, 3, 1, 2])
    for node in graph.node:
        node.input[:] = [name if each == source else each for each in node.input]
    nodes = [*before, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    _end(graph, look)
    sizes = [SIZE, SIZE, 3] if look.layout == "nhwc" else [3, SIZE, SIZE]
    kind = TensorProto.UINT8 if look.takes_bytes else TensorProto.FLOAT
    del graph.input[:]
    graph.input.append(helper.make_tensor_value_info("photo", kind, [look.batch or "n", *sizes]))
    onnx.checker.check_model(model)
    return model


def _end(graph: onnx.GraphProto, look: Look) -> None:
    name, sizes = graph.output[0].name, [len(LABELS)]
    if look.softmax:
        graph.node.append(helper.make_node("Softmax", [name], ["chances"], "chances", axis=-1))
        name = "chances"
    if look.planes:
        graph.initializer.append(numpy_helper.from_array(np.array([2, 3]), "planes_axes"))
        graph.node.append(helper.make_node("Unsqueeze", [name, "planes_axes"], ["planes"], "planes"))
        name, sizes = "planes", [len(LABELS), 1, 1]
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [look.batch or "n", *sizes]))


def write_pictures(folder: Path, count: int = 48, seed: int = 5, labels: Sequence[str] = LABELS) -> Path:
    """PNG files of the tiny network's classes, one folder for each."""
    images, truth = pictures(count, seed)
    for number, (pixels, label) in enumerate(zip(images, truth, strict=True)):
        place = folder / labels[label]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(place / f"{number}.png")
    return folder


def write_network(path: Path, look: Look | None = None) -> Path:
    onnx.save_model(network(look), path)
    return path
