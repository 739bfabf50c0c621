"""Training views of clips: shifted, slower or faster, louder or quieter, noisier; a pure function of clips and
generator."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from edgetl.errors import UsageError
from edgetl.files.text import nearest

_LOWEST, _HIGHEST = -32768, 32767
_QUIETEST_DB = 40.0  # noise this far under a clip is not heard


@dataclass(frozen=True)
class _Ranges:
    """Largest changes. speed  log-uniform factor;  noise_db  how far under the clip white noise is at its loudest"""

    shift_s: float = 0.0
    speed: float = 1.0
    gain_db: float = 0.0
    noise_db: float = _QUIETEST_DB


# measured on held-out speakers of the shots: docs/decisions/0025-audio-front.md
_POLICIES = {
    "none": _Ranges(),
    "light": _Ranges(shift_s=0.1, speed=1.05),
    "speech": _Ranges(shift_s=0.2, speed=1.1, gain_db=6, noise_db=15),
    "sounds": _Ranges(shift_s=0.2, gain_db=6, noise_db=20),
}


@dataclass(frozen=True)
class SoundViews:
    """Random views of clips under one policy: `none`, `light`, `speech`, or `sounds`, which keeps the pitch."""

    policy: str
    rate_hz: int

    def __post_init__(self) -> None:
        if self.policy not in _POLICIES:
            raise UsageError(f"unknown augmentation policy `{self.policy}`; {nearest(self.policy, _POLICIES)}")

    def __call__(self, clips: Tensor, generator: torch.Generator) -> Tensor:
        """clips int16 (N, samples) -> float32 of the same shape, in -32768..32767, on the same device.

        `generator` lives on the CPU, so that the draws are the same on every device.
        """
        if clips.dtype != torch.int16 or clips.ndim != 2:
            raise ValueError(f"expected int16 (N, samples); got {clips.dtype} {tuple(clips.shape)}")
        if self.policy == "none" or len(clips) == 0:
            return clips.float()
        ranges, count = _POLICIES[self.policy], len(clips)
        shift, speed, gain, quiet = (2 * torch.rand(4, count, generator=generator) - 1).to(clips.device)
        noise = torch.randn(clips.shape, generator=generator).to(clips.device)
        moved = _moved(clips.float(), shift * ranges.shift_s * self.rate_hz, torch.exp(speed * math.log(ranges.speed)))
        louder = moved * _factor(gain * ranges.gain_db)
        loudness = louder.square().mean(1, keepdim=True).sqrt()
        under = ranges.noise_db + (quiet + 1) / 2 * (_QUIETEST_DB - ranges.noise_db)
        if ranges.noise_db < _QUIETEST_DB:
            louder = louder + noise * loudness * _factor(-under)
        return louder.clamp(_LOWEST, _HIGHEST)


def _factor(decibels: Tensor) -> Tensor:
    return (10 ** (decibels / 20))[:, None]


def _moved(clips: Tensor, shift: Tensor, speed: Tensor) -> Tensor:
    """Each clip (N, S) at its speed around its middle, and later by `shift` samples; silence comes in at the ends."""
    samples = clips.shape[1]
    middle = (samples - 1) / 2
    # grid_sample divides positions by the length; with the two neighbors weighted here, a whole shift is exact
    places = torch.arange(samples, device=clips.device) - middle
    sources = (places[None] - shift.round()[:, None]) * speed[:, None] + middle
    left = sources.floor()
    share = sources - left
    padded = functional.pad(clips, (1, 1))
    first = left.long().clamp(-1, samples) + 1
    second = (left.long() + 1).clamp(-1, samples) + 1
    return padded.gather(1, first) * (1 - share) + padded.gather(1, second) * share
