"""A loss that brings features of one class together and moves those of others apart."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

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
