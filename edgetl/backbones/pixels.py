"""Decoded images as network inputs: planes of bytes, and normalized floats, plain or augmented."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgetl.fronts.image.normalize import affine
from edgetl.types import ImagePreprocessing


def planes(pixels: NDArray[np.uint8]) -> Tensor:
    """uint8 (n, H, W, 3) -> uint8 (n, 3, H, W), the same memory."""
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)


def normalize(images: Tensor, p: ImagePreprocessing) -> Tensor:
    """(n, 3, H, W), values 0..255, uint8 or float -> float32 `(x / 255 - mean) / std`, on the same device.

    For adaptation. Its rounding differs from that of `plain`, so the two may differ in the last bit.
    """
    mean = torch.tensor(p.mean, device=images.device).reshape(1, 3, 1, 1)
    std = torch.tensor(p.std, device=images.device).reshape(1, 3, 1, 1)
    return (images.float() / 255 - mean) / std


def augmented(
    pixels: NDArray[np.uint8],
    p: ImagePreprocessing,
    augment: Callable[[Tensor, torch.Generator], Tensor],
    generator: torch.Generator,
    device: torch.device,
) -> Tensor:
    """A random view of each image, drawn from `generator`: float32 (n, 3, H, W), normalized, channels last."""
    scale, offset = (torch.from_numpy(values).reshape(1, 3, 1, 1).to(device) for values in affine(p))
    views = augment(planes(pixels).contiguous().to(device), generator) * scale + offset
    return views.contiguous(memory_format=torch.channels_last)
