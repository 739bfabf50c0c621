"""Clips as network inputs, with the functions that `edgetl.backbones.examples` asks every front for."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgetl.backbones.audio.front_end import MelFrontEnd
from edgetl.backbones.audio.views import SoundViews
from edgetl.types import AudioPreprocessing

_NOISE = 1000.0  # standard deviation of samples, a quiet hiss


def raw(clips: NDArray[np.int16]) -> Tensor:
    """int16 (n, samples), the same memory."""
    return torch.from_numpy(clips)


def views(policy: str, p: AudioPreprocessing) -> SoundViews:
    """Training views. Raises UsageError for an unknown policy."""
    return SoundViews(policy, p.rate_hz)


@torch.no_grad()
def normalize(clips: Tensor, p: AudioPreprocessing) -> Tensor:
    """(n, samples), int16 or float -> float32 (n, 1, frames, features), on the same device."""
    frames: Tensor = _front_end(p, clips.device)(clips)
    return frames


of_view = normalize


def as_exported(clips: NDArray[np.int16], p: AudioPreprocessing) -> Tensor:
    """int16 (n, samples) -> float32 (n, 1, frames, features). Runtimes add up in another order: equal to some 1e-5."""
    return normalize(raw(clips), p)


def noise(p: AudioPreprocessing, count: int) -> Tensor:
    """float32 (count, samples) of white noise."""
    return _NOISE * torch.randn(count, p.samples, generator=torch.Generator().manual_seed(0))


def pictures(clips: Tensor, p: AudioPreprocessing) -> NDArray[np.uint8]:
    """(n, 3, frames, features): mel frames in gray, each clip from its lowest to its highest value."""
    frames = normalize(clips, p)
    low, high = frames.amin((1, 2, 3), keepdim=True), frames.amax((1, 2, 3), keepdim=True)
    gray = (255 * (frames - low) / (high - low).clamp_min(1e-6)).round().to(torch.uint8)
    return gray.expand(-1, 3, -1, -1).contiguous().numpy()


@lru_cache(maxsize=8)
def _front_end(p: AudioPreprocessing, device: torch.device) -> MelFrontEnd:
    return MelFrontEnd(p).requires_grad_(False).eval().to(device)
