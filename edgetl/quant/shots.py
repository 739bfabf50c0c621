"""The shots as network inputs for training: plain and augmented, decoded again for each batch unless kept."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from edgetl.backbones.examples import augmented, plain, views
from edgetl.fronts.pixels import Pixels
from edgetl.types import Preprocessing, Sample


class Shots:
    """Decoded, resized shots. All tensors it returns are float32 (n, 3, H, W), normalized, on `device`."""

    def __init__(
        self, samples: Sequence[Sample], p: Preprocessing, augment: str, seed: int, device: torch.device
    ) -> None:
        self._pixels, self.preprocessing, self.device = Pixels(samples, p), p, device
        self._augment = views(augment, p)
        self._generator = torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        return len(self._pixels)

    def keep(self) -> None:
        """Decode all once and hold them, up to 1 GiB: training sees each of them many times."""
        self._pixels.keep()

    def plain(self, indices: Sequence[int]) -> Tensor:
        """The unchanged images, computed with exactly the arithmetic of the exported graph."""
        return plain(self._pixels[indices], self.preprocessing, self.device)

    def augmented(self, indices: Sequence[int]) -> Tensor:
        """New random views; two runs with one seed see the same."""
        return augmented(self._pixels[indices], self.preprocessing, self._augment, self._generator, self.device)
