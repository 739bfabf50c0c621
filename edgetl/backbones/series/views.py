"""Training views of windows: noisier, larger or smaller, earlier or later, faster or slower; a pure function of windows
and generator."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from edgetl.errors import UsageError
from edgetl.files.text import nearest


@dataclass(frozen=True)
class _Ranges:
    """Largest changes. noise  deviation, as a share of the channel's;  scale  log-uniform factor around the channel's
    mean in the window;  shift  share of the window;  speed  log-uniform factor"""

    noise: float = 0.0
    scale: float = 1.0
    shift: float = 0.0
    speed: float = 1.0


_POLICIES = {"none": _Ranges(), "light": _Ranges(noise=0.05, scale=1.1, shift=0.05, speed=1.05)}


@dataclass(frozen=True)
class SeriesViews:
    """Random views of windows under one policy: `none` or `light`. std  of the channels"""

    policy: str
    std: Sequence[float]

    def __post_init__(self) -> None:
        if self.policy not in _POLICIES:
            raise UsageError(f"unknown augmentation policy `{self.policy}`; {nearest(self.policy, _POLICIES)}")

    def __call__(self, windows: Tensor, generator: torch.Generator) -> Tensor:
        """float32 (N, steps, channels) -> the same shape, on the same device.

        `generator` lives on the CPU, so that the draws are the same on every device. What moves in at an end is the
        window's first or last time step.
        """
        if windows.dtype != torch.float32 or windows.ndim != 3:
            raise ValueError(f"expected float32 (N, steps, channels); got {windows.dtype} {tuple(windows.shape)}")
        if self.policy == "none" or len(windows) == 0:
            return windows
        ranges, (count, steps, channels) = _POLICIES[self.policy], windows.shape
        shift, speed = (2 * torch.rand(2, count, generator=generator) - 1).to(windows.device)
        scale = (2 * torch.rand(count, 1, channels, generator=generator) - 1).to(windows.device)
        noise = torch.randn(windows.shape, generator=generator).to(windows.device)
        moved = _moved(windows, shift * ranges.shift * steps, torch.exp(speed * math.log(ranges.speed)))
        mean = moved.mean(1, keepdim=True)
        larger = (moved - mean) * torch.exp(scale * math.log(ranges.scale)) + mean
        return larger + noise * ranges.noise * torch.tensor(self.std, device=windows.device)


def _moved(windows: Tensor, shift: Tensor, speed: Tensor) -> Tensor:
    """Each window (N, T, C) at its speed around its middle, and later by `shift` steps; ends are continued."""
    steps = windows.shape[1]
    middle = (steps - 1) / 2
    places = torch.arange(steps, device=windows.device) - middle
    sources = ((places[None] - shift[:, None]) * speed[:, None] + middle).clamp(0, steps - 1)
    left = sources.floor().long()
    right = (left + 1).clamp(max=steps - 1)
    share = (sources - left)[:, :, None]
    rows = torch.arange(len(windows), device=windows.device)[:, None]
    return windows[rows, left] * (1 - share) + windows[rows, right] * share
