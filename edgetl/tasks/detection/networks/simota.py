"""SimOTA: each object takes the positions that predict it most cheaply, as many as the predictions are good.

Ge et al., YOLOX, arXiv 2107.08430, section 2.3. Needs thousands of steps: until predictions overlap with small or rare
objects, they get one position each.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision.ops import box_iou

from edgetl.tasks.detection.networks.anchor_free_loss import Assigned
from edgetl.tasks.detection.networks.base import Targets

_RADIUS = 2.5  # of an object's center region, in strides
_OVERLAPS = 10  # the largest ones, whose sum is the number of positions
_OVERLAP_WEIGHT, _OUTSIDE = 3.0, 1e5
_LEAST = 1e-6


@torch.no_grad()
def assign_by_cost(
    points: Tensor, strides: Tensor, targets: Sequence[Targets], boxes: Tensor, scores: Tensor
) -> Assigned:
    """points (A, 2), strides (A, 1), predicted boxes (N, A, 4) in input pixels and scores (N, A, C)."""
    each = [_of_image(points, strides, *one) for one in zip(targets, boxes, scores, strict=True)]
    return Assigned(
        torch.stack([one.boxes for one in each]),
        torch.stack([one.labels for one in each]),
        torch.stack([one.unsure for one in each]),
    )


def _of_image(points: Tensor, strides: Tensor, target: Targets, boxes: Tensor, scores: Tensor) -> Assigned:
    objects, labels = target.boxes[~target.ignore], target.labels[~target.ignore]
    unsure = _inside(points, target.boxes[target.ignore]).any(1)
    if not len(objects):
        return Assigned(torch.zeros_like(boxes), torch.full_like(unsure, -1, dtype=torch.int64), unsure)
    inside = _inside(points, objects)
    centers = (objects[:, :2] + objects[:, 2:]) / 2
    near = ((points[:, None] - centers).abs() < _RADIUS * strides[:, None]).all(2)
    overlap = box_iou(boxes, objects) * (inside | near)
    cost = _class_cost(scores, labels) - _OVERLAP_WEIGHT * (overlap + 1e-8).log() + _OUTSIDE * ~(inside & near)
    cost = cost.masked_fill(~(inside | near), torch.inf)
    amounts = overlap.topk(min(_OVERLAPS, len(points)), 0).values.sum(0).int().clamp(min=1)
    taken = torch.zeros_like(inside)
    for column, amount in enumerate(amounts.tolist()):
        taken[cost[:, column].topk(amount, largest=False).indices, column] = True
    least, best = cost.masked_fill(~taken, torch.inf).min(1)
    found = least.isfinite()
    return Assigned(objects[best], labels[best].where(found, -1), unsure & ~found)


def _class_cost(scores: Tensor, labels: Tensor) -> Tensor:
    """(A, K): binary cross-entropy with the class of each object, summed over all classes."""
    roots = scores.sqrt().clamp(_LEAST, 1 - _LEAST)
    absent = -(1 - roots).log()
    return absent.sum(1, keepdim=True) - absent[:, labels] - roots[:, labels].log()


def _inside(points: Tensor, boxes: Tensor) -> Tensor:
    return ((points[:, None] > boxes[:, :2]) & (points[:, None] < boxes[:, 2:])).all(2)
