"""`(x - mean) / std` as the graph computes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgetl.types import SeriesPreprocessing


def factors(p: SeriesPreprocessing) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and 1 / std of the channels, float32 (channels,): (x - mean) * factor, both rounded to float32."""
    return np.array(p.mean, np.float32), (1 / np.array(p.std, np.float64)).astype(np.float32)
