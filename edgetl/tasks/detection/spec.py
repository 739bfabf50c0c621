"""`network.json` of a detector: the values needed to rebuild it. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from edgetl.files.documents import read_document, write_document
from edgetl.types import ImagePreprocessing
from edgetl.types.ports import STRICT

Family = Literal["anchor-free", "ssd", "yolox", "faster-rcnn"]


@dataclass(frozen=True)
class DetectorSpec:
    """The values needed to rebuild a detector and fill it from a state dict.

    library, architecture, model_args  of the backbone, or of the whole network if the library has it
    arguments                          of the family: widths, default boxes, ...
    licence                            of the pretrained weights, as they state it
    score_threshold                    the best one on held-out shots; None if there were none
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    family: Family
    library: Literal["timm", "torchvision", "edgetl"]
    architecture: str
    model_args: Mapping[str, object]
    arguments: Mapping[str, object]
    num_classes: int
    preprocessing: ImagePreprocessing
    licence: str = ""
    score_threshold: float | None = None
    schema: Literal[1] = 1

    @property
    def source(self) -> str:
        """Where the pretrained weights came from, in words."""
        return f"{self.library} {self.architecture}"


def write_detector_spec(spec: DetectorSpec, path: Path) -> None:
    write_document(path, spec)


def read_detector_spec(path: Path) -> DetectorSpec:
    """Raises EdgetlError if the file is missing or damaged."""
    return read_document(path, DetectorSpec, "a detector of schema 1")
