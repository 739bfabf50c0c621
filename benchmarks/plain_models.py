"""The plain alternatives: onnxruntime's and NNCF's own post-training quantization of the same float network.

Both start from the float pivot, calibrate on the same shots, and leave the preprocessing in front of the network in
float, as edgetl does.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import chdir, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from result_file import versions

from edgetl.backends.sdk import OPENVINO_REPORTER, import_onnxruntime, import_openvino
from edgetl.files.digest import file_digest, value_digest
from edgetl.fronts.batches import load_batch, load_example
from edgetl.store.results import StageResult, Store
from edgetl.types import IMAGE_INPUT, OUTPUT_NAME, Compiled, Preprocessing, Sample

_PREPROCESSING_NODES = "image_"  # the names that edgetl.pivot.preprocess gives
_MODEL = {"onnxruntime": "model.onnx", "openvino": "model.xml"}
_MODEL_VERSION = 1
_PRODUCTS = ("Conv", "MatMul", "Gemm")
_HELD_IMAGES = 12  # histogram calibration keeps every activation of this many images in memory


@dataclass(frozen=True)
class Shots:
    """The calibration images, the same that edgetl trained and calibrated on."""

    samples: Sequence[Sample]
    preprocessing: Preprocessing

    def image(self, index: int) -> NDArray[np.uint8]:
        """(1, H, W, 3) uint8"""
        return load_example(Path(self.samples[index].path), self.preprocessing)[None]

    def __len__(self) -> int:
        return len(self.samples)


@dataclass(frozen=True)
class Recipe:
    """One way to quantize.

    settings  what differs from the tool's defaults, for the result's text and its key
    inputs    digests of what it sees besides the network and the shots
    """

    name: str
    backend: str
    settings: Mapping[str, str]
    make: Callable[[Path, Shots, Path], None]
    inputs: Mapping[str, str] = field(default_factory=dict)


def make(store: Store, pivot: Path, recipe: Recipe, shots: Shots) -> StageResult:
    """The ONNX model that the recipe makes from the float network `pivot`, or the one in the store."""
    inputs = {
        "pivot": file_digest(pivot),
        "shots": value_digest([sample.sha256 for sample in shots.samples]),
        **recipe.inputs,
    }
    config = {"settings": dict(recipe.settings), "tools": versions()}
    name = recipe.name.replace(" ", "-")
    with redirect_stdout(sys.stderr):  # the tools print their progress
        return store.once(name, _MODEL_VERSION, config, lambda out: recipe.make(pivot, shots, out), inputs=inputs)


def compiled(recipe: Recipe, folder: Path, version: str) -> Compiled:
    """The files with which edgetl's own backend opens the model, so that both run through the same code."""
    files = tuple(sorted(path.name for path in folder.iterdir()))
    return Compiled(recipe.backend, version, "int8", _MODEL[recipe.backend], files)


def static_recipes(
    *, symmetric: bool = False, reduce_range: bool = False, detector: bool = False
) -> tuple[Recipe, ...]:
    """`quantize_static` with each of its calibration methods.

    symmetric     signed activations around zero instead of unsigned ones
    reduce_range  weights of 7 bits, for CPUs whose sums of two products saturate
    detector      what follows the last convolutions, the decoding of boxes, stays float
    """
    common = {"format": "QDQ", "per_channel": "true", "activations": "uint8", "weights": "int8"}
    if symmetric:
        common |= {"activations": "int8", "ActivationSymmetric": "true"}
    if reduce_range:
        common |= {"reduce_range": "true"}
    if detector:
        common |= {"after the last convolutions": "float"}

    def recipe(method: str) -> Recipe:
        def run(pivot: Path, shots: Shots, out: Path) -> None:
            _quantize_static(pivot, shots, out, method, symmetric, reduce_range, detector)

        return Recipe(f"quantize_static {method.lower()}", "onnxruntime", {**common, "calibration": method}, run)

    return tuple(recipe(method) for method in ("MinMax", "Percentile", "Entropy"))


def controlled_recipe(val: Shots, max_drop_points: float) -> Recipe:
    """NNCF with accuracy control: layers go back to float until top-1 on `val` is within `max_drop_points`."""
    settings = {
        "from": "convert_model",
        "fast_bias_correction": "true",
        "subset_size": "all shots",
        "max_drop": f"{max_drop_points} points of top-1, absolute",
        "validation": f"{len(val)} labelled images",
    }

    def run(pivot: Path, shots: Shots, out: Path) -> None:
        _nncf_controlled(pivot, shots, val, max_drop_points, out)

    seen = value_digest([[sample.sha256, sample.label] for sample in val.samples])
    return Recipe("nncf accuracy control", "openvino", settings, run, {"val": seen})


def nncf_recipes(*, detector: bool = False) -> tuple[Recipe, ...]:
    """NNCF with each of its presets. detector  what follows the last convolutions stays float"""
    kept = {"after the last convolutions": "float"} if detector else {}
    return tuple(
        Recipe(
            f"nncf {preset.lower()}",
            "openvino",
            {
                "preset": preset,
                "from": "convert_model",
                "fast_bias_correction": "true",
                "subset_size": "all shots",
                **kept,
            },
            lambda pivot, shots, out, preset=preset: _nncf(pivot, shots, out, preset, detector),  # type: ignore[misc]
        )
        for preset in ("PERFORMANCE", "MIXED")
    )


def after_convolutions(model: onnx.ModelProto) -> list[str]:
    """Names of the nodes whose values reach no convolution or matrix product, in the order of the graph."""
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    before: set[str] = set()
    for node in reversed(model.graph.node):
        following = [reader for name in node.output for reader in readers.get(name, [])]
        if any(reader.op_type in _PRODUCTS or reader.name in before for reader in following):
            before.add(node.name)
    return [node.name for node in model.graph.node if node.name not in before and node.op_type not in _PRODUCTS]


def _quantize_static(
    pivot: Path, shots: Shots, out: Path, method: str, symmetric: bool, reduce_range: bool, detector: bool
) -> None:
    import_onnxruntime()
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    prepared = out / "prepared.onnx"
    _prepare(pivot, prepared, detector)
    model = onnx.load_model(prepared)
    names = [node.name for node in model.graph.node]
    kept = set(after_convolutions(model)) if detector else set()
    extra: dict[str, Any] = {} if method == "MinMax" else {"CalibStridedMinMax": _stride(len(shots))}
    if symmetric:
        extra["ActivationSymmetric"] = True
    quantize_static(
        str(prepared),
        str(out / _MODEL["onnxruntime"]),
        _reader(shots),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        reduce_range=reduce_range,
        activation_type=QuantType.QInt8 if symmetric else QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        nodes_to_exclude=[name for name in names if name.startswith(_PREPROCESSING_NODES) or name in kept],
        calibrate_method=getattr(CalibrationMethod, method),
        extra_options=extra,
    )
    prepared.unlink()


def _prepare(pivot: Path, prepared: Path, detector: bool) -> None:
    from onnxruntime.quantization.shape_inference import quant_pre_process

    source, place = pivot.resolve(), prepared.resolve()
    with chdir(place.parent):  # its symbolic shapes, if they fail, leave a file in the working folder
        try:
            # they do not get through the decoding of boxes with an open number of images
            quant_pre_process(str(source), str(place), skip_symbolic_shape=detector)
        except Exception as error:
            if "symbolic shape" not in str(error):
                raise
            Path("sym_shape_infer_temp.onnx").unlink(missing_ok=True)
            quant_pre_process(str(source), str(place), skip_symbolic_shape=True)


def _reader(shots: Shots) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # the base class is untyped
        """One image at a time, over all shots or over the range that the calibrator asks for."""

        def __init__(self) -> None:
            self.waiting = iter(range(len(shots)))

        def __len__(self) -> int:
            return len(shots)

        def set_range(self, start_index: int, end_index: int) -> None:
            self.waiting = iter(range(start_index, end_index))

        def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
            index = next(self.waiting, None)
            return None if index is None else {IMAGE_INPUT: shots.image(index)}

    return Reader()


def _stride(images: int) -> int:
    # the calibrator takes divisors only
    return max(size for size in range(1, _HELD_IMAGES + 1) if images % size == 0)


def _nncf(pivot: Path, shots: Shots, out: Path, preset: str, detector: bool) -> None:
    openvino = import_openvino()
    nncf = _import_nncf()
    kept = after_convolutions(onnx.load_model(pivot)) if detector else []
    quantized = nncf.quantize(
        # not Core.read_model: NNCF leaves the depthwise convolutions of what that gives in float
        openvino.convert_model(str(pivot)),
        nncf.Dataset(range(len(shots)), lambda index: {IMAGE_INPUT: shots.image(index)}),
        preset=getattr(nncf.QuantizationPreset, preset),
        subset_size=len(shots),
        # not all nodes of ONNX are operators of OpenVINO
        ignored_scope=nncf.IgnoredScope(names=kept, patterns=[f"{_PREPROCESSING_NODES}.*"], validate=not kept),
    )
    openvino.save_model(quantized, str(out / _MODEL["openvino"]), compress_to_fp16=False)


def _nncf_controlled(pivot: Path, shots: Shots, val: Shots, max_drop_points: float, out: Path) -> None:
    openvino = import_openvino()
    nncf = _import_nncf()
    images = load_batch(val.samples, val.preprocessing)
    labels = [sample.label for sample in val.samples]

    def top1(model: Any, indices: Iterable[int]) -> tuple[float, list[float]]:
        right = [float(model({IMAGE_INPUT: images[i : i + 1]})[OUTPUT_NAME].argmax() == labels[i]) for i in indices]
        return sum(right) / len(right), right

    quantized = nncf.quantize_with_accuracy_control(
        openvino.convert_model(str(pivot)),
        nncf.Dataset(range(len(shots)), lambda index: {IMAGE_INPUT: shots.image(index)}),
        nncf.Dataset(range(len(val)), lambda index: {IMAGE_INPUT: images[index : index + 1]}),
        top1,
        max_drop=max_drop_points / 100,
        drop_type=nncf.DropType.ABSOLUTE,
        subset_size=len(shots),
        ignored_scope=nncf.IgnoredScope(patterns=[f"{_PREPROCESSING_NODES}.*"]),
    )
    openvino.save_model(quantized, str(out / _MODEL["openvino"]), compress_to_fp16=False)


def _import_nncf() -> Any:
    """NNCF with its usage reporting off: the reporter looks uninstalled, and the switch for its own CI is set.

    The same holds for OpenVINO's converter from here on.
    """
    modules: dict[str, Any] = sys.modules
    modules[OPENVINO_REPORTER] = None
    os.environ["NNCF_CI"] = "1"
    import nncf

    nncf.set_log_level(logging.WARNING)
    return nncf
