"""Default boxes: where they lie, which object each answers for, and how predictions refine them.

Liu et al., SSD: Single Shot MultiBox Detector, arXiv 1512.02325, section 2.2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.ops import box_iou

from edgetl.tasks.detection.networks.base import Targets

VARIANCES = (0.1, 0.2)
"""Of the predicted centers in sides of a default box, and of the logarithms of sides."""

_OVERLAP = 0.5  # with its object, from which a default box answers for it
_LARGEST = math.log(1000 / 16)  # exponent of a side, so that no float overflows


@dataclass(frozen=True)
class Matched:
    """What the default boxes of every image answer for.

    boxes   float32 (N, A, 4), corners: the object of each default box; any, where it has none
    labels  int64 (N, A): its class, -1 for background
    unsure  bool (N, A): background that may show an object, because it lies in a region to ignore
    """

    boxes: Tensor
    labels: Tensor
    unsure: Tensor


def grid(rows: int, columns: int, height: int, width: int, shapes: Sequence[tuple[float, float]]) -> Tensor:
    """Default boxes of the given (width, height) in the middle of each of rows x columns equal parts of the input, row
    by row: center x, center y, width, height in pixels, float32 (rows * columns * len(shapes), 4)."""
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    centers = torch.stack(((x + 0.5) * width / columns, (y + 0.5) * height / rows), 2)
    places = centers.reshape(-1, 1, 2).expand(-1, len(shapes), 2)
    sides = torch.tensor(shapes).expand(rows * columns, -1, 2)
    return torch.cat((places, sides), 2).reshape(-1, 4)


def decoded(offsets: Tensor, defaults: Tensor, variances: tuple[float, float] = VARIANCES) -> Tensor:
    """Offsets (N, A, 4) to default boxes (A, 4) or (N, A, 4) -> corners (N, A, 4) in pixels."""
    centers = offsets[..., :2] * (variances[0] * defaults[..., 2:]) + defaults[..., :2]
    halves = (offsets[..., 2:] * variances[1]).clamp(max=_LARGEST).exp() * (defaults[..., 2:] / 2)
    return torch.cat((centers - halves, centers + halves), 2)


def centered(corners: Tensor) -> Tensor:
    """Corners (..., 4) -> center x, center y, width, height."""
    return torch.cat(((corners[..., :2] + corners[..., 2:]) / 2, corners[..., 2:] - corners[..., :2]), -1)


def encoded(boxes: Tensor, defaults: Tensor) -> Tensor:
    """The offsets (P, 4) that lead from default boxes (P, 4) to corners (P, 4)."""
    centers, sides = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]).clamp(min=1e-3)
    shifts = (centers - defaults[:, :2]) / defaults[:, 2:] / VARIANCES[0]
    return torch.cat((shifts, (sides / defaults[:, 2:]).log() / VARIANCES[1]), 1)


def matched(defaults: Tensor, targets: Sequence[Targets]) -> Matched:
    """Every default box answers for the object that it overlaps most, if that is half; and the best one for each
    object in any case."""
    corners = torch.cat((defaults[:, :2] - defaults[:, 2:] / 2, defaults[:, :2] + defaults[:, 2:] / 2), 1)
    each = [_of_image(corners, defaults[:, :2], target) for target in targets]
    return Matched(
        torch.stack([one.boxes for one in each]),
        torch.stack([one.labels for one in each]),
        torch.stack([one.unsure for one in each]),
    )


def _of_image(corners: Tensor, centers: Tensor, target: Targets) -> Matched:
    objects, labels = target.boxes[~target.ignore], target.labels[~target.ignore]
    regions = target.boxes[target.ignore]
    unsure = ((centers[:, None] > regions[:, :2]) & (centers[:, None] < regions[:, 2:])).all(2).any(1)
    if not len(objects):
        return Matched(torch.zeros_like(corners), torch.full_like(unsure, -1, dtype=torch.int64), unsure)
    overlaps = box_iou(corners, objects)
    best, index = overlaps.max(1)
    first = overlaps.argmax(0)
    index[first] = torch.arange(len(objects), device=index.device)
    best[first] = 1.0
    found = best >= _OVERLAP
    return Matched(objects[index], labels[index].where(found, -1), unsure & ~found)
