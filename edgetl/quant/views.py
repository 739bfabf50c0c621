"""Decoded images as network inputs, plain or augmented: float32 (n, 3, H, W), normalized, on a device, channels last in
memory."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgetl.backbones.augment import Augment
from edgetl.pivot.preprocess import affine, normalize
from edgetl.types import Preprocessing


def plain(pixels: NDArray[np.uint8], p: Preprocessing, device: torch.device) -> Tensor:
    """uint8 (n, H, W, 3) unchanged, with exactly the arithmetic of the exported graph."""
    return torch.from_numpy(normalize(pixels, p)).to(device, memory_format=torch.channels_last)


def augmented(
    pixels: NDArray[np.uint8], p: Preprocessing, augment: Augment, generator: torch.Generator, device: torch.device
) -> Tensor:
    """A random view of each image of uint8 (n, H, W, 3), drawn from `generator`."""
    planes = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous().to(device)
    scale, offset = (torch.from_numpy(values).reshape(1, 3, 1, 1).to(device) for values in affine(p))
    views = augment(planes, generator) * scale + offset
    return views.contiguous(memory_format=torch.channels_last)
