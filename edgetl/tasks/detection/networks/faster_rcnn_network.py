"""The layers of a Faster R-CNN: feature pyramid, region proposals on each level, and the head for single regions."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from edgetl.tasks.detection.networks.base import Maps
from edgetl.tasks.detection.networks.roi_align import SIZE


class ProposalLevel(nn.Module):
    """Features (N, C, h, w) -> objectness (N, B, h, w) and offsets (N, 4 * B, h, w) of B anchors at each position."""

    def __init__(self, channels: int, anchors: int) -> None:
        super().__init__()
        self.conv, self.relu = nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU()
        self.cls_logits, self.bbox_pred = nn.Conv2d(channels, anchors, 1), nn.Conv2d(channels, 4 * anchors, 1)
        for layer in (self.conv, self.cls_logits, self.bbox_pred):
            nn.init.normal_(layer.weight, std=0.01)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        x = self.relu(self.conv(features))
        return self.cls_logits(x), self.bbox_pred(x)


class FeaturePyramid(nn.Module):
    """Features at `strides` -> as many maps of equal width, and one more of half the size.

    Lin et al., Feature Pyramid Networks, arXiv 1612.03144. Children have torchvision's names.
    """

    def __init__(self, entering: Sequence[int], strides: Sequence[int], channels: int) -> None:
        super().__init__()
        self.inner_blocks = nn.ModuleList(nn.Conv2d(each, channels, 1) for each in entering)
        self.layer_blocks = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in entering)
        self.upsample = nn.ModuleList(
            nn.Upsample(scale_factor=coarse / fine) if coarse > fine else nn.Identity()
            for fine, coarse in pairwise(strides)
        )
        self.smallest = nn.MaxPool2d(1, 2)
        for layer in (*self.inner_blocks, *self.layer_blocks):
            assert isinstance(layer, nn.Conv2d)
            nn.init.kaiming_uniform_(layer.weight, a=1)

    def forward(self, features: Maps) -> Maps:
        merged = [layer(each) for layer, each in zip(self.inner_blocks, features, strict=True)]
        for level in reversed(range(len(merged) - 1)):
            merged[level] = merged[level] + self.upsample[level](merged[level + 1])
        maps = [layer(each) for layer, each in zip(self.layer_blocks, merged, strict=True)]
        return (*maps, self.smallest(maps[-1]))


class Pyramid(nn.Module):
    """Features of the backbone -> pyramid maps, then objectness, then offsets, each of all levels.

    Every level has layers of its own, so that each runs once; pretrained ones begin as copies of one.
    """

    def __init__(self, fpn: FeaturePyramid, channels: int, anchors: Sequence[int]) -> None:
        super().__init__()
        self.fpn = fpn
        self.rpn = nn.ModuleList(ProposalLevel(channels, count) for count in anchors)

    def forward(self, features: Maps) -> Maps:
        maps: Maps = self.fpn(features)
        found = [layer(each) for layer, each in zip(self.rpn, maps, strict=True)]
        return (*maps, *(objectness for objectness, _ in found), *(offsets for _, offsets in found))


class Features(nn.Module):
    """Images (N, 3, H, W) -> what `Pyramid` gives."""

    def __init__(self, backbone: nn.Module, head: Pyramid) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head

    def forward(self, images: Tensor) -> Maps:
        maps: Maps = self.head(self.backbone(images))
        return maps


class RegionHead(nn.Module):
    """Features of regions (M, C, 7, 7) -> logits (M, 1 + classes), background first, and offsets (M, 4)."""

    def __init__(self, channels: int, width: int, num_classes: int) -> None:
        super().__init__()
        self.fc6, self.relu6 = nn.Linear(channels * SIZE * SIZE, width), nn.ReLU()
        self.fc7, self.relu7 = nn.Linear(width, width), nn.ReLU()
        self.cls_score, self.bbox_pred = nn.Linear(width, 1 + num_classes), nn.Linear(width, 4)

    def forward(self, regions: Tensor) -> tuple[Tensor, Tensor]:
        x = self.relu7(self.fc7(self.relu6(self.fc6(regions.flatten(1)))))
        return self.cls_score(x), self.bbox_pred(x)
