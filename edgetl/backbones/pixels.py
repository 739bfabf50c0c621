"""Decoded images as network inputs: planes of bytes, and normalized floats, plain or augmented."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgetl.backbones.augment import Augment
from edgetl.data.batches import load_batch
from edgetl.fronts.image.normalize import affine
from edgetl.fronts.image.normalize import normalize as normalize_as_exported
from edgetl.types import Preprocessing, Sample


def planes(pixels: NDArray[np.uint8]) -> Tensor:
    """uint8 (n, H, W, 3) -> uint8 (n, 3, H, W), the same memory."""
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)


def load_planes(samples: Sequence[Sample], p: Preprocessing) -> Tensor:
    """Decode and resize samples, in order: uint8 (n, 3, H, W). Raises DataError."""
    return planes(load_batch(samples, p))


def normalize(images: Tensor, p: Preprocessing) -> Tensor:
    """(n, 3, H, W), values 0..255, uint8 or float -> float32 `(x / 255 - mean) / std`, on the same device.

    For adaptation. Its rounding differs from that of `plain`, so the two may differ in the last bit.
    """
    mean = torch.tensor(p.mean, device=images.device).reshape(1, 3, 1, 1)
    std = torch.tensor(p.std, device=images.device).reshape(1, 3, 1, 1)
    return (images.float() / 255 - mean) / std


def plain(pixels: NDArray[np.uint8], p: Preprocessing, device: torch.device) -> Tensor:
    """uint8 (n, H, W, 3) -> float32 (n, 3, H, W) on `device`, channels last in memory, with exactly the
    arithmetic of the exported graph. For quantization, where the last bit may decide the integer."""
    return torch.from_numpy(normalize_as_exported(pixels, p)).to(device, memory_format=torch.channels_last)


def augmented(
    pixels: NDArray[np.uint8], p: Preprocessing, augment: Augment, generator: torch.Generator, device: torch.device
) -> Tensor:
    """As `plain`, of a random view of each image, drawn from `generator`."""
    scale, offset = (torch.from_numpy(values).reshape(1, 3, 1, 1).to(device) for values in affine(p))
    views = augment(planes(pixels).contiguous().to(device), generator) * scale + offset
    return views.contiguous(memory_format=torch.channels_last)
