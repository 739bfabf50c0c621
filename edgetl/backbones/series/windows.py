"""Windows as network inputs, with the functions that `edgetl.backbones.examples` asks every front for."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgetl.backbones.series.views import SeriesViews
from edgetl.fronts.series.scale import factors
from edgetl.types import SeriesPreprocessing


def raw(windows: NDArray[np.float32]) -> Tensor:
    """float32 (n, steps, channels), the same memory."""
    return torch.from_numpy(windows)


def views(policy: str, p: SeriesPreprocessing) -> SeriesViews:
    """Training views. Raises UsageError for an unknown policy."""
    return SeriesViews(policy, p.std)


def normalize(windows: Tensor, p: SeriesPreprocessing) -> Tensor:
    """float32 (n, steps, channels) -> (n, channels, steps), on the same device: the steps of the exported graph."""
    mean, factor = (torch.from_numpy(each).to(windows.device) for each in factors(p))
    scaled: Tensor = (windows - mean) * factor
    return scaled.transpose(1, 2).contiguous()


of_view = normalize


def as_exported(windows: NDArray[np.float32], p: SeriesPreprocessing) -> Tensor:
    """float32 (n, steps, channels) -> (n, channels, steps)."""
    return normalize(raw(windows), p)


def noise(p: SeriesPreprocessing, count: int) -> Tensor:
    """float32 (count, steps, channels): random walks in the channels' own units."""
    draws = torch.randn(count, p.steps, len(p.mean), generator=torch.Generator().manual_seed(0))
    walks = draws.cumsum(1) / math.sqrt(p.steps)
    return (walks + draws) * torch.tensor(p.std) + torch.tensor(p.mean)


def pictures(windows: Tensor, p: SeriesPreprocessing) -> NDArray[np.uint8]:
    """(n, 3, channels, steps): values in gray, from three standard deviations below the mean to three above."""
    gray = (normalize(windows, p) * (255 / 6) + 127.5).clamp(0, 255).round().to(torch.uint8)
    found: NDArray[np.uint8] = gray[:, None].expand(-1, 3, -1, -1).contiguous().numpy()
    return found
