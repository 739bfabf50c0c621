"""Losses beside cross entropy: one that brings features of one class together and moves those of others apart, and the
sum over several heads, each the mean over the images labeled for the head."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from edgetl.types import HeadClasses

_NEVER = -1e9  # as a likeness; infinite ones have no gradients
_TEMPERATURE = 0.3  # docs/decisions/0030-text-networks.md


def contrastive_loss(features: Tensor, labels: Tensor) -> Tensor:
    """The supervised contrastive loss of Khosla et al. 2020 (arXiv:2004.11362, eq. 2) over one batch.

    features (N, F) float, labels (N,); the mean over those that have another one of their class in the batch, zero if
    none has.
    """
    directions = functional.normalize(features)
    alone = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    likeness = (directions @ directions.T / _TEMPERATURE).masked_fill(alone, _NEVER)
    same = (labels[:, None] == labels[None]) & ~alone
    log_share = (likeness - torch.logsumexp(likeness, 1, keepdim=True)).masked_fill(~same, 0.0)
    count = same.sum(1)
    each = -log_share.sum(1) / count.clamp_min(1)
    return each.sum() / (count > 0).sum().clamp_min(1)


_NONE = -1  # of an image without a label for a head


def loss_of_heads(
    heads: Sequence[HeadClasses], train: NDArray[np.int64], smoothing: float
) -> Callable[[Tensor, Tensor], Tensor]:
    """The loss of logits (n, C) and labels (n, heads), as a mean over the n images, so that parts of a batch add up.

    train  labels (N, heads) of all images that are trained on: a head with few labels weighs as much as the others
    """
    weights = [len(train) / max(int((train[:, number] != _NONE).sum()), 1) for number in range(len(heads))]

    def loss(logits: Tensor, labels: Tensor) -> Tensor:
        total = logits.sum() * 0.0  # with gradients if no image has a label
        for number, head in enumerate(heads):
            summed = functional.cross_entropy(
                logits[:, head.columns],
                labels[:, number],
                ignore_index=_NONE,
                label_smoothing=smoothing,
                reduction="sum",
            )
            total = total + weights[number] * summed
        return total / len(logits)

    return loss


def contrast_of(pooled: Tensor, labels: Tensor) -> Tensor:
    """The contrastive loss of each head on the images that are labeled for it; labels (n,) or (n, heads)."""
    if labels.ndim == 1:
        return contrastive_loss(pooled, labels)
    total = pooled.sum() * 0.0
    for own in labels.T:
        if int((known := own != _NONE).sum()) > 1:
            total = total + contrastive_loss(pooled[known], own[known])
    return total


def scores_of_heads(
    logits: NDArray[np.float32], labels: NDArray[np.int64], heads: Sequence[HeadClasses]
) -> tuple[float, float]:
    """The sum of the heads' mean cross entropies, and the share of all predictions that are right."""
    loss, right, count = 0.0, 0, 0
    for number, head in enumerate(heads):
        rows = labels[:, number] != _NONE
        own, truth = logits[rows, head.columns], labels[rows, number]
        if len(truth):
            loss += float(functional.cross_entropy(torch.from_numpy(own).double(), torch.from_numpy(truth)))
        right, count = right + int((own.argmax(1) == truth).sum()), count + len(truth)
    return loss, right / max(count, 1)
