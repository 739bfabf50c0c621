"""The section `network` of a recipe: a trained ONNX classifier that is quantized and compiled, not adapted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from edgetl.recipes.input_size import InputSize
from edgetl.recipes.section import Section

_RGB = 3

Usual = Literal["imagenet", "tf", "unit", "bytes", "caffe"]
Color = Literal["rgb", "bgr"]
Colors = tuple[float, float, float]


@dataclass(frozen=True)
class Normalization:
    """(x / scale - mean) / std of a byte x. `mean` and `std` are in the order of the network's channels, `color`."""

    scale: float
    mean: Colors
    std: Colors
    color: Color

    def suits_gray(self) -> bool:
        """Whether it treats all colors alike."""
        return len(set(self.mean)) == len(set(self.std)) == 1 and self.color == "rgb"


USUAL: dict[Usual, Normalization] = {
    "imagenet": Normalization(255.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), "rgb"),
    "tf": Normalization(127.5, (1.0, 1.0, 1.0), (1.0, 1.0, 1.0), "rgb"),
    "unit": Normalization(255.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "rgb"),
    "bytes": Normalization(1.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "rgb"),
    "caffe": Normalization(1.0, (103.939, 116.779, 123.68), (1.0, 1.0, 1.0), "bgr"),
}
"""What libraries train with: torchvision and timm; Keras `tf` mode; 0 to 1; 0 to 255; Keras `caffe` mode."""


def _as_three(value: Any) -> Any:
    values = [value] if isinstance(value, (int, float)) else value
    return tuple(values) * _RGB if isinstance(values, (list, tuple)) and len(values) == 1 else values


_NUMBER = {"type": "number"}
_ThreeSchema = WithJsonSchema({"anyOf": [_NUMBER, {"type": "array", "items": _NUMBER, "maxItems": 3}]})
_Mean = Annotated[Colors, BeforeValidator(_as_three), _ThreeSchema]
_Deviation = Annotated[float, Field(gt=1e-6, le=1e6)]
_Std = Annotated[tuple[_Deviation, _Deviation, _Deviation], BeforeValidator(_as_three), _ThreeSchema]


class Network(Section):
    """A trained float ONNX classifier of images, instead of `backbone` (`edgetl import` writes this section). It is
    quantized by calibration; nothing is trained."""

    file: str
    """ONNX file, opset 13 to 23: one image in, one row of class scores out. Relative to the recipe."""
    classes: str | None = None
    """Text file with one class name per line, in the order of the scores. Needed if the data does not have all
    classes of the network, or in another order than that of their sorted names. Relative to the recipe."""
    output: str | None = None
    """Name of the output with the class scores, if the file has several."""
    layout: Literal["auto", "nchw", "nhwc"] = "auto"
    """Order of the input's sizes. auto: by where the 3 color channels are."""
    normalize: Literal["auto"] | Usual = "auto"
    """How bytes become the network's input. imagenet: torchvision and timm. tf: from -1 to 1. unit: from 0 to 1.
    bytes: from 0 to 255. caffe: BGR bytes minus a mean. auto: bytes for an input of bytes, unit for gray, else
    imagenet. Arithmetic in the network's graph comes on top."""
    scale: Annotated[float, Field(gt=1e-6, le=1e6)] | None = None
    """Bytes are divided by it first: (x / scale - mean) / std. Omitted, like the next two: as `normalize` says."""
    mean: _Mean | None = None
    """Subtracted after that: one number, or three in the order of the network's channels."""
    std: _Std | None = None
    """Divided by last."""
    color: Literal["auto"] | Color = "auto"
    """Order of the network's channels. auto: bgr with `normalize: caffe`, else rgb."""
    input_size: InputSize | None = None
    """Side of the square input in pixels, or `[height, width]`, if the file leaves it open."""
    crop_pct: Annotated[float, Field(ge=0.05, le=1)] = 0.875
    """Part of the resized image that `data.resize: crop` keeps."""
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    """Filter for resizing."""

    def normalization(self, *, takes_bytes: bool, gray: bool = False) -> Normalization:
        """takes_bytes  whether the network's input is uint8; gray  whether it has one channel"""
        auto: Usual = "bytes" if takes_bytes else "unit" if gray else "imagenet"
        usual = USUAL[auto if self.normalize == "auto" else self.normalize]
        return Normalization(
            usual.scale if self.scale is None else self.scale,
            usual.mean if self.mean is None else self.mean,
            usual.std if self.std is None else self.std,
            usual.color if self.color == "auto" else self.color,
        )

    def height_and_width(self) -> tuple[int, int] | None:
        """Sides of the input in pixels; None for those of the file."""
        size = self.input_size
        return (size, size) if isinstance(size, int) else size

    def identity(self) -> dict[str, Any]:
        """The values that a result depends on; the files count by their content."""
        return self.model_dump(mode="json", exclude={"file", "classes"})


def with_backbone_of_network(values: Any) -> Any:
    """The values of a recipe; one with a network gets a backbone of its name, for the report. Raises ValueError."""
    if not isinstance(values, dict) or not isinstance(values.get("network"), dict):
        return values
    file = values["network"].get("file")
    own = {"name": f"onnx:{PurePath(file).name}" if isinstance(file, str) else "onnx:"}
    if values.get("backbone", own) != own:
        raise ValueError("backbone and network exclude each other; keep one of them")
    return {**values, "backbone": own}
