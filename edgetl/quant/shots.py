"""The shots as network inputs, plain and augmented, decoded again per batch when they are too many to keep."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgetl.backbones.augment import Augment
from edgetl.data.views import load_batch
from edgetl.graph.preprocess import affine, normalize
from edgetl.types import Preprocessing, Sample

_MAX_RESIDENT_BYTES = 1 << 30
_CALIBRATION_BATCH = 16


class Shots:
    """Decoded, resized shots. All tensors it returns are float32 (n, 3, H, W), normalised, on `device`."""

    def __init__(
        self, samples: Sequence[Sample], p: Preprocessing, augment: str, seed: int, device: torch.device
    ) -> None:
        self._samples, self._preprocessing, self.device = samples, p, device
        self._augment = Augment(augment, p.height, p.width)
        self._generator = torch.Generator().manual_seed(seed)
        size = len(samples) * p.height * p.width * 3
        self._resident = load_batch(samples, p) if size <= _MAX_RESIDENT_BYTES else None

    def __len__(self) -> int:
        return len(self._samples)

    def plain(self, indices: Sequence[int]) -> Tensor:
        """The images as they are, with the very arithmetic of the exported graph."""
        return torch.from_numpy(normalize(self._bytes(indices), self._preprocessing)).to(self.device)

    def augmented(self, indices: Sequence[int]) -> Tensor:
        """New random views; two runs with one seed see the same."""
        planes = torch.from_numpy(self._bytes(indices)).permute(0, 3, 1, 2).contiguous().to(self.device)
        scale, offset = (
            torch.from_numpy(values).reshape(1, 3, 1, 1).to(self.device) for values in affine(self._preprocessing)
        )
        return self._augment(planes, self._generator) * scale + offset

    def calibration(self, images: int, views: int, seed: int) -> Iterator[Tensor]:
        """At most `images` of the shots, drawn by `seed`: plain, then `views` times augmented, in batches."""
        drawn = np.random.default_rng(seed).permutation(len(self))[:images].tolist()
        for make in [self.plain, *[self.augmented] * views]:
            for start in range(0, len(drawn), _CALIBRATION_BATCH):
                yield make(drawn[start : start + _CALIBRATION_BATCH])

    def _bytes(self, indices: Sequence[int]) -> NDArray[np.uint8]:
        if self._resident is not None:
            return self._resident[np.asarray(indices, dtype=np.int64)]
        return load_batch([self._samples[index] for index in indices], self._preprocessing)
