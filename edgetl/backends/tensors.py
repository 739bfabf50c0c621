"""Checks that every engine makes before it passes an array to native code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgetl.errors import BackendError
from edgetl.types import INPUT_NAME

if TYPE_CHECKING:
    from edgetl.types import Tensors


def images_of(inputs: Tensors, height: int, width: int) -> NDArray[np.uint8]:
    """The one input, C-contiguous uint8 (N, height, width, 3) with N >= 1. Raises BackendError otherwise."""
    wanted = f"expected one input `{INPUT_NAME}`, uint8 (N, {height}, {width}, 3)"
    if set(inputs) != {INPUT_NAME}:
        raise BackendError(f"{wanted}; found {', '.join(f'`{name}`' for name in sorted(inputs)) or 'none'}")
    images = inputs[INPUT_NAME]
    if not isinstance(images, np.ndarray):
        raise BackendError(f"{wanted}; found a {type(images).__name__}")
    if images.dtype != np.uint8:
        raise BackendError(f"{wanted}; found {images.dtype}")
    if images.ndim != 4 or images.shape[1:] != (height, width, 3) or images.shape[0] < 1:
        raise BackendError(f"{wanted}; found shape {tuple(images.shape)}")
    return np.ascontiguousarray(images, dtype=np.uint8)


def logits_of(output: object) -> NDArray[np.float32]:
    """A copy of a runtime's output as a float32 (N, classes) array."""
    return np.array(output, dtype=np.float32, copy=True)


def model_file(folder: Path, name: str) -> Path:
    """The model inside a compiled folder. Raises BackendError if it is missing."""
    path = folder / name
    if not path.is_file():
        raise BackendError(f"{path}: the compiled model is missing; compile again or copy the whole folder")
    return path


def check_threads(threads: int) -> None:
    if threads < 1:
        raise BackendError(f"threads: expected at least 1; found {threads}")
