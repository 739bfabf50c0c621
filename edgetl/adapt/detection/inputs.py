"""The inputs of a training step: cached features of a few views of each image, or a new view of its pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from edgetl.adapt.detection.shots import Shots
from edgetl.adapt.detection.views import Move, Ranges, draw, flips, move_images, move_targets, recolor
from edgetl.backbones.pixels import normalize
from edgetl.tasks.detection.networks.base import Targets
from edgetl.types import Advance

Given = Tensor | tuple[Tensor, ...]
"""Normalized images (N, 3, H, W), or the features (N, C, h, w) of each level."""
Features = Callable[[Tensor], tuple[Tensor, ...]]
_AT_ONCE = 4  # images: activations of more do not fit the cache of a core


@dataclass(frozen=True)
class Batch:
    given: Given
    targets: list[Targets]


class Inputs(Protocol):
    def batch(self, indices: Sequence[int], generator: torch.Generator) -> Batch:
        """One random view of each of the images `indices`."""
        ...


class FreshViews:
    """A new view in every step."""

    def __init__(self, shots: Shots, ranges: Ranges, device: torch.device) -> None:
        self._shots, self._ranges, self._device = shots, ranges, device

    def batch(self, indices: Sequence[int], generator: torch.Generator) -> Batch:
        p = self._shots.preprocessing
        move = draw(len(indices), self._ranges, p.height, p.width, generator)
        return Batch(*_look(self._shots, indices, move, self._ranges, generator, self._device))


class CachedViews:
    """Features of a frozen backbone for a fixed set of views of each image: first the flips, then random ones.

    features  for each level float32 (V, N, C, h, w);  targets  of each view and image
    """

    def __init__(self, features: tuple[Tensor, ...], targets: Sequence[Sequence[Targets]]) -> None:
        self._features, self._targets = features, targets

    def batch(self, indices: Sequence[int], generator: torch.Generator) -> Batch:
        views = torch.randint(len(self._targets), (len(indices),), generator=generator).tolist()
        given = tuple(level[views, list(indices)] for level in self._features)
        return Batch(given, [self._targets[view][index] for view, index in zip(views, indices, strict=True)])


def cached_views(
    features: Features, shots: Shots, ranges: Ranges, views: int, seed: int, device: torch.device, advance: Advance
) -> CachedViews:
    """Run the frozen backbone, `features`, over `views` views of every image. The first are the flips that `ranges`
    allows."""
    p = shots.preprocessing
    generator = torch.Generator().manual_seed(seed)
    plain = flips(ranges, p.height, p.width)
    levels: list[list[Tensor]] = []
    targets: list[list[Targets]] = []
    for view in range(views):
        rows: list[tuple[Tensor, ...]] = []
        seen: list[Targets] = []
        for start in range(0, len(shots), _AT_ONCE):
            indices = range(start, min(start + _AT_ONCE, len(shots)))
            given = plain[view].times(len(indices)) if view < len(plain) else None
            move = given or draw(len(indices), ranges, p.height, p.width, generator)
            images, own = _look(shots, indices, move, ranges if given is None else Ranges(), generator, device)
            with torch.no_grad():
                rows.append(features(images))
            seen += own
            advance(len(indices))
        levels.append([torch.cat(level) for level in zip(*rows, strict=True)])
        targets.append(seen)
    return CachedViews(tuple(torch.stack(level) for level in zip(*levels, strict=True)), targets)


def _look(
    shots: Shots, indices: Sequence[int], move: Move, ranges: Ranges, generator: torch.Generator, device: torch.device
) -> tuple[Tensor, list[Targets]]:
    p = shots.preprocessing
    pixels = recolor(move_images(shots.images(indices).float(), move, p.fill), ranges, generator)
    images = normalize(pixels.to(device), p).contiguous(memory_format=torch.channels_last)
    return images, move_targets([shots.targets[index] for index in indices], move, p.height, p.width)
