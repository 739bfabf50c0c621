"""Puts the preprocessing after decode and resize into the graph: raw RGB bytes in, logits out."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgetl.fronts.image.normalize import affine
from edgetl.pivot.rewrite import drop_unused_constants
from edgetl.pivot.serialize import clean
from edgetl.types import IMAGE_INPUT, ImagePreprocessing, Preprocessing, as_image, described

LABELS_KEY = "edgetl.labels"
PREPROCESSING_KEY = "edgetl.preprocessing"
_MIDDLE = 128  # the zero point of symmetric uint8


def byte_values(p: ImagePreprocessing) -> NDArray[np.float64]:
    """(3, 256): the normalized value of each byte of each channel."""
    scale, offset = (values.astype(np.float64)[:, None] for values in affine(p))
    return np.arange(256) * scale + offset


@dataclass(frozen=True)
class ByteLattice:
    """Quantization parameters under which a byte of the image is the network's quantized input as it stands."""

    scale: float
    zero_point: int


def byte_lattice(p: Preprocessing, *, symmetric: bool) -> ByteLattice | None:
    """The uint8 lattice on which the normalized bytes lie, when all channels have one mean and one std; else
    None, as for sounds.

    (x / 255 - mean) / std = scale * (x - zero_point) with scale = 1 / (255 std) and zero_point = 255 mean, which is
    rounded to a whole number: a shift of at most half a gray level.
    symmetric  whether activations must have the zero point 128: then no other lattice will do
    """
    if not isinstance(p, ImagePreprocessing) or len(set(p.mean)) > 1 or len(set(p.std)) > 1:
        return None
    zero_point = math.floor(255 * p.mean[0] + 0.5)
    possible = zero_point == _MIDDLE if symmetric else 0 <= zero_point <= 255
    return ByteLattice(1 / (255 * p.std[0]), zero_point) if possible else None


def on_byte_lattice(p: Preprocessing, *, symmetric: bool) -> Preprocessing:
    """`p` with the mean moved onto its byte lattice; `p` itself where it has none. symmetric  as in `byte_lattice`"""
    lattice = byte_lattice(p, symmetric=symmetric)
    if lattice is None or not isinstance(p, ImagePreprocessing):
        return p
    mean = lattice.zero_point / 255
    return replace(p, mean=(mean, mean, mean))


def attach_image(model: onnx.ModelProto, p: ImagePreprocessing, labels: Sequence[str]) -> onnx.ModelProto:
    """Replace the normalized float input by `image`, uint8 (batch, H, W, 3) RGB, and write labels and preprocessing
    into the model's metadata (JSON under `edgetl.labels` and `edgetl.preprocessing`).

    The bytes go straight into a Cast, because TensorRT takes a uint8 network input nowhere else. Multiplication and
    addition then run over rows of width * 3 values with repeated constants: the same numbers as per channel, but
    runtimes vectorize the long inner axis (docs/decisions/0005-pivot-numerics.md has the timings).

    Where the network's first step is the rounding onto the byte lattice, the bytes are that step's result already:
    no arithmetic is left.
    """
    result = clean(model)
    graph = result.graph
    source = graph.input[0].name
    batch = graph.input[0].type.tensor_type.shape.dim[0].dim_param or "batch"
    rounding = _rounds_onto_bytes(graph, byte_lattice(p, symmetric=False))
    if rounding is not None:
        nodes = [
            helper.make_node("Transpose", [IMAGE_INPUT], [rounding.output[0]], "image_transpose", perm=[0, 3, 1, 2])
        ]
        graph.node.remove(rounding)
        drop_unused_constants(graph)
    else:
        nodes = _arithmetic(graph, _as_rounded(graph, p), source)
    body = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *body])
    del graph.input[:]
    graph.input.append(helper.make_tensor_value_info(IMAGE_INPUT, TensorProto.UINT8, [batch, p.height, p.width, 3]))
    return with_metadata(result, p, labels)


def with_metadata(model: onnx.ModelProto, p: Preprocessing, labels: Sequence[str]) -> onnx.ModelProto:
    """The model itself, checked, with labels and preprocessing in its metadata (JSON under `edgetl.labels` and
    `edgetl.preprocessing`)."""
    helper.set_model_props(
        model,
        {
            LABELS_KEY: json.dumps(list(labels), ensure_ascii=False),
            PREPROCESSING_KEY: json.dumps(described(p), sort_keys=True),
        },
    )
    onnx.checker.check_model(model)
    return model


def _input_rounding(graph: onnx.GraphProto) -> onnx.NodeProto | None:
    """The QuantizeLinear that alone reads the network's input."""
    readers = [node for node in graph.node if graph.input[0].name in node.input]
    return readers[0] if len(readers) == 1 and readers[0].op_type == "QuantizeLinear" else None


def _parameters(graph: onnx.GraphProto, rounding: onnx.NodeProto) -> tuple[NDArray[Any], NDArray[Any]] | None:
    constants = {tensor.name: tensor for tensor in graph.initializer}
    found = [constants.get(name) for name in list(rounding.input)[1:3]]
    if len(found) != 2 or found[0] is None or found[1] is None:
        return None
    return numpy_helper.to_array(found[0]), numpy_helper.to_array(found[1])


def _as_rounded(graph: onnx.GraphProto, p: ImagePreprocessing) -> ImagePreprocessing:
    """What a network with this rounding was quantized with: the mean moved where uint8 could have its lattice."""
    rounding = _input_rounding(graph)
    parameters = None if rounding is None else _parameters(graph, rounding)
    if parameters is None or parameters[1].dtype != np.uint8:
        return p
    return as_image(on_byte_lattice(p, symmetric=int(parameters[1]) == _MIDDLE))


def _rounds_onto_bytes(graph: onnx.GraphProto, lattice: ByteLattice | None) -> onnx.NodeProto | None:
    rounding = _input_rounding(graph)
    parameters = None if rounding is None else _parameters(graph, rounding)
    if lattice is None or parameters is None or parameters[1].dtype != np.uint8:
        return None
    scale, zero_point = parameters
    same = (
        scale.size == 1 and np.isclose(float(scale), lattice.scale, rtol=1e-6) and int(zero_point) == lattice.zero_point
    )
    return rounding if same else None


def _arithmetic(graph: onnx.GraphProto, p: ImagePreprocessing, source: str) -> list[onnx.NodeProto]:
    scale, offset = affine(p)
    constants: dict[str, NDArray[Any]] = {
        "image_rows": np.array([-1, p.height, p.width * 3], np.int64),
        "image_scale": np.tile(scale, p.width),
        "image_offset": np.tile(offset, p.width),
        "image_pixels": np.array([-1, p.height, p.width, 3], np.int64),
    }
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    return [
        helper.make_node("Cast", [IMAGE_INPUT], ["image_float"], "image_cast", to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["image_float", "image_rows"], ["image_flat"], "image_flatten"),
        helper.make_node("Mul", ["image_flat", "image_scale"], ["image_scaled"], "image_mul"),
        helper.make_node("Add", ["image_scaled", "image_offset"], ["image_shifted"], "image_add"),
        helper.make_node("Reshape", ["image_shifted", "image_pixels"], ["image_normal"], "image_unflatten"),
        helper.make_node("Transpose", ["image_normal"], [source], "image_transpose", perm=[0, 3, 1, 2]),
    ]
