"""The shots as network inputs for training: plain and augmented, decoded again for each batch unless kept."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgetl.backbones.augment import Augment
from edgetl.data.batches import load_batch
from edgetl.quant.views import augmented, plain
from edgetl.types import Preprocessing, Sample

_MAX_RESIDENT_BYTES = 1 << 30


class Shots:
    """Decoded, resized shots. All tensors it returns are float32 (n, 3, H, W), normalized, on `device`."""

    def __init__(
        self, samples: Sequence[Sample], p: Preprocessing, augment: str, seed: int, device: torch.device
    ) -> None:
        self._samples, self.preprocessing, self.device = samples, p, device
        self._augment = Augment(augment, p.height, p.width)
        self._generator = torch.Generator().manual_seed(seed)
        self._resident: NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        return len(self._samples)

    def keep(self) -> None:
        """Decode all once and hold them, up to 1 GiB: training sees each of them many times."""
        size = len(self._samples) * self.preprocessing.height * self.preprocessing.width * 3
        if size <= _MAX_RESIDENT_BYTES:
            self._resident = load_batch(self._samples, self.preprocessing)

    def plain(self, indices: Sequence[int]) -> Tensor:
        """The unchanged images, computed with exactly the arithmetic of the exported graph."""
        return plain(self._bytes(indices), self.preprocessing, self.device)

    def augmented(self, indices: Sequence[int]) -> Tensor:
        """New random views; two runs with one seed see the same."""
        return augmented(self._bytes(indices), self.preprocessing, self._augment, self._generator, self.device)

    def _bytes(self, indices: Sequence[int]) -> NDArray[np.uint8]:
        if self._resident is not None:
            return self._resident[np.asarray(indices, dtype=np.int64)]
        return load_batch([self._samples[index] for index in indices], self.preprocessing)
