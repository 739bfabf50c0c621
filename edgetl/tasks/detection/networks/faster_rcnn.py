"""Faster R-CNN with a fixed number of regions, so that it exports as one network without loops.

Ren et al., arXiv 1506.01497. Boxes are refined without regard to the class, so each region has one box and a score for
every class.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from edgetl.tasks.detection.networks.base import Detector, Maps, Targets
from edgetl.tasks.detection.networks.default_boxes import centered, decoded
from edgetl.tasks.detection.networks.faster_rcnn_loss import Samples, proposal_loss, region_loss, samples
from edgetl.tasks.detection.networks.faster_rcnn_network import Features, RegionHead
from edgetl.tasks.detection.networks.proposals import propose
from edgetl.tasks.detection.networks.roi_align import align_regions

_MORE_IN_TRAINING = 2  # times as many regions


class FasterRcnn(Detector):
    """Boxes (N, regions, 4) and scores (N, regions, C).

    anchors     float32 (T, 4): center x, center y, width, height in input pixels, level by level, row by row
    strides     of the pyramid's maps; regions take their features from the first `region_levels` of them
    height, width  of the input in pixels
    candidates  regions that are looked at; regions  those that remain after suppression
    """

    parts: ClassVar[tuple[str, ...]] = ("features", "box_head")
    anchors: Tensor
    features: Features
    box_head: RegionHead

    def __init__(
        self,
        features: Features,
        box_head: RegionHead,
        anchors: Tensor,
        strides: Sequence[int],
        region_levels: int,
        size: tuple[int, int],
        candidates: int,
        regions: int,
    ) -> None:
        super().__init__()
        self.features, self.box_head = features, box_head
        self.strides, self.region_levels, self.size = tuple(strides), region_levels, size
        self.candidates, self.regions = candidates, regions
        self.register_buffer("anchors", anchors, persistent=False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        maps = self.features(images)
        objectness, offsets = self._rows(maps)
        regions = propose(objectness, offsets, self.anchors, self.size, self.candidates, self.regions)
        pooled = align_regions(self._of_regions(maps), self.strides[: self.region_levels], regions)
        logits, refinements = (torch.unflatten(each, 0, (-1, self.regions)) for each in self.box_head(pooled))
        return decoded(refinements, centered(regions)), logits.softmax(2)[..., 1:]

    def loss(self, maps: Maps, targets: Sequence[Targets]) -> Tensor:
        objectness, offsets = self._rows(maps)
        chosen = self._samples(objectness.detach(), offsets.detach(), targets)
        logits, refinements = self.box_head(chosen.pooled(self._of_regions(maps), self.size))
        return proposal_loss(objectness, offsets, self.anchors, targets) + region_loss(logits, refinements, chosen)

    def _samples(self, objectness: Tensor, offsets: Tensor, targets: Sequence[Targets]) -> Samples:
        more = _MORE_IN_TRAINING
        with torch.no_grad():
            regions = propose(objectness, offsets, self.anchors, self.size, more * self.candidates, more * self.regions)
        return samples(regions, targets)

    def _of_regions(self, maps: Maps) -> Maps:
        return maps[: self.region_levels]

    def _rows(self, maps: Maps) -> tuple[Tensor, Tensor]:
        """Objectness (N, T) and offsets (N, T, 4)."""
        levels = len(self.strides)
        objectness = [each.permute(0, 2, 3, 1).flatten(1) for each in maps[levels : 2 * levels]]
        offsets = [torch.unflatten(each.permute(0, 2, 3, 1).flatten(1), 1, (-1, 4)) for each in maps[2 * levels :]]
        return torch.cat(objectness, 1), torch.cat(offsets, 1)
