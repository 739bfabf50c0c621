"""Training views of images: one affine resampling and light color changes, a pure function of images and generator."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from edgetl.errors import UsageError
from edgetl.files.text import nearest


@dataclass(frozen=True)
class _Ranges:
    """Largest changes; `scale` and `aspect` are log-uniform factors, `shift` a share of the side, colors relative."""

    rotate_degrees: float = 0.0
    shear_degrees: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    aspect: float = 1.0
    shift: float = 0.0
    flip: bool = False
    quarter_turns: bool = False
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    padding: str = "reflection"


_POLICIES = {
    "none": _Ranges(),
    "light": _Ranges(5, 0, (0.95, 1.1), 1.03, 0.04, brightness=0.1, contrast=0.1),
    "text": _Ranges(12, 10, (0.85, 1.15), 1.12, 0.08, brightness=0.1, contrast=0.15, padding="border"),
    "natural": _Ranges(8, 0, (0.9, 1.3), 1.1, 0.06, flip=True, brightness=0.15, contrast=0.15, saturation=0.15),
    "overhead": _Ranges(
        10, 0, (0.9, 1.25), 1.06, 0.05, flip=True, quarter_turns=True, brightness=0.15, contrast=0.15, saturation=0.1
    ),
}


@dataclass(frozen=True)
class Augment:
    """Random views under one policy: `none`, `light`, `text` (no flips), `natural` (left-right flips), `overhead`
    (flips and quarter turns; half turns if the image is not square)."""

    policy: str
    height: int
    width: int

    def __post_init__(self) -> None:
        if self.policy not in _POLICIES:
            raise UsageError(f"unknown augmentation policy `{self.policy}`; {nearest(self.policy, _POLICIES)}")

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """images uint8 (N, 3, height, width) -> float32 of the same shape, in 0..255, on the same device.

        `generator` lives on the CPU, so that the views are the same on every device.
        """
        if images.dtype != torch.uint8 or images.shape[1:] != (3, self.height, self.width):
            raise ValueError(f"expected uint8 (N, 3, {self.height}, {self.width}); got {images.dtype} {images.shape}")
        ranges = _POLICIES[self.policy]
        if self.policy == "none" or len(images) == 0:
            return images.float()
        moved = self._move(images.float(), _Draw(len(images), generator), ranges)
        return _recolor(moved, _Draw(len(images), generator), ranges)

    def _move(self, images: Tensor, draw: _Draw, ranges: _Ranges) -> Tensor:
        aspect = self.width / self.height
        matrix = _matrix(draw, ranges, square=self.width == self.height)
        # from pixels to the coordinates of grid_sample, where both sides run from -1 to 1
        matrix[:, 0, 1] /= aspect
        matrix[:, 1, 0] *= aspect
        shift = torch.stack([draw.within(2 * ranges.shift), draw.within(2 * ranges.shift)], 1)
        theta = torch.cat([matrix, shift[:, :, None]], 2).to(images.device)
        grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
        return functional.grid_sample(images, grid, mode="bilinear", padding_mode=ranges.padding, align_corners=False)


class _Draw:
    """Uniform numbers for a batch, one (N,) tensor per call."""

    def __init__(self, count: int, generator: torch.Generator) -> None:
        self._count, self._generator = count, generator

    def within(self, largest: float) -> Tensor:
        return (torch.rand(self._count, generator=self._generator) * 2 - 1) * largest

    def factor(self, low: float, high: float) -> Tensor:
        uniform = torch.rand(self._count, generator=self._generator)
        return torch.exp(uniform * (math.log(high) - math.log(low)) + math.log(low))

    def integer(self, below: int) -> Tensor:
        return torch.randint(below, (self._count,), generator=self._generator)


def _matrix(draw: _Draw, ranges: _Ranges, *, square: bool) -> Tensor:
    """(N, 2, 2), from output to input positions in pixels: rotation after shear after scale after flip."""
    turns = draw.integer(4) if square else draw.integer(2) * 2
    angle = torch.deg2rad(draw.within(ranges.rotate_degrees))
    if ranges.quarter_turns:
        angle = angle + turns * (math.pi / 2)
    shear = torch.tan(torch.deg2rad(draw.within(ranges.shear_degrees)))
    scale, aspect = draw.factor(*ranges.scale), draw.factor(1 / ranges.aspect, ranges.aspect)
    mirror = 1 - 2 * draw.integer(2) if ranges.flip else torch.ones(len(angle))
    along_x, along_y = mirror / (scale * aspect.sqrt()), aspect.sqrt() / scale
    cos, sin = angle.cos(), angle.sin()
    return torch.stack(
        [
            torch.stack([cos * along_x, (cos * shear - sin) * along_y], 1),
            torch.stack([sin * along_x, (sin * shear + cos) * along_y], 1),
        ],
        1,
    )


def _recolor(images: Tensor, draw: _Draw, ranges: _Ranges) -> Tensor:
    def gain(largest: float) -> Tensor:
        return (1 + draw.within(largest)).to(images.device)[:, None, None, None]

    mean = images.mean((1, 2, 3), keepdim=True)
    images = (images - mean) * gain(ranges.contrast) + mean * gain(ranges.brightness)
    if ranges.saturation:
        gray = images.mean(1, keepdim=True)
        images = gray + (images - gray) * gain(ranges.saturation)
    return images.clamp(0, 255)
