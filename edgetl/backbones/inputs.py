"""Turns bytes into the network's input, in torch, with the same formula as the exported graph."""

from __future__ import annotations

import torch
from torch import Tensor

from edgetl.types import Preprocessing


def normalize(images: Tensor, preprocessing: Preprocessing) -> Tensor:
    """(N, 3, H, W), values 0..255, uint8 or float -> float32 `(x / 255 - mean) / std`, on the same device."""
    mean = torch.tensor(preprocessing.mean, device=images.device).reshape(1, 3, 1, 1)
    std = torch.tensor(preprocessing.std, device=images.device).reshape(1, 3, 1, 1)
    return (images.float() / 255 - mean) / std
