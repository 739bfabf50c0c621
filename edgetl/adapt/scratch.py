"""A small convolutional network trained from scratch on the shots: the baseline that pretraining has to beat."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import skip_init

from edgetl.adapt.finetune import rate_factor
from edgetl.backbones.augment import Augment
from edgetl.backbones.cut import count_macs
from edgetl.backbones.speed import channels_last, side_by_side
from edgetl.tasks.classification.folds import Fold
from edgetl.tasks.classification.heads.by_name import held_out_logits, prepare
from edgetl.types import Advance

SCRATCH_VERSION = 2  # increase it if a change below changes results
SIDE = 64  # pixels of its input
_FEW_PIXELS = 16
_WIDTHS = (16, 32, 48, 64)  # channels of the blocks, each of which halves the side
_STEPS = 90
_BATCH_SIZE = 32
_LEARNING_RATE = 3e-3  # peak, for AdamW
_WEIGHT_DECAY = 0.05
_LABEL_SMOOTHING = 0.1


Keep = Callable[[Fold, Callable[[], NDArray[np.float64]]], NDArray[np.float64]]
"""The result of a fold: from the cache, or computed and kept."""


def scratch_macs(num_classes: int, folds: int) -> int:
    """Multiply-accumulates of `scratch_logits`; a training step costs about three forward runs."""
    network = _network(num_classes, torch.Generator())
    return 3 * count_macs(network, torch.zeros(1, 3, SIDE, SIDE)) * _BATCH_SIZE * _STEPS * folds


def pixel_logits(
    pixels: NDArray[np.uint8], labels: NDArray[np.int64], folds: Sequence[Fold], num_classes: int, seed: int
) -> NDArray[np.float64]:
    """Held-out logits (N, C) of a ridge classifier on pixels (N, 3, H, W) uint8, averaged down to 16 x 16.

    The baseline if training a network would cost too much; it takes fractions of a second.
    """
    small = _shrink(pixels, _FEW_PIXELS).float().flatten(1).numpy() / 255
    return held_out_logits("ridge", prepare(small[None], labels, num_classes), folds, seed)


def scratch_logits(
    pixels: NDArray[np.uint8],
    labels: NDArray[np.int64],
    folds: Sequence[Fold],
    policy: str,
    seed: int,
    *,
    keep: Keep = lambda _, compute: compute(),
    advance: Advance = lambda steps=1, detail="": None,
) -> NDArray[np.float64]:
    """Held-out logits (N, C): each image is classified by the network trained on the other folds.

    pixels (N, 3, H, W) uint8, the decoded shots; labels (N,) in 0..C-1. They are averaged down (or up) to 64 x 64.
    `policy` is one of `Augment`: images are flipped or turned only if it allows that. Every fold takes the same number
    of steps for any number of images (2 to 4 s on one core, depending on its load). The same arguments give the same
    bytes; torch's global generator is neither used nor changed. `advance` is called after each fold.
    Raises ValueError unless the folds hold out each image exactly once.
    """
    count = len(labels)
    if sorted(index for fold in folds for index in fold.held_out) != list(range(count)):
        raise ValueError(f"expected folds that hold out each of {count} images once")
    images, answers = _shrink(pixels, SIDE), torch.from_numpy(labels.astype(np.int64))
    augment = Augment(policy, SIDE, SIDE)
    logits = np.zeros((count, int(labels.max()) + 1))

    def judge(fold: Fold) -> NDArray[np.float64]:
        train, held_out = list(fold.train), list(fold.held_out)
        normalize = _Normalize(images[train])
        network = _train(images[train], answers[train], logits.shape[1], augment, normalize, seed)
        with torch.no_grad():
            return np.asarray(network(normalize(images[held_out].float())).double().numpy())

    def work(fold: Fold) -> NDArray[np.float64]:
        found = keep(fold, lambda: judge(fold))
        advance(1)
        return found

    for fold, found in zip(folds, side_by_side(work, folds, torch.device("cpu")), strict=True):
        logits[list(fold.held_out)] = found
    return logits


def _shrink(pixels: NDArray[np.uint8], side: int) -> Tensor:
    """(N, 3, H, W) -> uint8 (N, 3, side, side), a few at a time so that memory stays bounded."""
    parts = [
        functional.interpolate(torch.from_numpy(pixels[start : start + 64]).float(), (side, side), mode="area")
        for start in range(0, len(pixels), 64)
    ]
    return torch.cat([part.round().clamp(0, 255).to(torch.uint8) for part in parts])


class _Normalize:
    """To mean 0 and variance 1 per channel over the training images, uint8 (N, 3, H, W)."""

    def __init__(self, train: Tensor) -> None:
        known = train.float()
        self._mean = known.mean((0, 2, 3), keepdim=True)
        self._deviation = known.std((0, 2, 3), keepdim=True).clamp_min(1.0)

    def __call__(self, images: Tensor) -> Tensor:
        return ((images - self._mean) / self._deviation).contiguous(memory_format=torch.channels_last)


def _train(
    images: Tensor, labels: Tensor, num_classes: int, augment: Augment, normalize: _Normalize, seed: int
) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    network = _network(num_classes, generator)
    optimizer = torch.optim.AdamW(network.parameters(), lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY, fused=True)
    order: list[int] = []
    for step in range(_STEPS):
        while len(order) < _BATCH_SIZE:  # a batch may span two epochs: batch norm needs its full size
            order += torch.randperm(len(labels), generator=generator).tolist()
        batch, order = order[:_BATCH_SIZE], order[_BATCH_SIZE:]
        for group in optimizer.param_groups:
            group["lr"] = _LEARNING_RATE * rate_factor(step, _STEPS)
        logits = network(normalize(augment(images[batch], generator)))
        loss = functional.cross_entropy(logits, labels[batch], label_smoothing=_LABEL_SMOOTHING)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return network.eval()


def _network(num_classes: int, generator: torch.Generator) -> nn.Sequential:
    """Blocks of convolution, batch norm, ReLU and pooling, then the mean over positions and a linear layer.

    The first convolution has stride 2 instead of pooling: at full size it would take half of the time.
    """
    layers: list[nn.Module] = []
    channels = 3
    for width in _WIDTHS:
        stride = 1 if layers else 2
        # torch's layers draw from the global generator when constructed, and folds are trained in parallel
        convolution: Any = skip_init(nn.Conv2d, channels, width, 3, stride, 1, bias=False)  # type: ignore[no-untyped-call]
        layers += [convolution, nn.BatchNorm2d(width), nn.ReLU()]
        layers += [nn.MaxPool2d(2)] if stride == 1 else []
        channels = width
    last: Any = skip_init(nn.Linear, channels, num_classes)  # type: ignore[no-untyped-call]
    network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), last)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d):  # He et al. 2015, arXiv:1502.01852, eq. 10
                module.weight.normal_(0, math.sqrt(2 / (module.in_channels * 9)), generator=generator)
            elif isinstance(module, nn.Linear):
                module.weight.normal_(0, 0.01, generator=generator)
                module.bias.zero_()
    return channels_last(network).train()
