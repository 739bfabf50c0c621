"""What a head is: the classifier that is fitted on cached features and written into the exported graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class LinearHead:
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

    def after(self, matrix: Floats, offset: Floats) -> LinearHead:
        """The same head for features x (G,) that `x @ matrix + offset` takes to its own; matrix (G, F)."""
        return LinearHead(self.name, self.weight @ matrix.T, self.bias + self.weight @ offset, self.setting)


@dataclass(frozen=True)
class MlpHead:
    """logits = relu(features @ hidden_weight.T + hidden_bias) @ weight.T + bias; float64, logits scaled alike.

    hidden_weight (H, F), hidden_bias (H,), weight (C, H), bias (C,).
    """

    name: str
    hidden_weight: Floats
    hidden_bias: Floats
    weight: Floats
    bias: Floats
    setting: str

    def logits(self, features: NDArray[np.floating]) -> Floats:
        """features (N, F) -> float64 (N, C)."""
        hidden = np.maximum(features.astype(np.float64) @ self.hidden_weight.T + self.hidden_bias, 0.0)
        return np.asarray(hidden @ self.weight.T + self.bias)

    def after(self, matrix: Floats, offset: Floats) -> MlpHead:
        """The same head for features x (G,) that `x @ matrix + offset` takes to its own; matrix (G, F)."""
        weight, bias = self.hidden_weight @ matrix.T, self.hidden_bias + self.hidden_weight @ offset
        return MlpHead(self.name, weight, bias, self.weight, self.bias, self.setting)


Head = LinearHead | MlpHead


class Fit(Protocol):
    """Fit a head on views (V, N, D) of V views of N images, view 0 the plain one, in the space of `space.py`.

    labels int64 (N,), every class of `num_classes` present. The same arguments give the same bytes.
    """

    def __call__(self, views: Floats, labels: Labels, num_classes: int, seed: int) -> Head: ...
