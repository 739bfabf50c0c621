"""The losses of Faster R-CNN, by torchvision: which anchors and regions answer for which object, and how well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torchvision.models.detection.roi_heads import RoIHeads, fastrcnn_loss
from torchvision.models.detection.rpn import RegionProposalNetwork
from torchvision.ops import MultiScaleRoIAlign

from edgetl.tasks.detection.networks.base import Maps, Targets
from edgetl.tasks.detection.networks.default_boxes import centered, decoded
from edgetl.tasks.detection.networks.roi_align import SAMPLES, SIZE

_ANCHORS_OF_IMAGE, _REGIONS_OF_IMAGE = 256, 64
_ANCHOR_SHARE, _REGION_SHARE = 0.5, 0.25  # of those with an object, at most
_ANCHOR_OVERLAPS, _REGION_OVERLAPS = (0.7, 0.3), (0.5, 0.5)  # with an object, from which and up to which there is none


@dataclass(frozen=True)
class Samples:
    """Regions to train on.

    regions  for each image float32 (R, 4), corners in input pixels
    labels   int64 (R,), 0 for background; offsets  float32 (R, 4), which lead to the objects
    """

    regions: list[Tensor]
    labels: list[Tensor]
    offsets: list[Tensor]

    def pooled(self, pyramid: Maps, size: tuple[int, int]) -> Tensor:
        """Their features (M, C, 7, 7)."""
        names = [str(level) for level in range(len(pyramid))]
        pool = MultiScaleRoIAlign(names, SIZE, SAMPLES)
        features: Tensor = pool(dict(zip(names, pyramid, strict=True)), self.regions, [size] * len(self.regions))
        return features


def samples(regions: Tensor, targets: Sequence[Targets]) -> Samples:
    """Some of the regions (N, R, 4) and all objects, a quarter of them with an object if there are so many."""
    heads = RoIHeads(None, None, None, *_REGION_OVERLAPS, _REGIONS_OF_IMAGE, _REGION_SHARE, None, 0.0, 0.0, 0)
    counted = [own[~_ignored(own, target)] for own, target in zip(regions, targets, strict=True)]
    chosen, _, labels, offsets = heads.select_training_samples(counted, [_known(each) for each in targets])
    return Samples(list(chosen), list(labels), list(offsets))


def region_loss(logits: Tensor, offsets: Tensor, chosen: Samples) -> Tensor:
    """logits (M, 1 + classes), offsets (M, 4), the same for all classes."""
    for_each = offsets[:, None].expand(-1, logits.shape[1], -1).flatten(1)
    classes, boxes = fastrcnn_loss(logits, for_each, chosen.labels, chosen.offsets)
    total: Tensor = classes + boxes
    return total


def proposal_loss(objectness: Tensor, offsets: Tensor, anchors: Tensor, targets: Sequence[Targets]) -> Tensor:
    """objectness (N, T) logits, offsets (N, T, 4) to anchors (T, 4), whose first two values are centers."""
    rpn: Any = RegionProposalNetwork(
        None, None, *_ANCHOR_OVERLAPS, _ANCHORS_OF_IMAGE, _ANCHOR_SHARE, {}, {}, nms_thresh=0.0
    )
    corners = decoded(torch.zeros_like(anchors)[None], anchors)[0]
    each = [corners] * len(targets)
    labels, boxes = rpn.assign_targets_to_anchors(each, [_known(target) for target in targets])
    for own, target in zip(labels, targets, strict=True):
        own[_ignored(corners, target) & (own == 0)] = -1
    wanted = rpn.box_coder.encode(boxes, each)
    is_object, places = rpn.compute_loss(objectness, offsets.flatten(0, 1), labels, wanted)
    total: Tensor = is_object + places
    return total


def _known(target: Targets) -> dict[str, Tensor]:
    return {"boxes": target.boxes[~target.ignore], "labels": target.labels[~target.ignore] + 1}


def _ignored(boxes: Tensor, target: Targets) -> Tensor:
    """bool (K,): boxes whose center lies in a region to ignore."""
    centers, regions = centered(boxes)[:, None, :2], target.boxes[target.ignore]
    return ((centers > regions[:, :2]) & (centers < regions[:, 2:])).all(2).any(1)
