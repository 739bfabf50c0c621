"""`ssd_mobilenet_v1`: SSD on MobileNetV1 of width 0.75, as TensorFlow's detection models have it.

Howard et al., MobileNets, arXiv 1704.04861; Huang et al., Speed/accuracy trade-offs, arXiv 1611.10012.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from itertools import pairwise

import torch
from timm.layers import create_conv2d
from torch import Tensor, nn

from edgetl.backbones.tensor_sets import TensorSet
from edgetl.tasks.detection.networks.base import Maps
from edgetl.tasks.detection.networks.default_boxes import grid
from edgetl.tasks.detection.networks.ssd_head import SsdHead, SsdNetwork

_CHANNELS = (24, 48, 96, 96, 192, 192, *(384,) * 6, 768, 768)
_STRIDES = (2, 1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
_TAPS = (11, 13)  # of the backbone's layers: strides 16 and 32
_EXTRAS = ((192, 384), (96, 192), (96, 192), (48, 96))
_SOURCES = (384, 768, 384, 192, 192, 96)
_PER_PLACE = (3, 6, 6, 6, 6, 6)
_SMALLEST, _LARGEST, _FIRST = 0.2, 0.95, 0.1  # scales in parts of the input


class ConvNorm(nn.Sequential):
    """Convolution with TensorFlow's padding, which puts the odd pixel at the bottom and right; batch norm, ReLU6."""

    def __init__(self, c_in: int, c_out: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.conv = create_conv2d(c_in, c_out, kernel, stride=stride, padding="same", groups=groups)
        self.bn = nn.BatchNorm2d(c_out, eps=1e-3, momentum=0.01)
        self.act = nn.ReLU6()


class MobileNetV1(nn.Sequential):
    """Images (N, 3, H, W) -> features at strides 16 and 32."""

    def __init__(self) -> None:
        super().__init__(ConvNorm(3, _CHANNELS[0], 3, 2))
        for (c_in, c_out), stride in zip(pairwise(_CHANNELS), _STRIDES[1:], strict=True):
            self.append(nn.Sequential(ConvNorm(c_in, c_in, 3, stride, c_in), ConvNorm(c_in, c_out)))

    def forward(self, images: Tensor) -> Maps:
        features, x = [], images
        for index, layer in enumerate(self):
            x = layer(x)
            if index in _TAPS:
                features.append(x)
        return tuple(features)


def network(num_classes: int) -> SsdNetwork:
    """Images (N, 3, H, W) -> maps of six levels."""
    entering = (_CHANNELS[-1], *(out for _, out in _EXTRAS))
    extras = [
        nn.Sequential(ConvNorm(c, middle), ConvNorm(middle, out, 3, 2))
        for c, (middle, out) in zip(entering, _EXTRAS, strict=False)
    ]
    places = list(zip(_SOURCES, _PER_PLACE, strict=True))
    boxes = [nn.Conv2d(c, 4 * count, 1) for c, count in places]
    classes = [nn.Conv2d(c, num_classes * count, 1) for c, count in places]
    return SsdNetwork(MobileNetV1(), SsdHead(extras, boxes, classes))


def default_boxes(height: int, width: int) -> Tensor:
    """(A, 4), as `grid` gives them: 1917 of an input of 300 x 300 pixels."""
    step = (_LARGEST - _SMALLEST) / (len(_SOURCES) - 1)
    scales = [_SMALLEST + step * level for level in range(len(_SOURCES))] + [1.0]
    levels = []
    for level, (scale, following) in enumerate(pairwise(scales)):
        stride = 16 << level
        shapes = [(scale, ratio) for ratio in (1.0, 2.0, 1 / 2, 3.0, 1 / 3)] + [(math.sqrt(scale * following), 1.0)]
        if not level:
            shapes = [(_FIRST, 1.0), (scale, 2.0), (scale, 1 / 2)]
        sides = [(width * s * math.sqrt(ratio), height * s / math.sqrt(ratio)) for s, ratio in shapes]
        levels.append(grid(math.ceil(height / stride), math.ceil(width / stride), height, width, sides))
    return torch.cat(levels)


def converted(found: TensorSet) -> TensorSet:
    """The tensors of a published file as our network has them: its names; offsets x, y, w, h instead of y, x, h, w; no
    column for the background, which has no score of its own."""
    tensors = {_own_name(name): tensor for name, tensor in found.tensors.items()}
    for level, count in enumerate(_PER_PLACE):
        _change(tensors, f"head.boxes.{level}", count, [1, 0, 3, 2])
        _change(tensors, f"head.classes.{level}", count, slice(1, None))
    return replace(found, tensors=tensors)


def _own_name(name: str) -> str:
    name = re.sub(r"^extras\.", "head.extras.", name)
    return re.sub(r"^(box|class)_heads\.", lambda found: f"head.{'boxes' if found[1] == 'box' else 'classes'}.", name)


def _change(tensors: dict[str, Tensor], layer: str, count: int, columns: list[int] | slice) -> None:
    for name in (f"{layer}.weight", f"{layer}.bias"):
        if name in tensors and len(tensors[name]) % count == 0:
            rows = tensors[name]
            tensors[name] = torch.unflatten(rows, 0, (count, -1))[:, columns].flatten(0, 1)
