"""YOLOX as a network: CSPDarknet, a path-aggregating pyramid, one decoupled head for each of three levels.

Ge et al., YOLOX, arXiv 2107.08430. Children have the names of the published weights, except that the pyramid belongs to
the head here, so that the backbone's features alone can be stored, and that the stem is one convolution.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from edgetl.tasks.detection.networks.base import Maps
from edgetl.tasks.detection.networks.yolox_layers import ConvNorm, CrossStagePartial, PyramidPooling, conv3x3

STRIDES = (8, 16, 32)
_STEM_KERNEL = 6


@dataclass(frozen=True)
class Size:
    """How deep and wide a network is, and the side of the square input that its published weights were trained for."""

    depth: float
    width: float
    depthwise: bool
    side: int

    @property
    def blocks(self) -> int:
        """Bottlenecks of a short layer; a long one has three times as many."""
        return max(round(3 * self.depth), 1)

    def channels(self, stride: int) -> int:
        """Of the backbone's and the pyramid's features at `stride`."""
        return int(64 * self.width) * stride // 2


SIZES = {
    "yolox_nano": Size(0.33, 0.25, True, 416),
    "yolox_tiny": Size(0.33, 0.375, False, 416),
    "yolox_s": Size(0.33, 0.5, False, 640),
    "yolox_m": Size(0.67, 0.75, False, 640),
    "yolox_l": Size(1.0, 1.0, False, 640),
}


class Stem(nn.Module):
    """The first convolution. The paper moves each 2x2 square of pixels into 12 channels and convolves them 3x3: that is
    one convolution of 6x6 pixels with stride 2, which runtimes have as one integer kernel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = ConvNorm(3, channels, _STEM_KERNEL, 2)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return y


class Darknet(nn.Module):
    """Images (N, 3, H, W) -> features at strides 8, 16 and 32."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.stem = Stem(size.channels(2))
        self.dark2 = self._stage(size, 4, size.blocks)
        self.dark3 = self._stage(size, 8, 3 * size.blocks)
        self.dark4 = self._stage(size, 16, 3 * size.blocks)
        self.dark5 = self._last_stage(size)

    def forward(self, images: Tensor) -> Maps:
        c3 = self.dark3(self.dark2(self.stem(images)))
        c4 = self.dark4(c3)
        return c3, c4, self.dark5(c4)

    @staticmethod
    def _stage(size: Size, stride: int, blocks: int) -> nn.Sequential:
        c = size.channels(stride)
        return nn.Sequential(
            conv3x3(size.channels(stride // 2), c, 2, depthwise=size.depthwise),
            CrossStagePartial(c, c, blocks, shortcut=True, depthwise=size.depthwise),
        )

    @staticmethod
    def _last_stage(size: Size) -> nn.Sequential:
        c = size.channels(32)
        return nn.Sequential(
            conv3x3(size.channels(16), c, 2, depthwise=size.depthwise),
            PyramidPooling(c),
            CrossStagePartial(c, c, size.blocks, shortcut=False, depthwise=size.depthwise),
        )


class PathAggregation(nn.Module):
    """Features at strides 8, 16 and 32 -> features of the same shapes that know each other: down, then up again."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        c3, c4, c5 = (size.channels(stride) for stride in STRIDES)
        deep = size.depthwise

        def layer(c_in: int, c_out: int) -> CrossStagePartial:
            return CrossStagePartial(c_in, c_out, size.blocks, shortcut=False, depthwise=deep)

        self.upsample5, self.upsample4 = nn.Upsample(scale_factor=2), nn.Upsample(scale_factor=2)
        self.lateral_conv0, self.C3_p4 = ConvNorm(c5, c4), layer(2 * c4, c4)
        self.reduce_conv1, self.C3_p3 = ConvNorm(c4, c3), layer(2 * c3, c3)
        self.bu_conv2, self.C3_n3 = conv3x3(c3, c3, 2, depthwise=deep), layer(2 * c3, c4)
        self.bu_conv1, self.C3_n4 = conv3x3(c4, c4, 2, depthwise=deep), layer(2 * c4, c5)

    def forward(self, features: Maps) -> Maps:
        c3, c4, c5 = features
        top = self.lateral_conv0(c5)
        middle = self.reduce_conv1(self.C3_p4(torch.cat((self.upsample5(top), c4), 1)))
        p3 = self.C3_p3(torch.cat((self.upsample4(middle), c3), 1))
        p4 = self.C3_n3(torch.cat((self.bu_conv2(p3), middle), 1))
        p5 = self.C3_n4(torch.cat((self.bu_conv1(p4), top), 1))
        return p3, p4, p5


class Predictions(nn.Module):
    """Features -> for each level boxes (N, 4, h, w), objectness (N, 1, h, w) and classes (N, C, h, w), as logits."""

    def __init__(self, size: Size, num_classes: int) -> None:
        super().__init__()
        c = size.channels(STRIDES[0])
        self.stems = nn.ModuleList(ConvNorm(size.channels(stride), c) for stride in STRIDES)
        self.cls_convs = nn.ModuleList(self._two(c, size) for _ in STRIDES)
        self.reg_convs = nn.ModuleList(self._two(c, size) for _ in STRIDES)
        self.cls_preds = nn.ModuleList(nn.Conv2d(c, num_classes, 1) for _ in STRIDES)
        self.reg_preds = nn.ModuleList(nn.Conv2d(c, 4, 1) for _ in STRIDES)
        self.obj_preds = nn.ModuleList(nn.Conv2d(c, 1, 1) for _ in STRIDES)

    def forward(self, features: Maps) -> Maps:
        maps: list[Tensor] = []
        for level, feature in enumerate(features):
            x = self.stems[level](feature)
            boxes, classes = self.reg_convs[level](x), self.cls_convs[level](x)
            maps += [self.reg_preds[level](boxes), self.obj_preds[level](boxes), self.cls_preds[level](classes)]
        return tuple(maps)

    @staticmethod
    def _two(c: int, size: Size) -> nn.Sequential:
        return nn.Sequential(*(conv3x3(c, c, depthwise=size.depthwise) for _ in range(2)))


class Head(nn.Module):
    """Features of the backbone -> maps."""

    def __init__(self, size: Size, num_classes: int) -> None:
        super().__init__()
        self.neck = PathAggregation(size)
        self.predict = Predictions(size, num_classes)

    def forward(self, features: Maps) -> Maps:
        maps: Maps = self.predict(self.neck(features))
        return maps


class YoloxNetwork(nn.Module):
    """Images (N, 3, H, W) -> maps; H and W are multiples of 32."""

    def __init__(self, size: Size, num_classes: int) -> None:
        super().__init__()
        self.backbone = Darknet(size)
        self.head = Head(size, num_classes)

    def forward(self, images: Tensor) -> Maps:
        maps: Maps = self.head(self.backbone(images))
        return maps
