"""Training views of images with objects: flips, zoom, shift and light color changes that move the boxes along."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from edgetl.tasks.detection.networks.base import Targets

_LEAST_VISIBLE = 0.4  # share of an object's area; what is cut off more is neither object nor background
_LEAST_SIDE = 2.0  # pixels of an object that is still one


@dataclass(frozen=True)
class Ranges:
    """Largest changes; `zoom` and `aspect` are log-uniform factors, `shift` a share of the side, colors relative."""

    zoom: tuple[float, float] = (1.0, 1.0)
    aspect: float = 1.0
    shift: float = 0.0
    mirror: bool = False
    upside_down: bool = False
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0


_GEOMETRY = {"zoom": (0.75, 1.35), "aspect": 1.1, "shift": 0.1}
_COLOR = {"brightness": 0.15, "contrast": 0.15}
_POLICIES = {
    "none": Ranges(),
    "light": Ranges((0.9, 1.15), 1.05, 0.05, brightness=0.1, contrast=0.1),
    "text": Ranges(**_GEOMETRY, **_COLOR),  # type: ignore[arg-type]
    "natural": Ranges(**_GEOMETRY, **_COLOR, saturation=0.15, mirror=True),  # type: ignore[arg-type]
    "overhead": Ranges(**_GEOMETRY, **_COLOR, saturation=0.1, mirror=True, upside_down=True),  # type: ignore[arg-type]
}


def ranges_of(policy: str) -> Ranges:
    """The changes of one of the policies of `data.augment`; quarter turns of `overhead` are flips here, because a turn
    would change the shape of objects in an image that is not square."""
    return _POLICIES[policy]


@dataclass(frozen=True)
class Move:
    """x of a view = scale_x * x of the image + shift_x, in pixels of the input; y likewise. All (N,)."""

    scale_x: Tensor
    scale_y: Tensor
    shift_x: Tensor
    shift_y: Tensor

    def times(self, count: int) -> Move:
        """This single move for each of `count` images."""
        return Move(*(each.repeat(count) for each in (self.scale_x, self.scale_y, self.shift_x, self.shift_y)))

    def boxes(self, row: int, boxes: Tensor) -> Tensor:
        """Boxes (K, 4) of the image `row` where they lie in its view."""
        scale = torch.stack([self.scale_x[row], self.scale_y[row]]).repeat(2)
        shift = torch.stack([self.shift_x[row], self.shift_y[row]]).repeat(2)
        moved = boxes * scale + shift
        return torch.cat([torch.minimum(moved[:, :2], moved[:, 2:]), torch.maximum(moved[:, :2], moved[:, 2:])], 1)


def flips(ranges: Ranges, height: int, width: int) -> list[Move]:
    """The moves that only flip, the first one being none: 1, 2 or 4."""
    found = []
    for down in (False, True) if ranges.upside_down else (False,):
        for mirror in (False, True) if ranges.mirror else (False,):
            x, y = (-1.0, float(width)) if mirror else (1.0, 0.0), (-1.0, float(height)) if down else (1.0, 0.0)
            found.append(Move(*(torch.tensor([value]) for value in (x[0], y[0], x[1], y[1]))))
    return found


def draw(count: int, ranges: Ranges, height: int, width: int, generator: torch.Generator) -> Move:
    """A random move for each of `count` images."""

    def within(largest: float) -> Tensor:
        return (torch.rand(count, generator=generator) * 2 - 1) * largest

    def factor(low: float, high: float) -> Tensor:
        return torch.exp(torch.rand(count, generator=generator) * math.log(high / low) + math.log(low))

    def sign(wanted: bool) -> Tensor:
        return 1.0 - 2.0 * torch.randint(2, (count,), generator=generator) * wanted

    zoom, aspect = factor(*ranges.zoom), factor(1 / ranges.aspect, ranges.aspect).sqrt()
    scale_x, scale_y = zoom * aspect * sign(ranges.mirror), zoom / aspect * sign(ranges.upside_down)
    # the center of the image goes to the center of the view, moved
    shift_x = width / 2 * (1 - scale_x) + within(ranges.shift) * width
    shift_y = height / 2 * (1 - scale_y) + within(ranges.shift) * height
    return Move(scale_x, scale_y, shift_x, shift_y)


def move_images(images: Tensor, move: Move, fill: tuple[int, int, int]) -> Tensor:
    """float32 (N, 3, H, W), 0..255 -> the views, of the same shape; the color `fill` outside of the image."""
    outside = images.new_tensor(fill)[:, None, None]
    height, width = images.shape[2:]
    theta = torch.zeros(len(images), 2, 3)
    # from a view back to its image, in coordinates that run from -1 to 1
    theta[:, 0, 0], theta[:, 1, 1] = 1 / move.scale_x, 1 / move.scale_y
    theta[:, 0, 2] = (width - 2 * move.shift_x) / (width * move.scale_x) - 1
    theta[:, 1, 2] = (height - 2 * move.shift_y) / (height * move.scale_y) - 1
    grid = functional.affine_grid(theta.to(images.device), list(images.shape), align_corners=False)
    return functional.grid_sample(images - outside, grid, mode="bilinear", align_corners=False) + outside


def move_targets(targets: Sequence[Targets], move: Move, height: int, width: int) -> list[Targets]:
    """The objects where they lie in the views. Objects of which little is left become regions to ignore."""
    return [_moved(each, move.boxes(row, each.boxes), height, width) for row, each in enumerate(targets)]


def recolor(images: Tensor, ranges: Ranges, generator: torch.Generator) -> Tensor:
    """float32 (N, 3, H, W), 0..255 -> the same shape and range, in other brightness, contrast and saturation."""

    def gain(largest: float) -> Tensor:
        drawn = 1 + (torch.rand(len(images), generator=generator) * 2 - 1) * largest
        return drawn.to(images.device)[:, None, None, None]

    brightness, contrast, saturation = (gain(each) for each in (ranges.brightness, ranges.contrast, ranges.saturation))
    mean = images.mean((1, 2, 3), keepdim=True)
    images = (images - mean) * contrast + mean * brightness
    gray = images.mean(1, keepdim=True)
    return (gray + (images - gray) * saturation).clamp(0, 255)


def _moved(targets: Targets, boxes: Tensor, height: int, width: int) -> Targets:
    limits = boxes.new_tensor([width, height, width, height])
    clipped = boxes.clamp(min=0).minimum(limits)
    sides, whole = clipped[:, 2:] - clipped[:, :2], (boxes[:, 2:] - boxes[:, :2]).prod(1)
    kept = (sides > 0).all(1)
    visible = (sides.prod(1) >= _LEAST_VISIBLE * whole) & (sides >= _LEAST_SIDE).all(1)
    return Targets(clipped[kept], targets.labels[kept], (targets.ignore | ~visible)[kept])
