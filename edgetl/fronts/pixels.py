"""Decoded images by number: kept in memory if there are few, else decoded again each time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edgetl.fronts.batches import BATCH, load_batch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgetl.types import Preprocessing, Sample

MOST_BYTES = 1 << 30
"""Limit of images, or of activations of images, that are kept in memory."""


class Pixels:
    """Samples as `load_batch` decodes and resizes them. Reading raises DataError for an unreadable file."""

    def __init__(self, samples: Sequence[Sample], preprocessing: Preprocessing) -> None:
        self.samples, self.preprocessing = tuple(samples), preprocessing
        self._kept: NDArray[Any] | None = None

    def __len__(self) -> int:
        return len(self.samples)

    def keep(self) -> None:
        """Decode all once, if they take at most `MOST_BYTES`: for repeated reads."""
        p = self.preprocessing
        size = np.dtype(p.port.dtype).itemsize * int(np.prod([size or 1 for size in p.port.shape]))
        if self._kept is None and len(self) * size <= MOST_BYTES:
            self._kept = load_batch(self.samples, p)

    def __getitem__(self, indices: Sequence[int]) -> NDArray[Any]:
        """uint8 (n, H, W, 3) of the images `indices`, in their order."""
        if self._kept is not None:
            return self._kept[np.asarray(indices, dtype=np.int64)]
        return load_batch([self.samples[index] for index in indices], self.preprocessing)

    def batches(self, size: int = BATCH) -> Iterator[NDArray[Any]]:
        """All of them in order, at most `size` at a time."""
        for start in range(0, len(self), size):
            yield self[range(start, min(start + size, len(self)))]
