"""Found objects, and how the outputs of a network become them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Le

from edgetl.types.ports import STRICT

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BOXES, SCORES = "boxes", "scores"
"""Outputs of every deployed detector: float32 (N, A, 4), corners x0 y0 x1 y1 in input pixels, and float32 (N, A, C), a
score from 0 to 1 for each of the C classes."""

LOWEST_SCORE = 0.01
"""Objects with lower scores do not count when average precision is measured."""


@dataclass(frozen=True)
class Postprocess:
    """How outputs become objects, on the device as here.

    score_threshold  objects with lower scores are not reported
    iou_threshold    of two objects of one class with a larger overlap only the better one is
    max_candidates   only so many of the best scores of an image are looked at
    max_detections   reported for an image at most
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    kind: Literal["detection"] = "detection"
    score_threshold: Annotated[float, Ge(0), Le(1)] = LOWEST_SCORE
    iou_threshold: Annotated[float, Ge(0), Le(1)] = 0.6
    max_candidates: Annotated[int, Ge(1), Le(10_000)] = 1000
    max_detections: Annotated[int, Ge(1), Le(1000)] = 100


@dataclass(frozen=True)
class Detections:
    """The objects found in one image, best score first.

    boxes   float32 (K, 4), corners in pixels of the image as decoded
    scores  float32 (K,)
    labels  int64 (K,), indices of the classes
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]
