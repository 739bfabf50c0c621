"""Examples of every front as network inputs: as they are stored, and as floats, plain or augmented.

Each front has one module with these functions: `pixels` for images, `audio.sounds` for clips, `series.windows` for
windows of series, `text.texts` for texts, whose tokens stay int64.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgetl.backbones import pixels
from edgetl.backbones.audio import sounds
from edgetl.backbones.series import windows
from edgetl.backbones.speed import packed
from edgetl.backbones.text import texts
from edgetl.fronts.batches import load_batch
from edgetl.types import FrontName, Preprocessing, Sample

Views = Callable[[Tensor, torch.Generator], Tensor]
"""A batch as `raw` gives it -> a random view of each example as float32, drawn from a generator on the CPU."""
_MODULES: dict[FrontName, ModuleType] = {"image": pixels, "audio": sounds, "series": windows, "text": texts}


def raw(examples: NDArray[Any], p: Preprocessing) -> Tensor:
    """What `load_batch` gives as a tensor, in the same memory: images as planes, uint8 (n, 3, H, W); clips as they are,
    int16 (n, samples), and so windows, float32 (n, steps, channels)."""
    found: Tensor = _MODULES[p.front].raw(examples)
    return found


def load_raw(samples: Sequence[Sample], p: Preprocessing) -> Tensor:
    """`raw` of samples, in order. Raises DataError."""
    return raw(load_batch(samples, p), p)


def views(policy: str, p: Preprocessing) -> Views:
    """Training views under a policy. Raises UsageError for an unknown one."""
    found: Views = _MODULES[p.front].views(policy, p)
    return found


def normalize(examples: Tensor, p: Preprocessing) -> Tensor:
    """(n, ...) as `raw` or a view gives them -> float32 (n, *p.network_shape), on the same device.

    For adaptation. Its rounding differs from that of `as_exported`, so the two may differ in the last bit.
    """
    found: Tensor = _MODULES[p.front].normalize(examples, p)
    return found


def as_exported(examples: NDArray[Any], p: Preprocessing) -> Tensor:
    """What `load_batch` gives -> float32 (n, *p.network_shape) with the arithmetic of the exported graph, for images to
    the bit. For quantization and proofs, where the last bit may decide the integer."""
    found: Tensor = _MODULES[p.front].as_exported(examples, p)
    return found


def plain(examples: NDArray[Any], p: Preprocessing, device: torch.device) -> Tensor:
    """`as_exported` on `device`, channels last in memory if there are any."""
    return packed(as_exported(examples, p).to(device))


def augmented(
    examples: NDArray[Any], p: Preprocessing, augment: Views, generator: torch.Generator, device: torch.device
) -> Tensor:
    """As `plain`, of a random view of each example, drawn from `generator`."""
    seen = augment(raw(examples, p).contiguous().to(device), generator)
    found: Tensor = _MODULES[p.front].of_view(seen, p)
    return packed(found)


def noise(p: Preprocessing, count: int) -> Tensor:
    """Random examples as views give them, always the same. For looking at what a network does."""
    found: Tensor = _MODULES[p.front].noise(p, count)
    return found


def pictures(samples: Sequence[Sample], p: Preprocessing) -> NDArray[np.uint8]:
    """(n, 3, H, W): images; of clips their mel frames, of windows their values in gray. For baselines that know nothing
    of the front; texts have none."""
    found: NDArray[np.uint8] = _MODULES[p.front].pictures(load_raw(samples, p), p)
    return found
