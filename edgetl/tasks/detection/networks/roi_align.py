"""The features of regions, in operators that every runtime has.

He et al., Mask R-CNN, arXiv 1703.06870, section 3; levels: Lin et al., Feature Pyramid Networks, arXiv 1612.03144,
equation 1. Bilinear sampling is separable: one matrix per region picks rows, another one columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import torch
from torch import Tensor

SIZE = 7
"""Rows and columns of a region's features."""
SAMPLES = 2
"""Per row and column, whose mean is taken."""

_SIDE, _STRIDE = 224, 16  # a region of this side takes the features of this stride; of half the side, half the stride


def align_regions(maps: Sequence[Tensor], strides: Sequence[int], regions: Tensor) -> Tensor:
    """maps (N, C, h, w), one for each of `strides`; regions (N, R, 4), corners in input pixels -> (N * R, C, 7, 7).

    Equals torchvision's MultiScaleRoIAlign with a sampling ratio of 2 for regions inside the input.
    """
    sides = (regions[..., 2:] - regions[..., :2]).prod(2).sqrt()
    total: Tensor | None = None
    for level, (features, stride) in enumerate(zip(maps, strides, strict=True)):
        low = _SIDE * stride / _STRIDE if level else -inf
        high = 2 * _SIDE * stride / _STRIDE if level + 1 < len(maps) else inf
        here = ((sides >= low) & (sides < high)).to(features)
        sampled = _sampled(features, regions / stride, here)
        total = sampled if total is None else total + sampled
    assert total is not None
    return total.flatten(0, 1).transpose(1, 2).contiguous()


def _sampled(features: Tensor, regions: Tensor, here: Tensor) -> Tensor:
    """(N, R, 7, C, 7); zero where `here` (N, R) is."""
    _, channels, height, width = features.shape
    rows = _weights(regions[..., 1], regions[..., 3], height) * here[..., None, None]
    columns = _weights(regions[..., 0], regions[..., 2], width)
    lines = rows.flatten(1, 2) @ features.transpose(1, 2).flatten(2)  # (N, R * 7, C * w)
    lines = torch.unflatten(torch.unflatten(lines, 2, (channels, width)), 1, (-1, SIZE))
    regular = lines.flatten(2, 3) @ columns.transpose(2, 3)  # (N, R, 7 * C, 7)
    return torch.unflatten(regular, 2, (SIZE, channels))


def _weights(low: Tensor, high: Tensor, size: int) -> Tensor:
    """(N, R, 7, size): how much each of `size` pixels counts for each of 7 parts of the range from low to high."""
    steps = (torch.arange(SIZE * SAMPLES, device=low.device) + 0.5) / (SIZE * SAMPLES)
    samples = (low[..., None] + (high - low).clamp(min=1)[..., None] * steps).clamp(0, size - 1)
    distances = samples[..., None] - torch.arange(size, device=low.device)
    weights = (1 - distances.abs()).clamp(min=0)
    return torch.unflatten(weights, 2, (SIZE, SAMPLES)).mean(3)
