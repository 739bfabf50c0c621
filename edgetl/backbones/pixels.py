"""Images as network inputs, with the functions that `edgetl.backbones.examples` asks every front for."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgetl.backbones.augment import Augment
from edgetl.fronts.image.normalize import affine
from edgetl.fronts.image.normalize import normalize as normalize_as_exported
from edgetl.types import ImagePreprocessing


def raw(pixels: NDArray[np.uint8]) -> Tensor:
    """uint8 (n, H, W, 3) -> uint8 (n, 3, H, W), the same memory."""
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)


def views(policy: str, p: ImagePreprocessing) -> Augment:
    """Training views. Raises UsageError for an unknown policy."""
    return Augment(policy, p.height, p.width)


def normalize(images: Tensor, p: ImagePreprocessing) -> Tensor:
    """(n, 3, H, W), values 0..255, uint8 or float -> float32 `(x / 255 - mean) / std`, on the same device.

    For adaptation. Its rounding differs from that of `as_exported`, so the two may differ in the last bit.
    """
    mean = torch.tensor(p.mean, device=images.device).reshape(1, 3, 1, 1)
    std = torch.tensor(p.std, device=images.device).reshape(1, 3, 1, 1)
    return (images.float() / 255 - mean) / std


def of_view(images: Tensor, p: ImagePreprocessing) -> Tensor:
    """The same with one multiplication and one addition, as the exported graph computes."""
    scale, offset = (torch.from_numpy(values).reshape(1, 3, 1, 1).to(images.device) for values in affine(p))
    return images * scale + offset


def as_exported(pixels: NDArray[np.uint8], p: ImagePreprocessing) -> Tensor:
    """uint8 (n, H, W, 3) -> float32 (n, 3, H, W), the exported graph's numbers to the bit."""
    return torch.from_numpy(normalize_as_exported(pixels, p))


def noise(p: ImagePreprocessing, count: int) -> Tensor:
    """float32 (count, 3, H, W), values 0..255."""
    return 255 * torch.rand(count, *p.network_shape, generator=torch.Generator().manual_seed(0))


def pictures(images: Tensor, p: ImagePreprocessing) -> NDArray[np.uint8]:
    """The images themselves."""
    return images.numpy()
