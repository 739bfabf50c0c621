"""The space that heads are fitted in: centered features, rotated into the few directions that carry them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from edgetl.tasks.classification.heads.head import Floats, Head

_LEAST_DEVIATION = 0.1  # of the mean deviation of all features
_Real = TypeVar("_Real", np.float32, np.float64)
_LOST_VARIANCE = 1e-2  # share of the variance in the directions that are dropped


@dataclass(frozen=True)
class Space:
    """compact = (features - mean) @ matrix; mean (F,), matrix (F, D), float64. Knows no labels."""

    mean: Floats
    matrix: Floats

    def compact(self, features: NDArray[np.floating]) -> Floats:
        """(..., F) -> float64 (..., D)."""
        return np.asarray((features.astype(np.float64) - self.mean) @ self.matrix)

    def outside(self, head: Head) -> Head:
        """A head fitted on compact features, as one for the features themselves."""
        return head.after(self.matrix, -self.mean @ self.matrix)


def fit_space(views: NDArray[np.floating], *, standardise: bool = True) -> Space:
    """The space of views (V, N, F), V N >= 1.

    Each feature is centered and divided by its deviation (`deviations`), or, not standardized, all by their mean
    deviation. Then the features are rotated into their principal axes. A rotation changes no distance and no penalty;
    the axes that are dropped share one hundredth of the variance, and few shots become cheap to fit on.
    """
    flat = views.reshape(-1, views.shape[-1]).astype(np.float64)
    mean, deviation = flat.mean(axis=0), deviations(flat)
    if not standardise:
        deviation = np.full_like(deviation, deviation.mean())
    scaled = (flat - mean) / deviation
    return Space(mean, _principal_axes(scaled) / deviation[:, None])


def deviations(rows: NDArray[_Real]) -> NDArray[_Real]:
    """(F,) of rows (N, F): what each feature is divided by to be of about unit variance.

    A feature that hardly moves carries no evidence: it is divided by no less than a tenth of the mean deviation,
    which leaves it small.
    """
    deviation = rows.std(axis=0)
    least = _LEAST_DEVIATION * max(float(deviation.mean()), 1e-6)
    return np.asarray(np.maximum(deviation, least), dtype=rows.dtype)


def _principal_axes(scaled: Floats) -> Floats:
    """(M, F) -> (F, D) orthonormal columns, D >= 1, by the smaller of the two Gram matrices."""
    wide = scaled.shape[0] < scaled.shape[1]
    values, vectors = np.linalg.eigh(scaled @ scaled.T if wide else scaled.T @ scaled)
    values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
    lost = 1 - np.cumsum(values) / max(float(values.sum()), np.finfo(np.float64).tiny)
    kept = 1 + int(np.count_nonzero(lost > _LOST_VARIANCE))
    kept = max(1, min(kept, int(np.count_nonzero(values > 1e-12 * values[0]))))
    if not wide:
        return np.ascontiguousarray(vectors[:, :kept])
    return np.asarray(scaled.T @ (vectors[:, :kept] / np.sqrt(np.maximum(values[:kept], 1e-300))))
