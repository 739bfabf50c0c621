"""MiniRocket: fixed kernels of nine weights at several dilations, and how often their response exceeds thresholds.

Dempster, Schmidt and Webb, "MiniRocket: A Very Fast (Almost) Deterministic Transform for Time Series Classification",
KDD 2021. What differs: responses are brought to mean 0 and variance 1 by a batch norm, whose statistics are those of
the shots, so that the thresholds are quantiles of the normal distribution; and the means of 16 parts of each channel
are features too, because a share does not know the level (docs/decisions/0028-series.md).
"""

from __future__ import annotations

import math
from itertools import combinations

import torch
from torch import Tensor, nn

_LENGTH, _TWOS = 9, 3  # weights of a kernel: three times 2, six times -1
_QUANTILES = 4
_PARTS = 16  # or up to twice as many: each has the same number of time steps
_MOST_DILATIONS = 6
_MOST_CHANNELS = 9  # of a kernel
_FEATURE_EPS = 2.5e-3  # a feature that is nearly constant on a few shots must not decide


class FixedConv1d(nn.Conv1d):
    """A convolution whose weights are never trained."""

    def __init__(self, entering: int, channels: int, length: int, dilation: int) -> None:
        super().__init__(entering, channels, length, padding=dilation * (length // 2), dilation=dilation, bias=False)
        weight = self.weight.detach()
        del self.weight
        self.register_buffer("weight", weight)


class MiniRocket(nn.Module):
    """Windows (N, channels, steps) -> logits (N, num_classes)."""

    def __init__(self, num_classes: int, channels: int, steps: int) -> None:
        super().__init__()
        kernels = _kernels()
        count = min(_MOST_DILATIONS, max(1, int(math.log2(max(1, (steps - 1) / (_LENGTH - 1)))) + 1))
        self.convolutions = nn.ModuleList()
        self.norms = nn.ModuleList()
        for number in range(count):
            convolution = FixedConv1d(channels, len(kernels), _LENGTH, 2**number)
            convolution.get_buffer("weight").copy_(kernels[:, None] * _chosen(len(kernels), channels)[:, :, None])
            self.convolutions.append(convolution)
            self.norms.append(nn.BatchNorm1d(len(kernels), affine=False))
        self.register_buffer("thresholds", _thresholds()[:, None], persistent=False)
        self._part = max(1, steps // _PARTS)
        features = count * len(kernels) * _QUANTILES + steps // self._part * channels
        self.scaled = nn.BatchNorm1d(features, eps=_FEATURE_EPS, affine=False)
        self.classifier = nn.Linear(features, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        thresholds = self.get_buffer("thresholds")
        found = []
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            above = norm(convolution(x))[:, :, None] > thresholds
            found.append(above.float().mean(3).flatten(1))
        whole = x.shape[2] // self._part
        parts = x[:, :, : whole * self._part].reshape(-1, x.shape[1], whole, self._part)
        found.append(parts.mean(3).flatten(1))
        logits: Tensor = self.classifier(self.scaled(torch.cat(found, 1)))
        return logits


def construct(name: str, num_classes: int, channels: int, steps: int) -> nn.Module:
    return MiniRocket(num_classes, channels, steps)


def _kernels() -> Tensor:
    """(84, 9): every way to place three twos."""
    kernels = torch.full((math.comb(_LENGTH, _TWOS), _LENGTH), -1.0)
    for row, places in zip(kernels, combinations(range(_LENGTH), _TWOS), strict=True):
        row[list(places)] = 2.0
    return kernels


def _chosen(kernels: int, channels: int) -> Tensor:
    """(kernels, channels) of zeros and ones: which channels a kernel sees, from 1 to 9 of them, few more often."""
    exponent = torch.rand(kernels) * math.log2(min(channels, _MOST_CHANNELS) + 1)
    counts = (2**exponent).long().clamp(1, channels)
    order = torch.rand(kernels, channels).argsort(1).argsort(1)
    return (order < counts[:, None]).float()


def _thresholds() -> Tensor:
    shares = (torch.arange(_QUANTILES) + 0.5) / _QUANTILES
    return math.sqrt(2) * torch.erfinv(2 * shares - 1)
