"""torchvision's Faster R-CNN networks: its layers, its anchors, and its names of tensors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import detection

from edgetl.backbones.tensor_sets import TensorSet
from edgetl.tasks.detection.networks.faster_rcnn_network import FeaturePyramid, Features, Pyramid, RegionHead
from edgetl.tasks.detection.networks.torchvision_features import TorchvisionFeatures

_CHANNELS, _REGION_WIDTH = 256, 1024
_EVERY_SIZE = (32, 64, 128, 256, 512)


RATIOS = (0.5, 1.0, 2.0)
"""Height to width of the anchors."""


@dataclass(frozen=True)
class Levels:
    """The maps of a feature pyramid.

    strides     of each map; sizes  sides of the anchors on each
    of_regions  number of the maps from which regions take their features: the first
    """

    strides: tuple[int, ...]
    sizes: tuple[tuple[int, ...], ...]
    of_regions: int

    @property
    def anchors(self) -> list[int]:
        """At each position of each map."""
        return [len(RATIOS) * len(each) for each in self.sizes]


PUBLISHED: Mapping[str, Levels] = {
    # its two maps have the same stride, and torchvision takes regions from the first only
    "fasterrcnn_mobilenet_v3_large_fpn": Levels((32, 32, 64), (_EVERY_SIZE,) * 3, of_regions=1),
    "fasterrcnn_resnet50_fpn": Levels((4, 8, 16, 32, 64), tuple((each,) for each in _EVERY_SIZE), of_regions=4),
}

_RENAMED = (  # after a prefix of a training program, which is the first group
    (r"backbone\.body\.", "features.backbone.body."),
    (r"backbone\.fpn\.(inner_blocks|layer_blocks)\.(\d)\.(?:0\.)?", r"features.head.fpn.\2.\3."),
    (r"rpn\.head\.conv\.(?:0\.0\.)?", "rpn.head.conv."),  # first as torchvision wrote it before 0.13
    (r"roi_heads\.box_head\.", "box_head."),
    (r"roi_heads\.box_predictor\.", "box_head."),
)


def layers(architecture: str, num_classes: int, epsilon: float) -> tuple[Features, RegionHead]:
    """The network with random weights. Its batch norms can be folded, which torchvision's frozen ones cannot; they add
    `epsilon` to variances."""
    model: Any = getattr(detection, architecture)(weights=None, weights_backbone=None, num_classes=2)
    body, levels = model.backbone.body, PUBLISHED[architecture]
    for part in body.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.eps = epsilon
    entering = [layer[0].in_channels for layer in model.backbone.fpn.inner_blocks]
    fpn = FeaturePyramid(entering, levels.strides[:-1], _CHANNELS)
    features = Features(TorchvisionFeatures(body), Pyramid(fpn, _CHANNELS, levels.anchors))
    return features, RegionHead(_CHANNELS, _REGION_WIDTH, num_classes)


def converted(found: TensorSet, levels: int) -> TensorSet:
    """The tensors of a published file as our network has them: proposal layers once for each level, and one refinement
    for all classes, the mean of theirs."""
    tensors: dict[str, Tensor] = {}
    for name, tensor in found.tensors.items():
        own = name
        for pattern, replacement in _RENAMED:
            own = re.sub(rf"^((?:\w+\.)*?){pattern}", rf"\1{replacement}", own)
        prefix, proposals, layer = own.partition("rpn.head.")
        if proposals:
            tensors |= {f"{prefix}features.head.rpn.{level}.{layer}": tensor for level in range(levels)}
        elif re.search(r"box_head\.bbox_pred\.(weight|bias)$", own) and len(tensor) > 4 and len(tensor) % 4 == 0:
            # the first four are of the background, which is never refined
            tensors[own] = torch.unflatten(tensor, 0, (-1, 4))[1:].float().mean(0)
        else:
            tensors[own] = tensor
    return replace(found, tensors=tensors)
