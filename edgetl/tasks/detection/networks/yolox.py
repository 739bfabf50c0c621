"""YOLOX: one prediction per position, objectness and classes apart.

Ge et al., YOLOX, arXiv 2107.08430. The default assignment of objects to positions is by their centers and sizes, not
the paper's learned one, which leaves small and rare classes without any in a training of a few hundred steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, one_hot

from edgetl.tasks.detection.networks.anchor_free_loss import Assigned, Level, assign, overlap
from edgetl.tasks.detection.networks.base import Maps, OneStage, Targets
from edgetl.tasks.detection.networks.simota import assign_by_cost
from edgetl.tasks.detection.networks.yolox_network import STRIDES, Size, YoloxNetwork

Assignment = Literal["center", "simota"]

_BOX_WEIGHT = 5.0
_LARGEST = 8.0  # exponent of a side in strides, so that no float overflows


class Yolox(OneStage):
    """Scores are sigmoid(objectness) * sigmoid(class), level by level, row by row.

    height, width  of the input in pixels, multiples of 32
    """

    points: Tensor
    steps: Tensor
    network: YoloxNetwork

    def __init__(
        self, size: Size, num_classes: int, height: int, width: int, assignment: Assignment = "center"
    ) -> None:
        super().__init__()
        self.network = YoloxNetwork(size, num_classes)
        self.num_classes, self.assignment = num_classes, assignment
        self.levels = tuple(Level(stride, height // stride, width // stride) for stride in STRIDES)
        self.register_buffer("points", torch.cat([level.points() for level in self.levels]), persistent=False)
        steps = torch.cat([torch.full((level.size, 1), float(level.stride)) for level in self.levels])
        self.register_buffer("steps", steps, persistent=False)

    def decode(self, maps: Maps) -> tuple[Tensor, Tensor]:
        boxes, objectness, classes = _rows(maps)
        return self._corners(boxes), objectness.sigmoid() * classes.sigmoid()

    def loss(self, maps: Maps, targets: Sequence[Targets]) -> Tensor:
        """Binary cross-entropy of objectness everywhere and of classes, whose target is the overlap of the predicted
        box, at objects; five times the generalized IoU loss (arXiv:1902.09630), where the paper squares the IoU: that
        has no gradient before boxes overlap."""
        boxes, objectness, classes = _rows(maps)
        boxes = self._corners(boxes)
        assigned = self._assign(boxes, objectness, classes, targets)
        at = assigned.labels >= 0
        iou, generalized = overlap(boxes[at], assigned.boxes[at])
        goals = one_hot(assigned.labels[at], self.num_classes) * iou.detach()[:, None]
        of_objects = binary_cross_entropy_with_logits(objectness[..., 0], at.float(), reduction="none")
        of_classes = binary_cross_entropy_with_logits(classes[at], goals, reduction="sum")
        total = of_objects[~assigned.unsure].sum() + of_classes + _BOX_WEIGHT * (1 - generalized).sum()
        return total / at.sum().clamp(min=1)

    def _assign(self, boxes: Tensor, objectness: Tensor, classes: Tensor, targets: Sequence[Targets]) -> Assigned:
        if self.assignment == "center":
            return assign(self.points, self.levels, targets)
        scores = objectness.sigmoid() * classes.sigmoid()
        return assign_by_cost(self.points, self.steps, targets, boxes, scores)

    def _corners(self, boxes: Tensor) -> Tensor:
        """Corners in pixels of x, y from the position's top left in strides, and logarithms of the sides in strides."""
        centers = boxes[..., :2] * self.steps + (self.points - self.steps / 2)
        halves = boxes[..., 2:].clamp(max=_LARGEST).exp() * (self.steps / 2)
        return torch.cat((centers - halves, centers + halves), 2)


def _rows(maps: Maps) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes (N, A, 4), objectness (N, A, 1) and classes (N, A, C) as the network gives them."""
    rows = [each.flatten(2).transpose(1, 2) for each in maps]
    return torch.cat(rows[0::3], 1), torch.cat(rows[1::3], 1), torch.cat(rows[2::3], 1)
