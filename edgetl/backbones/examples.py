"""Examples of every front as network inputs: as they are stored, and as floats, plain or augmented."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from edgetl.backbones import pixels
from edgetl.backbones.augment import Augment
from edgetl.data.batches import load_batch
from edgetl.fronts.image.normalize import normalize as normalize_as_exported
from edgetl.types import Preprocessing, Sample, as_image

Views = Callable[[Tensor, torch.Generator], Tensor]
"""A batch as `raw` gives it -> a random view of each example as float32, drawn from a generator on the CPU."""


def raw(examples: NDArray[Any]) -> Tensor:
    """What `load_batch` gives as a tensor, in the same memory; images as planes, uint8 (n, 3, H, W)."""
    return pixels.planes(examples)


def load_raw(samples: Sequence[Sample], p: Preprocessing) -> Tensor:
    """`raw` of samples, in order. Raises DataError."""
    return raw(load_batch(samples, p))


def views(policy: str, p: Preprocessing) -> Views:
    """Training views under a policy. Raises UsageError for an unknown one."""
    image = as_image(p)
    return Augment(policy, image.height, image.width)


def normalize(examples: Tensor, p: Preprocessing) -> Tensor:
    """(n, ...) as `raw` or a view gives them -> float32 (n, *p.network_shape), on the same device.

    For adaptation. Its rounding differs from that of `as_exported`, so the two may differ in the last bit.
    """
    return pixels.normalize(examples, as_image(p))


def as_exported(examples: NDArray[Any], p: Preprocessing) -> Tensor:
    """What `load_batch` gives -> float32 (n, *p.network_shape) with exactly the arithmetic of the exported graph. For
    quantization and proofs, where the last bit may decide the integer."""
    return torch.from_numpy(normalize_as_exported(examples, as_image(p)))


def plain(examples: NDArray[Any], p: Preprocessing, device: torch.device) -> Tensor:
    """`as_exported` on `device`, channels last in memory."""
    return as_exported(examples, p).to(device, memory_format=torch.channels_last)


def augmented(
    examples: NDArray[Any], p: Preprocessing, augment: Views, generator: torch.Generator, device: torch.device
) -> Tensor:
    """As `plain`, of a random view of each example, drawn from `generator`."""
    return pixels.augmented(examples, as_image(p), augment, generator, device)


def noise(p: Preprocessing, count: int) -> Tensor:
    """Random examples as `raw` gives them, but float32, always the same. For looking at what a network does."""
    shape = (count, *p.network_shape)
    return 255 * torch.rand(shape, generator=torch.Generator().manual_seed(0))
