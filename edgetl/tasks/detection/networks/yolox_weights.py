"""Published weights of YOLOX: the names of their tensors, as their authors and others write them, their stem, and the
pixel values that they expect."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from edgetl.backbones.plan import IMAGENET_MEAN, IMAGENET_STD
from edgetl.backbones.tensor_sets import TensorSet

Rules = Sequence[tuple[str, str]]

_OF_AUTHORS: Rules = (
    # `backbone` is the paper's backbone with its pyramid; any prefix of a training program may come before it
    (r"^((?:\w+\.)*?)backbone\.backbone\.", r"\1backbone."),
    (r"^((?:\w+\.)*?)backbone\.(lateral_conv0|reduce_conv1|bu_conv[12]|C3_[pn][34])\.", r"\1head.neck.\2."),
    (r"^((?:\w+\.)*?)head\.(stems|(?:cls|reg)_convs|(?:cls|reg|obj)_preds)\.", r"\1head.predict.\2."),
)
# Files in which stages are numbered and each level has a head of its own; blocks first, then where they are
_NUMBERED: Rules = (
    (r"\.blocks\.(\d+)\.one\.", r".m.\1.conv1."),
    (r"\.blocks\.(\d+)\.two\.", r".m.\1.conv2."),
    (r"^stage4\.1\.out\.", "stage4.1.conv2."),
    (r"\.(?:main|reduce)\.", ".conv1."),
    (r"\.side\.", ".conv2."),
    (r"\.out\.", ".conv3."),
    (r"((?:stage\d|m\.\d+\.conv2|_convs\.\d|step\d)(?:\.0)?)\.0\.(conv|bn)\.", r"\1.dconv.\2."),
    (r"((?:stage\d|m\.\d+\.conv2|_convs\.\d|step\d)(?:\.0)?)\.1\.(conv|bn)\.", r"\1.pconv.\2."),
    (r"^stem\.", "backbone.stem.conv."),
    (r"^stage1\.", "backbone.dark2."),
    (r"^stage2\.", "backbone.dark3."),
    (r"^stage3\.", "backbone.dark4."),
    (r"^stage4\.", "backbone.dark5."),
    (r"^lateral4\.", "head.neck.lateral_conv0."),
    (r"^lateral3\.", "head.neck.reduce_conv1."),
    (r"^step3\.", "head.neck.bu_conv2."),
    (r"^step4\.", "head.neck.bu_conv1."),
    (r"^down([34])\.", r"head.neck.C3_p\1."),
    (r"^up([34])\.", r"head.neck.C3_n\1."),
    (r"^heads\.(\d)\.stem\.", r"head.predict.stems.\1."),
    (r"^heads\.(\d)\.class_convs\.", r"head.predict.cls_convs.\1."),
    (r"^heads\.(\d)\.box_convs\.", r"head.predict.reg_convs.\1."),
    (r"^heads\.(\d)\.class_out\.", r"head.predict.cls_preds.\1."),
    (r"^heads\.(\d)\.box_out\.", r"head.predict.reg_preds.\1."),
    (r"^heads\.(\d)\.object_out\.", r"head.predict.obj_preds.\1."),
)


def own_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under our names; those that no rule knows keep theirs."""
    numbered = "heads.0.class_out.weight" in tensors
    return {_renamed(name, _NUMBERED if numbered else _OF_AUTHORS): tensor for name, tensor in tensors.items()}


def _renamed(name: str, rules: Rules) -> str:
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


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
