"""The effect of camera and light on an image, in six numbers per thumbnail; a good network partly ignores it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NAMES = ("brightness", "contrast", "darkest", "brightest", "fine_detail", "coarse_detail")
"""All in gray levels, 0..255."""


def looks(thumbnails: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(N, 6) of gray thumbnails (N, S, S): mean, standard deviation, 5th and 95th percentile, and the logarithm of the
    mean absolute difference of neighboring pixels at full and at a quarter of the size."""
    plane = thumbnails.astype(np.float32)
    side = plane.shape[1] // 4 * 4
    coarse = plane[:, :side, :side].reshape(len(plane), side // 4, 4, side // 4, 4).mean(axis=(2, 4))
    low, high = np.percentile(plane, (5, 95), axis=(1, 2))
    columns = (plane.mean(axis=(1, 2)), plane.std(axis=(1, 2)), low, high, _detail(plane), _detail(coarse))
    return np.stack(columns, axis=1).astype(np.float32)


def _detail(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    across = np.abs(np.diff(plane, axis=2)).mean(axis=(1, 2))
    down = np.abs(np.diff(plane, axis=1)).mean(axis=(1, 2))
    # the logarithm turns light times detail into a sum; half a level keeps blank images finite
    return np.asarray(np.log((across + down) / 2 + 0.5), dtype=np.float32)
