"""Turns bytes into a network's input, (x / 255 - mean) / std, with the arithmetic of the exported graph."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgetl.types import ImagePreprocessing


def affine(p: ImagePreprocessing) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(x / 255 - mean) / std as one multiplication and one addition: x * scale + offset, each float32 (3,)."""
    mean, std = np.asarray(p.mean, np.float64), np.asarray(p.std, np.float64)
    return (1 / (255 * std)).astype(np.float32), (-mean / std).astype(np.float32)


def normalize(images: NDArray[np.uint8], p: ImagePreprocessing) -> NDArray[np.float32]:
    """What the graph's first nodes compute: uint8 (N, H, W, 3) -> float32 (N, 3, H, W)."""
    scale, offset = affine(p)
    planes = images.transpose(0, 3, 1, 2).astype(np.float32)
    result: NDArray[np.float32] = planes * scale.reshape(1, 3, 1, 1) + offset.reshape(1, 3, 1, 1)
    return result
