"""The plain alternatives: what onnxruntime's and NNCF's own post-training quantization make of the same float network.

Both start from the float pivot, calibrate on the same shots, and leave the preprocessing in front of the network in
float, as edgetl does.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgetl.data.views import load_image
from edgetl.sdk import OPENVINO_REPORTER, import_onnxruntime, import_openvino
from edgetl.types import INPUT_NAME, Compiled, Preprocessing, Sample

_PREPROCESSING_NODES = "image_"  # the names that edgetl.graph.preprocess gives
_MODEL = {"onnxruntime": "model.onnx", "openvino": "model.xml"}
_HELD_IMAGES = 12  # histogram calibration keeps every activation of this many images in memory


@dataclass(frozen=True)
class Shots:
    """The calibration images, the same that edgetl trained and calibrated on."""

    samples: Sequence[Sample]
    preprocessing: Preprocessing

    def image(self, index: int) -> NDArray[np.uint8]:
        """(1, H, W, 3) uint8"""
        return load_image(Path(self.samples[index].path), self.preprocessing)[None]

    def __len__(self) -> int:
        return len(self.samples)


@dataclass(frozen=True)
class Recipe:
    """One way to quantize. `settings` are what differs from the tool's defaults, for the result's text and its key."""

    name: str
    backend: str
    settings: Mapping[str, str]
    make: Callable[[Path, Shots, Path], None]


def recipes(backend: str) -> tuple[Recipe, ...]:
    """The alternatives for a runtime."""
    return {"onnxruntime": _onnxruntime_recipes(), "openvino": _nncf_recipes()}[backend]


def compiled(recipe: Recipe, folder: Path, version: str) -> Compiled:
    """What edgetl's own backend needs to open the model, so that both run through the same code."""
    files = tuple(sorted(path.name for path in folder.iterdir()))
    return Compiled(recipe.backend, version, "int8", _MODEL[recipe.backend], files)


def _onnxruntime_recipes() -> tuple[Recipe, ...]:
    common = {"format": "QDQ", "per_channel": "true", "activations": "uint8", "weights": "int8"}
    return tuple(
        Recipe(
            f"quantize_static {method.lower()}",
            "onnxruntime",
            {**common, "calibration": method},
            lambda pivot, shots, out, method=method: _quantize_static(pivot, shots, out, method),  # type: ignore[misc]
        )
        for method in ("MinMax", "Percentile", "Entropy")
    )


def _nncf_recipes() -> tuple[Recipe, ...]:
    return tuple(
        Recipe(
            f"nncf {preset.lower()}",
            "openvino",
            {"preset": preset, "from": "convert_model", "fast_bias_correction": "true", "subset_size": "all shots"},
            lambda pivot, shots, out, preset=preset: _nncf(pivot, shots, out, preset),  # type: ignore[misc]
        )
        for preset in ("PERFORMANCE", "MIXED")
    )


def _quantize_static(pivot: Path, shots: Shots, out: Path, method: str) -> None:
    import_onnxruntime()
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = out / "prepared.onnx"
    quant_pre_process(str(pivot), str(prepared))
    names = [node.name for node in onnx.load_model(prepared).graph.node]
    histogram = method != "MinMax"
    quantize_static(
        str(prepared),
        str(out / _MODEL["onnxruntime"]),
        _reader(shots),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        nodes_to_exclude=[name for name in names if name.startswith(_PREPROCESSING_NODES)],
        calibrate_method=getattr(CalibrationMethod, method),
        extra_options={"CalibStridedMinMax": _stride(len(shots))} if histogram else {},
    )
    prepared.unlink()


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
            return None if index is None else {INPUT_NAME: shots.image(index)}

    return Reader()


def _stride(images: int) -> int:
    # the calibrator takes divisors only
    return max(size for size in range(1, _HELD_IMAGES + 1) if images % size == 0)


def _nncf(pivot: Path, shots: Shots, out: Path, preset: str) -> None:
    openvino = import_openvino()
    nncf = _import_nncf()
    quantized = nncf.quantize(
        # not Core.read_model: NNCF leaves the depthwise convolutions of what that gives in float
        openvino.convert_model(str(pivot)),
        nncf.Dataset(range(len(shots)), lambda index: {INPUT_NAME: shots.image(index)}),
        preset=getattr(nncf.QuantizationPreset, preset),
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
