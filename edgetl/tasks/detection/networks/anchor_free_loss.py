"""Which positions of an anchor-free detector answer for which object, and the loss of their predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from edgetl.tasks.detection.networks.base import Targets

_RADIUS = 1.5  # of an object's center region, in strides
_SHORTEST, _LONGEST = 2.5, 6.0  # longer side of a level's objects, in strides: some belong to two levels
_ELONGATED = 2.0  # length over width, from which the levels of an object's width answer for it too
_BOX_WEIGHT = 2.0
_EPSILON = 1e-7


@dataclass(frozen=True)
class Level:
    """One map of predictions, `rows` x `columns` positions, `stride` input pixels apart."""

    stride: int
    rows: int
    columns: int

    @property
    def size(self) -> int:
        return self.rows * self.columns

    def points(self) -> Tensor:
        """Centers of the positions, x and y in input pixels, row by row: float32 (rows * columns, 2)."""
        y, x = torch.meshgrid(torch.arange(self.rows), torch.arange(self.columns), indexing="ij")
        return (torch.stack([x, y], 2).reshape(-1, 2) + 0.5) * self.stride


@dataclass(frozen=True)
class Assigned:
    """What the positions of every image answer for.

    boxes   float32 (N, A, 4): the object of each position; any, where it has none
    labels  int64 (N, A): its class, -1 for background
    unsure  bool (N, A): background that may show an object, because it lies in a region to ignore
    """

    boxes: Tensor
    labels: Tensor
    unsure: Tensor


def assign(points: Tensor, levels: Sequence[Level], targets: Sequence[Targets]) -> Assigned:
    """Each object goes to the levels of its size, and there to the positions inside it that are near its center, or to
    the nearest one if it is smaller than the gap between them. The smaller of two objects takes a position of both.

    points (A, 2) of all levels. Sources: arXiv:1904.01355, section 3.2; center sampling: FCOS's authors, 2019.
    """
    boxes, labels, ignore, real = _padded(targets, points.device)
    strides = torch.cat([points.new_full((level.size,), float(level.stride)) for level in levels])[None, :, None]
    x, y = points[None, :, None, 0], points[None, :, None, 1]
    x0, y0, x1, y1 = (side[:, None, :] for side in boxes.unbind(2))
    away = torch.maximum((x - (x0 + x1) / 2).abs(), (y - (y0 + y1) / 2).abs()) / strides
    inside = (x > x0) & (x < x1) & (y > y0) & (y < y1)
    mine = _of_level(boxes, levels)
    near = mine & (real & ~ignore)[:, None, :] & ((inside & (away < _RADIUS)) | (away <= 0.5))
    areas = ((boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1]))[:, None, :]
    best, number = areas.where(near, areas.new_tensor(torch.inf)).min(2)
    found = best.isfinite()
    unsure = (inside & (real & ignore)[:, None, :]).any(2) & ~found
    chosen = boxes.gather(1, number[..., None].expand(-1, -1, 4))
    return Assigned(chosen, labels.gather(1, number).where(found, -1), unsure)


def anchor_free_loss(
    logits: Tensor, boxes: Tensor, points: Tensor, levels: Sequence[Level], targets: Sequence[Targets]
) -> Tensor:
    """Logits (N, A, C) and boxes (N, A, 4) in input pixels -> the loss, a scalar, per position with an object.

    Classes: the quality focal loss, whose target is the overlap of the predicted box with its object
    (arXiv:2006.04388, eq. 5). Boxes: twice the generalized IoU loss (arXiv:1902.09630).
    """
    assigned = assign(points, levels, targets)
    positive = assigned.labels >= 0
    count = positive.sum().clamp(min=1)
    iou, generalized = overlap(boxes[positive], assigned.boxes[positive])
    goals = torch.zeros_like(logits)
    goals[positive, assigned.labels[positive]] = iou.detach().clamp(0, 1)
    surprise = (goals - logits.detach().sigmoid()).square()
    per_class = functional.binary_cross_entropy_with_logits(logits, goals, reduction="none") * surprise
    classes = per_class.sum(2)[~assigned.unsure].sum()
    return (classes + _BOX_WEIGHT * (1 - generalized).sum()) / count


def overlap(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """IoU and generalized IoU (K,) of paired boxes (K, 4)."""
    low, high = torch.maximum(first[:, :2], second[:, :2]), torch.minimum(first[:, 2:], second[:, 2:])
    inner = (high - low).clamp(min=0).prod(1)
    union = _area(first) + _area(second) - inner + _EPSILON
    hull = torch.maximum(first[:, 2:], second[:, 2:]) - torch.minimum(first[:, :2], second[:, :2])
    around = hull.prod(1) + _EPSILON
    iou = inner / union
    return iou, iou - (around - union) / around


def _area(boxes: Tensor) -> Tensor:
    return (boxes[:, 2:] - boxes[:, :2]).prod(1)


def _of_level(boxes: Tensor, levels: Sequence[Level]) -> Tensor:
    """bool (N, A, K): whether the level of a position answers for objects of this size; the first level for all small
    ones, the last for all large ones. Elongated ones belong to all levels from that of their width to that of their
    length: with the coarse ones alone, hardly a position lies inside them."""
    sides = boxes[..., 2:] - boxes[..., :2]
    longer, shorter = sides.amax(2), sides.amin(2)
    least = shorter.where(longer > _ELONGATED * shorter, longer)
    rows = []
    for number, level in enumerate(levels):
        large_enough = (longer > _SHORTEST * level.stride) | (number == 0)
        small_enough = (least <= _LONGEST * level.stride) | (number == len(levels) - 1)
        rows.append((large_enough & small_enough)[:, None, :].expand(-1, level.size, -1))
    return torch.cat(rows, 1)


def _padded(targets: Sequence[Targets], device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Boxes (N, K, 4), labels (N, K), ignore (N, K) and real (N, K) of as many objects as the fullest image has."""
    most = max(1, max(len(each.labels) for each in targets))
    boxes = torch.zeros(len(targets), most, 4, device=device)
    labels = torch.zeros(len(targets), most, dtype=torch.int64, device=device)
    ignore, real = (torch.zeros(len(targets), most, dtype=torch.bool, device=device) for _ in range(2))
    for row, each in enumerate(targets):
        count = len(each.labels)
        boxes[row, :count], labels[row, :count], ignore[row, :count] = each.boxes, each.labels, each.ignore
        real[row, :count] = True
    return boxes, labels, ignore, real
