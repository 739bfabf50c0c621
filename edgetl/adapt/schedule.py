"""The learning-rate schedule of a training."""

from __future__ import annotations

import math

_WARM_UP = 0.1  # share of the steps


def rate_factor(step: int, steps: int) -> float:
    """Factor on the peak rate: linear warm-up, then half a cosine to zero (arXiv:1608.03983, eq. 5)."""
    warm_up = max(1, round(_WARM_UP * steps))
    if step < warm_up:
        return (step + 1) / (warm_up + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))
