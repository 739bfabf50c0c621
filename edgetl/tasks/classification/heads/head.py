"""What a head is: the classifier that is fitted on cached features and written into the exported graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Head:
    """logits = features @ weight.T + bias; weight float64 (C, F), bias float64 (C,).

    `setting` says in a few words what was chosen in fitting. The logits are scaled so that their softmax is a
    probability: heads may be compared by cross entropy.
    """

    name: str
    weight: Floats
    bias: Floats
    setting: str

    def logits(self, features: NDArray[np.floating]) -> Floats:
        """features (N, F) -> float64 (N, C)."""
        return np.asarray(features.astype(np.float64) @ self.weight.T + self.bias)

    def after(self, matrix: Floats, offset: Floats) -> Head:
        """The same head for features x (G,) that `x @ matrix + offset` takes to its own; matrix (G, F)."""
        return Head(self.name, self.weight @ matrix.T, self.bias + self.weight @ offset, self.setting)


class Fit(Protocol):
    """Fit a head on views (V, N, D) of V views of N images, view 0 the plain one, in the space of `space.py`.

    labels int64 (N,), every class of `num_classes` present. The same arguments give the same bytes.
    """

    def __call__(self, views: Floats, labels: Labels, num_classes: int, seed: int) -> Head: ...
