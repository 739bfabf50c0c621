"""The tiny network of `tiny_network.py` as a detector: one place, the whole picture, scored for four classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from tiny_network import LABELS, PREPROCESSING, SIZE, pictures

from edgetl.fronts.pixels import Pixels
from edgetl.types import Box, Sample

_CONSTANTS: dict[str, np.ndarray] = {
    "whole": np.array([[[0, 0, SIZE, SIZE]]], np.float32),
    "moves": np.linspace(-4, 4, 4 * len(LABELS), dtype=np.float32).reshape(len(LABELS), 4),
    "places": np.array([-1, 1, len(LABELS)], np.int64),
}


def as_detector(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy with `boxes` float32 (N, 1, 4), which the scores move, and `scores` float32 (N, 1, 4) for `logits`."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    made.graph.node.extend(
        [
            helper.make_node("Reshape", ["logits", "places"], ["placed"]),
            helper.make_node("Sigmoid", ["placed"], ["scores"]),
            helper.make_node("Einsum", ["scores", "moves"], ["moved"], equation="nac,cd->nad"),
            helper.make_node("Add", ["moved", "whole"], ["boxes"]),
        ]
    )
    made.graph.initializer.extend(numpy_helper.from_array(values, name) for name, values in _CONSTANTS.items())
    del made.graph.output[:]
    sizes = {"boxes": 4, "scores": len(LABELS)}
    made.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 1, size]) for name, size in sizes.items()
    )
    onnx.checker.check_model(made)
    return made


def labeled_pictures(folder: Path, count: int, seed: int = 3) -> Pixels:
    """Each shows one object that fills it."""
    pixels, labels = pictures(count, seed)
    samples = []
    for index, (picture, label) in enumerate(zip(pixels, labels, strict=True)):
        Image.fromarray(picture).save(folder / f"{index}.png")
        box = Box(0, 0, SIZE, SIZE, int(label))
        samples.append(Sample(str(folder / f"{index}.png"), (box,), f"{seed} {index}"))
    return Pixels(samples, PREPROCESSING)
