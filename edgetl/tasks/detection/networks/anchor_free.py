"""A one-stage detector without anchors: a feature pyramid on a classification network, one prediction per position.

FCOS (arXiv:1904.01355) with the class score as the only score (arXiv:2006.04388), in convolutions, ReLU6, nearest
upsampling and additions, which every INT8 runtime has.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgetl.backbones.feature_maps import FeatureMaps
from edgetl.recipes.recipe import Backbone
from edgetl.recipes.recipe import Detector as Settings
from edgetl.tasks.detection.networks.anchor_free_loss import Level, anchor_free_loss
from edgetl.tasks.detection.networks.base import Maps, OneStage, Targets
from edgetl.tasks.detection.networks.loading import fresh
from edgetl.tasks.detection.networks.on_backbone import build_on_backbone, check_multiple, features_for
from edgetl.tasks.detection.spec import DetectorSpec
from edgetl.types import ResizePolicy, WeightSource
from edgetl.types.findings import Audit

STRIDES = (8, 16, 32)
_PRIOR = 0.01  # score of an untrained detector: most positions show background (arXiv:1708.02002, section 4.1)
_FARTHEST = 6.0  # exponent of the longest distance in strides, so that no float overflows
_DEPTH = 2  # separable convolutions of a branch


class AnchorFree(OneStage):
    """Maps of each level: class logits (N, C, H / stride, W / stride), and exponents of the distances in strides from a
    position's center to the left, top, right and bottom side of its object (N, 4, H / stride, W / stride)."""

    points: Tensor
    steps: Tensor

    def __init__(self, backbone: FeatureMaps, height: int, width: int, num_classes: int, channels: int) -> None:
        super().__init__()
        self.network = _Network(backbone, _Head(backbone.channels, num_classes, channels))
        self.levels = tuple(Level(stride, height // stride, width // stride) for stride in backbone.strides)
        self.register_buffer("points", torch.cat([level.points() for level in self.levels]), persistent=False)
        steps = torch.cat([torch.full((level.size,), float(level.stride)) for level in self.levels])
        self.register_buffer("steps", steps[:, None], persistent=False)

    def decode(self, maps: Maps) -> tuple[Tensor, Tensor]:
        logits, exponents = self._rows(maps)
        return self._boxes(exponents), logits.sigmoid()

    def loss(self, maps: Maps, targets: Sequence[Targets]) -> Tensor:
        logits, exponents = self._rows(maps)
        return anchor_free_loss(logits, self._boxes(exponents), self.points, self.levels, targets)

    def _rows(self, maps: Maps) -> tuple[Tensor, Tensor]:
        """Logits (N, A, C) and exponents (N, A, 4), level by level, row by row."""
        rows = [each.flatten(2).transpose(1, 2) for each in maps]
        return torch.cat(rows[0::2], 1), torch.cat(rows[1::2], 1)

    def _boxes(self, exponents: Tensor) -> Tensor:
        """Corners (N, A, 4) in input pixels."""
        distances = exponents.clamp(max=_FARTHEST).exp() * self.steps
        return torch.cat([self.points - distances[..., :2], self.points + distances[..., 2:]], 2)


def build(
    backbone: Backbone, settings: Settings, source: WeightSource, num_classes: int, resize: ResizePolicy
) -> tuple[AnchorFree, DetectorSpec, Audit]:
    """See `networks.build.build`."""
    return build_on_backbone(
        "anchor-free", _on, STRIDES, {"width": settings.width}, backbone, source, num_classes, resize
    )


def construct(spec: DetectorSpec) -> AnchorFree:
    """See `networks.build.construct`."""
    return _on(features_for(spec, STRIDES), spec)


def _on(maps: FeatureMaps, spec: DetectorSpec) -> AnchorFree:
    height, width = check_multiple(spec, STRIDES[-1], "an anchor-free detector")
    with fresh():
        return AnchorFree(maps, height, width, spec.num_classes, _width(spec.arguments)).eval()


def _width(arguments: Mapping[str, object]) -> int:
    width = arguments["width"]
    assert isinstance(width, int)
    return width


class _Network(nn.Module):
    def __init__(self, backbone: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head

    def forward(self, images: Tensor) -> Maps:
        maps: Maps = self.head(self.backbone(images))
        return maps


class _Head(nn.Module):
    """Feature maps of every stride -> class logits and distances of every level: a feature pyramid and two branches.

    Every level has layers of its own. So each runs once, which folding batch norms and calibration rely on.
    """

    def __init__(self, channels: Sequence[int], num_classes: int, width: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(_convolution(each, width, 1, act=False) for each in channels)
        self.smooth = nn.ModuleList(_convolution(width, width, 3) for _ in channels)
        self.classes = nn.ModuleList(_branch(width, num_classes, -math.log(1 / _PRIOR - 1)) for _ in channels)
        self.distances = nn.ModuleList(_branch(width, 4, math.log(2.0)) for _ in channels)

    def forward(self, features: tuple[Tensor, ...]) -> Maps:
        merged = [lateral(each) for lateral, each in zip(self.lateral, features, strict=True)]
        for fine, coarse in reversed(list(pairwise(range(len(merged))))):
            merged[fine] = merged[fine] + functional.interpolate(merged[coarse], scale_factor=2.0, mode="nearest")
        smooth = [layer(each) for layer, each in zip(self.smooth, merged, strict=True)]
        branches = zip(smooth, self.classes, self.distances, strict=True)
        return tuple(branch(each) for each, *both in branches for branch in both)


def _convolution(entering: int, leaving: int, kernel: int, *, groups: int = 1, act: bool = True) -> nn.Sequential:
    layer = nn.Conv2d(entering, leaving, kernel, padding=kernel // 2, groups=groups, bias=False)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return nn.Sequential(layer, nn.BatchNorm2d(leaving), *([nn.ReLU6()] if act else []))


def _branch(width: int, leaving: int, bias: float) -> nn.Sequential:
    """Two depthwise separable convolutions and a 1x1 convolution, whose bias is `bias`."""
    last = nn.Conv2d(width, leaving, 1)
    nn.init.normal_(last.weight, std=0.01)
    assert last.bias is not None
    nn.init.constant_(last.bias, bias)
    separable = [
        layer
        for _ in range(_DEPTH)
        for layer in (_convolution(width, width, 3, groups=width), _convolution(width, width, 1))
    ]
    return nn.Sequential(*separable, last)
