"""Published weights of YOLOX: their stem, and the pixel values that they expect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from torch import Tensor

from edgetl.backbones.plan import IMAGENET_MEAN, IMAGENET_STD
from edgetl.backbones.tensor_sets import TensorSet
from edgetl.tasks.detection.networks.yolox_names import own_names

_STEM, _STEM_MEAN = "stem.conv.conv.weight", "stem.conv.bn.running_mean"
_LARGEST_NORMALIZED = 20.0  # mean of all pixels: about 0 after mean and std, about 110 before


@dataclass(frozen=True)
class PixelRange:
    """What the network takes is (x / 255 - mean) / std of RGB."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


NORMALIZED = PixelRange(IMAGENET_MEAN, IMAGENET_STD)
"""What the authors' first release takes, and a network without pretrained weights."""
BYTES = PixelRange((0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255))
"""What all later releases take, in BGR."""


def converted(found: TensorSet) -> tuple[TensorSet, PixelRange]:
    """The tensors as our network has them, and the pixel values that they expect.

    Files do not say which release they are of. It shows in the first batch norm: its running mean is the mean pixel
    times the sum of the weights.
    """
    tensors = own_names(found.tensors)
    name = next((name for name in tensors if name.endswith(_STEM)), "")
    if not name or tensors[name].ndim != 4 or tensors[name].shape[1:] != (12, 3, 3):
        return replace(found, tensors=tensors), NORMALIZED
    pixels = _mean_pixel(tensors, name)
    stem = _one_convolution(tensors[name])
    if pixels < _LARGEST_NORMALIZED:
        return replace(found, tensors={**tensors, name: stem}), NORMALIZED
    return replace(found, tensors={**tensors, name: stem.flip(1)}), BYTES


def _mean_pixel(tensors: Mapping[str, Tensor], stem: str) -> float:
    means = tensors.get(stem.removesuffix(_STEM) + _STEM_MEAN)
    sums = tensors[stem].float().sum((1, 2, 3))
    if means is None or means.shape != sums.shape:
        return 0.0
    return float((means.float() * sums).sum() / sums.square().sum().clamp(min=1e-9))


def _one_convolution(weight: Tensor) -> Tensor:
    """3x3 over 2x2 squares of pixels in 12 channels -> 6x6 over pixels, (C, 3, 6, 6).

    The authors' order of a square is top left, bottom left, top right, bottom right, each with its three colors.
    """
    c = weight.shape[0]
    by_place = weight.reshape(c, 2, 2, 3, 3, 3)  # right, bottom, color, row, column
    return by_place.permute(0, 3, 4, 2, 5, 1).reshape(c, 3, 6, 6).contiguous()
