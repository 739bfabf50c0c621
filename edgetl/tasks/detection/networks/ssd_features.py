"""SSDLite on the feature maps of any convolutional backbone.

Sandler et al., MobileNetV2, arXiv 1801.04381, section 6.2: the head's 3x3 convolutions are depthwise.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from edgetl.tasks.detection.networks.default_boxes import grid
from edgetl.tasks.detection.networks.ssd_head import SsdHead, SsdNetwork

STRIDES = (8, 16, 32)
"""Of the maps that the backbone gives; the head makes one more, of twice the last stride."""

_LEVELS = (*STRIDES, 64)
_SIDE = 4  # strides of a level: its smallest default box
_SHAPES = ((1.0, 1.0), (2**0.5, 2**0.5), (2**0.5, 2**-0.5), (2**-0.5, 2**0.5))  # width and height in these


def network(backbone: nn.Module, channels: Sequence[int], num_classes: int, width: int) -> SsdNetwork:
    """channels  of the backbone's maps; width  of the smallest map, which the head makes"""
    smallest = nn.Sequential(
        _convolution(channels[-1], width), _convolution(width, width, 3, 2, width), _convolution(width, width)
    )
    levels = (*channels, width)
    return SsdNetwork(
        backbone,
        SsdHead(
            (smallest,),
            boxes=[_last(c, 4 * len(_SHAPES)) for c in levels],
            classes=[_last(c, num_classes * len(_SHAPES)) for c in levels],
            box_stems=[_convolution(c, c, 3, 1, c) for c in levels],
            class_stems=[_convolution(c, c, 3, 1, c) for c in levels],
        ),
    )


def default_boxes(height: int, width: int) -> Tensor:
    """(A, 4), as `grid` gives them: four at each position, 4 to 5.7 strides long."""
    levels = []
    for stride in _LEVELS:
        shapes = [(_SIDE * stride * w, _SIDE * stride * h) for w, h in _SHAPES]
        levels.append(grid(-(-height // stride), -(-width // stride), height, width, shapes))
    return torch.cat(levels)


def _convolution(c_in: int, c_out: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Sequential:
    layer = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, groups=groups, bias=False)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return nn.Sequential(layer, nn.BatchNorm2d(c_out), nn.ReLU6())


def _last(c_in: int, c_out: int) -> nn.Conv2d:
    layer = nn.Conv2d(c_in, c_out, 1)
    nn.init.normal_(layer.weight, std=0.03)
    return layer
