"""Put the preprocessing that follows decode and resize into the graph: raw RGB bytes in, logits out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgetl.graph.clean import clean
from edgetl.types import INPUT_NAME, Preprocessing

LABELS_KEY = "edgetl.labels"
PREPROCESSING_KEY = "edgetl.preprocessing"


def affine(p: Preprocessing) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(x / 255 - mean) / std as one multiplication and one addition: x * scale + offset, each float32 (3,)."""
    mean, std = np.asarray(p.mean, np.float64), np.asarray(p.std, np.float64)
    return (1 / (255 * std)).astype(np.float32), (-mean / std).astype(np.float32)


def normalize(images: NDArray[np.uint8], p: Preprocessing) -> NDArray[np.float32]:
    """What the graph's first nodes compute: uint8 (N, H, W, 3) -> float32 (N, 3, H, W)."""
    scale, offset = affine(p)
    planes = images.transpose(0, 3, 1, 2).astype(np.float32)
    result: NDArray[np.float32] = planes * scale.reshape(1, 3, 1, 1) + offset.reshape(1, 3, 1, 1)
    return result


def attach(model: onnx.ModelProto, p: Preprocessing, labels: Sequence[str]) -> onnx.ModelProto:
    """Replace the normalised float input by `image`, uint8 (batch, H, W, 3) RGB, and write labels and preprocessing
    into the model's metadata (JSON under `edgetl.labels` and `edgetl.preprocessing`).

    The bytes go straight into a Cast, because TensorRT takes a uint8 network input nowhere else. Multiplication and
    addition then run over rows of width * 3 values with repeated constants: the same numbers as per channel, but
    runtimes vectorise the long inner axis (docs/decisions/0005-pivot-numerics.md has the timings).
    """
    result = clean(model)
    graph = result.graph
    source = graph.input[0].name
    batch = graph.input[0].type.tensor_type.shape.dim[0].dim_param or "batch"
    scale, offset = affine(p)
    constants: dict[str, NDArray[Any]] = {
        "image_rows": np.array([-1, p.height, p.width * 3], np.int64),
        "image_scale": np.tile(scale, p.width),
        "image_offset": np.tile(offset, p.width),
        "image_pixels": np.array([-1, p.height, p.width, 3], np.int64),
    }
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    nodes = [
        helper.make_node("Cast", [INPUT_NAME], ["image_float"], "image_cast", to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["image_float", "image_rows"], ["image_flat"], "image_flatten"),
        helper.make_node("Mul", ["image_flat", "image_scale"], ["image_scaled"], "image_mul"),
        helper.make_node("Add", ["image_scaled", "image_offset"], ["image_shifted"], "image_add"),
        helper.make_node("Reshape", ["image_shifted", "image_pixels"], ["image_normal"], "image_unflatten"),
        helper.make_node("Transpose", ["image_normal"], [source], "image_transpose", perm=[0, 3, 1, 2]),
    ]
    body = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *body])
    del graph.input[:]
    graph.input.append(helper.make_tensor_value_info(INPUT_NAME, TensorProto.UINT8, [batch, p.height, p.width, 3]))
    helper.set_model_props(
        result,
        {
            LABELS_KEY: json.dumps(list(labels), ensure_ascii=False),
            PREPROCESSING_KEY: json.dumps(asdict(p), sort_keys=True),
        },
    )
    onnx.checker.check_model(result)
    return result
