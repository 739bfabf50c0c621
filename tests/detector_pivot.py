"""A pivot folder of a small detector, as the export stage writes it. Needs no torch.

The network looks at cells of 4 x 4 pixels: their mean color decides the scores, and moves the cell's box.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from safetensors.numpy import save_file

from edgetl.files.digest import file_digest
from edgetl.fronts.image.resize import resize
from edgetl.pivot.pivot import Parity, Pivot, PivotModel, write_pivot
from edgetl.recipes.targets import load_target, scheme_id
from edgetl.tasks.detection.detections import Postprocess
from edgetl.types import ImagePreprocessing

if TYPE_CHECKING:
    from numpy.typing import NDArray

LABELS = ("red", "green", "blue")
CELL = 4
HEIGHT, WIDTH = 24, 32
ANCHORS = (HEIGHT // CELL) * (WIDTH // CELL)
PREPROCESSING = ImagePreprocessing(HEIGHT, WIDTH, "letterbox-corner", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
SETTINGS = Postprocess(score_threshold=0.5, iou_threshold=0.5, max_candidates=100, max_detections=30)
GOLDEN = 2

Kind = Literal["float32", "int8"]


def detector(kind: Kind, labels: int = len(LABELS)) -> onnx.ModelProto:
    """image uint8 (N, 24, 32, 3) -> boxes float32 (N, 48, 4), scores float32 (N, 48, labels)."""
    constants = _constants(labels)
    if kind == "float32":
        del constants["zero"]
    cells = "cells"
    nodes = [
        helper.make_node("Cast", ["image"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["numbers", "to_unit"], ["unit"]),
        helper.make_node("Transpose", ["unit"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("AveragePool", ["planes"], ["means"], kernel_shape=[CELL, CELL], strides=[CELL, CELL]),
        helper.make_node("Transpose", ["means"], ["rows"], perm=[0, 2, 3, 1]),
        helper.make_node("Reshape", ["rows", "cell_shape"], [cells]),
    ]
    if kind == "int8":
        nodes += [
            helper.make_node("QuantizeLinear", [cells, "to_unit", "zero"], ["bytes"]),
            helper.make_node("DequantizeLinear", ["bytes", "to_unit", "zero"], ["rounded"]),
        ]
        cells = "rounded"
    nodes += [
        helper.make_node("MatMul", [cells, "colors"], ["raw"]),
        helper.make_node("Add", ["raw", "bias"], ["biased"]),
        helper.make_node("Sigmoid", ["biased"], ["scores"]),
        helper.make_node("MatMul", [cells, "moves"], ["moved"]),
        helper.make_node("Add", ["moved", "grid"], ["boxes"]),
    ]
    graph = helper.make_graph(
        nodes,
        "detector",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", HEIGHT, WIDTH, 3])],
        [
            helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["n", ANCHORS, 4]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", ANCHORS, labels]),
        ],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])
    model.ir_version = 10
    return model


def _constants(labels: int) -> dict[str, NDArray[np.generic]]:
    rows, columns = np.mgrid[0 : HEIGHT // CELL, 0 : WIDTH // CELL] * float(CELL)
    corners = np.stack([columns, rows, columns + CELL, rows + CELL], axis=-1)
    rng = np.random.default_rng(0)
    return {
        "to_unit": np.array(1 / 255, np.float32),
        "zero": np.array(0, np.uint8),
        "cell_shape": np.array([-1, ANCHORS, 3], np.int64),
        "colors": (rng.normal(0, 1, (3, labels)) + 7 * np.eye(3, labels)).astype(np.float32),
        "bias": np.full(labels, -4.5, np.float32),
        "moves": rng.uniform(-6, 6, (3, 4)).astype(np.float32),
        "grid": corners.reshape(1, ANCHORS, 4).astype(np.float32),
    }


def break_a_class(model: onnx.ModelProto) -> None:
    """Let all scores of the last class be NaN, in place."""
    bias = next(each for each in model.graph.initializer if each.name == "bias")
    values = numpy_helper.to_array(bias).copy()
    values[-1] = np.nan
    bias.CopyFrom(numpy_helper.from_array(values, "bias"))


def outputs_of(model: onnx.ModelProto, batch: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return dict(zip(("boxes", "scores"), session.run(["boxes", "scores"], {"image": batch}), strict=True))


def pictures(count: int, seed: int = 0) -> list[NDArray[np.uint8]]:
    """Patches of color, of several sizes, so that some cells are objects."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        height, width = rng.integers(20, 90, 2)
        patches = rng.integers(0, 256, (int(rng.integers(2, 6)), int(rng.integers(2, 6)), 3)).astype(np.uint8)
        made.append(np.asarray(Image.fromarray(patches).resize((int(width), int(height)), Image.Resampling.NEAREST)))
    return made


def make_detector_pivot(folder: Path, *, golden: int = GOLDEN, labels: tuple[str, ...] = LABELS) -> Path:
    """Float and u8s8 models, with golden vectors, in the new `folder`."""
    (folder / "golden").mkdir(parents=True)
    inputs = _write_pictures(folder / "golden", golden)
    scheme = scheme_id(load_target("x86-cpu").scheme)
    models: list[PivotModel] = []
    outputs: dict[str, NDArray[np.float32]] = {}
    kinds: tuple[tuple[Kind, str | None], ...] = (("float32", None), ("int8", scheme))
    for kind, identity in kinds:
        stem = kind if identity is None else f"{kind}-{identity}"
        model = detector(kind, len(labels))
        onnx.save_model(model, folder / f"{stem}.onnx")
        if golden:
            outputs |= {f"{stem}.{name}": values for name, values in outputs_of(model, inputs).items()}
        digest = file_digest(folder / f"{stem}.onnx")
        parity = Parity(images=1, max_abs_diff=0, top1_agreement=1, tolerance=1)
        models.append(PivotModel(file=f"{stem}.onnx", precision=kind, scheme_id=identity, sha256=digest, parity=parity))
    if golden:
        save_file(outputs, folder / "golden" / "outputs.safetensors")
    pivot = Pivot(
        labels=labels,
        preprocessing=PREPROCESSING,
        models=tuple(models),
        golden_files=tuple(f"{index}.png" for index in range(golden)),
        source="a test",
        licence="CC0",
        task="detection",
        postprocess=SETTINGS,
        digests={},
    )
    write_pivot(folder, pivot)
    return folder


def _write_pictures(folder: Path, count: int) -> NDArray[np.uint8]:
    inputs = np.zeros((count, HEIGHT, WIDTH, 3), np.uint8)
    for index, picture in enumerate(pictures(count)):
        inputs[index] = resize(picture, PREPROCESSING)
        Image.fromarray(picture).save(folder / f"{index}.png")
        np.save(folder / f"{index}.rgb.npy", picture, allow_pickle=False)
        np.save(folder / f"{index}.input.npy", inputs[index], allow_pickle=False)
    return inputs
