"""The blocks of YOLOX: convolutions with batch norm and SiLU, cross-stage partial layers, spatial pyramid pooling.

Ge et al., YOLOX: Exceeding YOLO Series in 2021, arXiv 2107.08430. Children have the names of the published weights.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ConvNorm(nn.Module):
    """Convolution that keeps the size divided by its stride, batch norm, SiLU."""

    def __init__(self, c_in: int, c_out: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(c_out, eps=1e-3, momentum=0.03)
        self.act = nn.SiLU()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.act(self.bn(self.conv(x)))
        return y


class Separable(nn.Module):
    """Depthwise 3x3 and pointwise convolution."""

    def __init__(self, c_in: int, c_out: int, stride: int = 1) -> None:
        super().__init__()
        self.dconv = ConvNorm(c_in, c_in, 3, stride, groups=c_in)
        self.pconv = ConvNorm(c_in, c_out)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.pconv(self.dconv(x))
        return y


def conv3x3(c_in: int, c_out: int, stride: int = 1, *, depthwise: bool) -> nn.Module:
    return Separable(c_in, c_out, stride) if depthwise else ConvNorm(c_in, c_out, 3, stride)


class Bottleneck(nn.Module):
    """1x1 and 3x3 of equal width, added to their input if `shortcut`."""

    def __init__(self, channels: int, *, shortcut: bool, depthwise: bool) -> None:
        super().__init__()
        self.conv1 = ConvNorm(channels, channels)
        self.conv2 = conv3x3(channels, channels, depthwise=depthwise)
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv2(self.conv1(x))
        return x + y if self.shortcut else y


class CrossStagePartial(nn.Module):
    """Half of the channels goes through `blocks` bottlenecks, the other half around them."""

    def __init__(self, c_in: int, c_out: int, blocks: int, *, shortcut: bool, depthwise: bool) -> None:
        super().__init__()
        half = c_out // 2
        self.conv1, self.conv2 = ConvNorm(c_in, half), ConvNorm(c_in, half)
        self.m = nn.Sequential(*(Bottleneck(half, shortcut=shortcut, depthwise=depthwise) for _ in range(blocks)))
        self.conv3 = ConvNorm(2 * half, c_out)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv3(torch.cat((self.m(self.conv1(x)), self.conv2(x)), 1))
        return y


class PyramidPooling(nn.Module):
    """Maxima over 5x5, 9x9 and 13x13 beside the input itself.

    Two 5x5 maxima in a row are one of 9x9, three one of 13x13: equal values for a third of the comparisons.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = ConvNorm(channels, channels // 2)
        self.m = nn.ModuleList(nn.MaxPool2d(5, 1, 2) for _ in range(3))
        self.conv2 = ConvNorm(channels // 2 * 4, channels)

    def forward(self, x: Tensor) -> Tensor:
        levels = [self.conv1(x)]
        for pool in self.m:
            levels.append(pool(levels[-1]))
        y: Tensor = self.conv2(torch.cat(levels, 1))
        return y
