"""A small residual network of 1-D convolutions.

He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, along time; widths and depth suit a
hundred windows (Wang, Yan and Oates, "Time Series Classification from Scratch with Deep Neural Networks", IJCNN 2017,
has three wider blocks).
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

_STEM = 32
_STAGES = ((32, 1), (64, 2), (64, 2))  # channels and stride of the blocks
_DROPOUT = 0.1


class Block(nn.Module):
    """relu(f(x) + x), or of a convolution of x where the shape changes. x (N, C, T)."""

    def __init__(self, entering: int, channels: int, stride: int) -> None:
        super().__init__()
        self.first = _unit(entering, channels, 5, stride)
        self.second = _unit(channels, channels, 3, 1)
        same = entering == channels and stride == 1
        self.beside: nn.Module = nn.Identity() if same else _unit(entering, channels, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.second(functional.relu(self.first(x))) + self.beside(x))


class ResNet1d(nn.Module):
    """Windows (N, channels, steps) -> logits (N, num_classes)."""

    def __init__(self, num_classes: int, channels: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(_unit(channels, _STEM, 7, 1), nn.ReLU())
        widths = [_STEM, *(width for width, _ in _STAGES)]
        self.blocks = nn.Sequential(
            *(Block(before, width, stride) for before, (width, stride) in zip(widths, _STAGES, strict=False))
        )
        self.dropout = nn.Dropout(_DROPOUT)
        self.classifier = nn.Linear(widths[-1], num_classes)

    def encode(self, x: Tensor) -> Tensor:
        """(N, channels, steps) -> (N, 64, about steps / 4)."""
        found: Tensor = self.blocks(self.stem(x))
        return found

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.dropout(self.encode(x).mean(2)))
        return logits


def construct(name: str, num_classes: int, channels: int, steps: int) -> nn.Module:
    return ResNet1d(num_classes, channels)


def _unit(entering: int, channels: int, length: int, stride: int) -> nn.Module:
    convolution = nn.Conv1d(entering, channels, length, stride, length // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm1d(channels))
