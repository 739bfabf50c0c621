"""Made-up pictures of four classes, for networks of a few thousand weights. Needs numpy alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SIZE, LABELS = 16, ("dark", "red", "green", "blue")


def pictures(count: int, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """uint8 (count, 16, 16, 3) and their classes: noise with one channel a little brighter, or none."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % len(LABELS)
    pixels = rng.normal(100, 35, (count, SIZE, SIZE, 3)) + rng.normal(0, 18, (count, 1, 1, 3))
    for channel in range(3):
        pixels[labels == channel + 1, :, :, channel] += 40
    return np.clip(pixels, 0, 255).astype(np.uint8), labels.astype(np.int64)
