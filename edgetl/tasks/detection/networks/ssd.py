"""SSD: a class and a refinement for each of several default boxes at each position of several feature maps.

Liu et al., SSD: Single Shot MultiBox Detector, arXiv 1512.02325.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, one_hot, smooth_l1_loss

from edgetl.tasks.detection.networks.base import Maps, OneStage, Targets
from edgetl.tasks.detection.networks.default_boxes import decoded, encoded, matched
from edgetl.tasks.detection.networks.ssd_head import SsdNetwork

Scoring = Literal["sigmoid", "softmax"]
"""sigmoid: a score for each class by itself. softmax: scores of classes and background, the first column, sum to 1."""

_NEGATIVES = 3  # background boxes that count for each one with an object: those with the largest loss
_FEWEST_NEGATIVES = 10  # an image without objects teaches too


class Ssd(OneStage):
    """Maps of each level: offsets (N, 4 * B, h, w) and class logits (N, columns * B, h, w) of B default boxes.

    defaults  float32 (A, 4): center x, center y, width, height in input pixels, level by level, row by row
    """

    defaults: Tensor
    network: SsdNetwork

    def __init__(self, network: SsdNetwork, defaults: Tensor, num_classes: int, scoring: Scoring) -> None:
        super().__init__()
        self.network, self.num_classes, self.scoring = network, num_classes, scoring
        self.register_buffer("defaults", defaults, persistent=False)

    def decode(self, maps: Maps) -> tuple[Tensor, Tensor]:
        offsets, logits = self._rows(maps)
        scores = logits.sigmoid() if self.scoring == "sigmoid" else logits.softmax(2)[..., 1:]
        return decoded(offsets, self.defaults), scores

    def loss(self, maps: Maps, targets: Sequence[Targets]) -> Tensor:
        offsets, logits = self._rows(maps)
        found = matched(self.defaults, targets)
        at = found.labels >= 0
        defaults = self.defaults.expand(len(targets), -1, -1)[at]
        boxes = smooth_l1_loss(offsets[at], encoded(found.boxes[at], defaults), reduction="sum")
        classes = self._class_loss(logits, found.labels).masked_fill(found.unsure, 0)
        return (boxes + classes[at | _hardest(classes.detach(), at)].sum()) / at.sum().clamp(min=1)

    def _class_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """(N, A)"""
        if self.scoring == "softmax":
            return cross_entropy(logits.flatten(0, 1), (labels + 1).flatten(), reduction="none").view_as(labels)
        goals = one_hot(labels + 1, self.num_classes + 1)[..., 1:].to(logits)
        return binary_cross_entropy_with_logits(logits, goals, reduction="none").sum(2)

    def _rows(self, maps: Maps) -> tuple[Tensor, Tensor]:
        """Offsets (N, A, 4) and logits (N, A, columns)."""
        columns = self.num_classes + (self.scoring == "softmax")
        return _rows(maps[0::2], 4), _rows(maps[1::2], columns)


def _rows(maps: Sequence[Tensor], columns: int) -> Tensor:
    return torch.cat([torch.unflatten(each.permute(0, 2, 3, 1).flatten(1), 1, (-1, columns)) for each in maps], 1)


def _hardest(losses: Tensor, at: Tensor) -> Tensor:
    """bool (N, A): the background boxes of each image with the largest losses, three for each box with an object."""
    amounts = (_NEGATIVES * at.sum(1, keepdim=True)).clamp(min=_FEWEST_NEGATIVES)
    order = losses.masked_fill(at, -1).argsort(1, descending=True).argsort(1)
    return (order < amounts) & ~at
