"""The inputs of a training step: activations at the freeze point, computed once, or pixels if nothing is frozen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgetl.backbones.examples import load_raw, normalize, raw, views
from edgetl.backbones.extract import Frozen, Point, run_to
from edgetl.backbones.rows import Rows
from edgetl.backbones.text.tail import with_states
from edgetl.fronts.pixels import MOST_BYTES, Pixels
from edgetl.types import Preprocessing, Sample


class Inputs(Protocol):
    """Images by index, as inputs of the trained part of the network; float32 on the training device."""

    def plain(self, indices: Sequence[int]) -> Tensor: ...

    def views(self, indices: Sequence[int], generator: torch.Generator) -> Tensor:
        """One random view of each."""
        ...


class CachedInputs:
    """Activations of V views, view 0 plain; in memory if there are few, read again for each batch if there are many."""

    def __init__(self, views: Sequence[Rows], device: torch.device) -> None:
        self._views, self._device = tuple(views), device
        size = sum(2 * int(np.prod(rows.shape)) for rows in views)
        resident = bool(views) and size <= MOST_BYTES
        self._resident = torch.stack([torch.from_numpy(rows.read()).half() for rows in views]) if resident else None

    def plain(self, indices: Sequence[int]) -> Tensor:
        return self._read([0] * len(indices), indices)

    def views(self, indices: Sequence[int], generator: torch.Generator) -> Tensor:
        return self._read(torch.randint(len(self._views), (len(indices),), generator=generator).tolist(), indices)

    def _read(self, numbers: Sequence[int], indices: Sequence[int]) -> Tensor:
        if self._resident is not None:
            return self._resident[list(numbers), list(indices)].float().to(self._device)
        rows = [self._views[number].read([index])[0] for number, index in zip(numbers, indices, strict=True)]
        return torch.from_numpy(np.stack(rows)).to(self._device)


class StateInputs:
    """Tokens with the states of real ones at `point`, float32 in memory: `with_states`. No views but the plain one."""

    def __init__(self, frozen: Frozen, samples: Sequence[Sample], point: Point) -> None:
        self._preprocessing, self._device = frozen.spec.preprocessing, frozen.device
        self._tokens = load_raw(samples, self._preprocessing)
        self._states = [
            run_to(frozen, (point,), row[None])[0][0, : int((row != frozen.network.pad).sum())].clone()
            for row in self._tokens
        ]

    def plain(self, indices: Sequence[int]) -> Tensor:
        tokens = normalize(self._tokens[list(indices)], self._preprocessing).to(self._device)
        states = nn.utils.rnn.pad_sequence([self._states[index] for index in indices], batch_first=True)
        return with_states(tokens, functional.pad(states, (0, 0, 0, tokens.shape[1] - states.shape[1])))

    def views(self, indices: Sequence[int], generator: torch.Generator) -> Tensor:
        return self.plain(indices)


class PixelInputs:
    """Decoded shots with a new augmentation in every step."""

    def __init__(self, samples: Sequence[Sample], p: Preprocessing, policy: str, device: torch.device) -> None:
        self._pixels, self._view, self._device = Pixels(samples, p), views(policy, p), device
        self._pixels.keep()

    def plain(self, indices: Sequence[int]) -> Tensor:
        return self._normalized(self._raw(indices))

    def views(self, indices: Sequence[int], generator: torch.Generator) -> Tensor:
        return self._normalized(self._view(self._raw(indices), generator))

    def _raw(self, indices: Sequence[int]) -> Tensor:
        return raw(self._pixels[indices], self._pixels.preprocessing).contiguous()

    def _normalized(self, images: Tensor) -> Tensor:
        return normalize(images.to(self._device), self._pixels.preprocessing)
