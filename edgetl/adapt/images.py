"""The shots as pixels: kept in memory if there are few, decoded again for each batch if there are many."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from edgetl.data.batches import load_batch
from edgetl.types import Preprocessing, Sample

_MAX_RESIDENT_BYTES = 1 << 30


class Images:
    """Decoded, resized shots. `images[i]` is uint8 (n, 3, height, width), RGB, for the indices i."""

    def __init__(self, samples: Sequence[Sample], preprocessing: Preprocessing) -> None:
        self._samples, self._preprocessing = samples, preprocessing
        size = len(samples) * preprocessing.height * preprocessing.width * 3
        self._resident = self._load(range(len(samples))) if size <= _MAX_RESIDENT_BYTES else None

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, indices: Sequence[int]) -> Tensor:
        if self._resident is not None:
            return self._resident[torch.as_tensor(np.asarray(indices, dtype=np.int64))]
        return self._load(indices)

    def _load(self, indices: Sequence[int]) -> Tensor:
        pixels = load_batch([self._samples[index] for index in indices], self._preprocessing)
        return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
