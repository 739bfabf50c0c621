"""The calibration images as network inputs, decoded batch by batch: memory does not grow with their number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgetl.backbones.examples import augmented, plain, views
from edgetl.files.digest import value_digest
from edgetl.fronts.batches import load_batch
from edgetl.quant.draw import draw_samples
from edgetl.types import CalibrationProfile, Preprocessing, Sample

BATCH = 16  # its own: observing continues at the number of a batch


class CalibrationImages:
    """The samples that `draw_samples` draws, in batches of 16.

    All tensors are float32 (n, 3, H, W), normalized, on `device`. A batch depends only on its number, so a resumed run
    gets the same batches as an uninterrupted one. No batch is kept here once its tensors are released.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        p: Preprocessing,
        policy: str,
        profile: CalibrationProfile,
        device: torch.device,
    ) -> None:
        self.samples = draw_samples(samples, profile)
        self.device = device
        self._preprocessing, self._profile = p, profile
        self._augment = views(policy, p)

    def __len__(self) -> int:
        """The number of batches."""
        return -(-len(self.samples) // BATCH)

    def size(self, number: int) -> int:
        """Number of views in this batch: each image plain and `profile.views` times augmented."""
        return len(self.samples[number * BATCH : (number + 1) * BATCH]) * (1 + self._profile.views)

    def plain(self, number: int) -> Tensor:
        """The images of a batch unchanged, with exactly the arithmetic of the exported graph. Raises DataError."""
        return self._plain(self._decode(number))

    def views(self, number: int) -> Iterator[Tensor]:
        """The images of a batch, decoded once: plain, then each augmented view. Raises DataError."""
        pixels = self._decode(number)
        yield self._plain(pixels)
        for view in range(1, self._profile.views + 1):
            yield self._augmented(pixels, view, number)

    def _decode(self, number: int) -> NDArray[np.uint8]:
        return load_batch(self.samples[number * BATCH : (number + 1) * BATCH], self._preprocessing)

    def _plain(self, pixels: NDArray[np.uint8]) -> Tensor:
        return plain(pixels, self._preprocessing, self.device)

    def _augmented(self, pixels: NDArray[np.uint8], view: int, number: int) -> Tensor:
        # a generator per batch and view, so that a resumed run makes the same draws as an uninterrupted one
        generator = torch.Generator().manual_seed(_seed(self._profile.seed, view, number))
        return augmented(pixels, self._preprocessing, self._augment, generator, self.device)


def _seed(*numbers: int) -> int:
    """A seed below 2**60 from several numbers; different numbers give unrelated seeds."""
    return int(value_digest(list(numbers))[:15], 16)
