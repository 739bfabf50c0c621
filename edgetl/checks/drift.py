"""Whether two sets of images differ by more than chance: the kernel two-sample test.

Maximum mean discrepancy with a Gaussian kernel at the median distance (Gretton et al. 2012, "A Kernel Two-Sample Test",
JMLR 13:723-773), with a permutation p-value. Sides are exchanged within classes only and classes weigh the same on
both sides, so that other class proportions alone are no drift. The p-value is valid for any sizes; because with many
images it would make much of a trifle, a verdict needs an effect as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgetl.adapt.heads.space import deviations

PERMUTATIONS = 4999
ALPHA = 0.001
"""Chance of a false alarm; shared by the tests of one set (Bonferroni)."""
MIN_EFFECT = 0.01
"""Shift between the sides as a share of the spread inside the classes, from which on drift is warned of."""

_CHUNK = 256

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Drift:
    """What the test found.

    p_value  of the permutation test
    effect   squared distance of the two means in the kernel's space beyond what chance gives, as a share of the
             variance inside a class there
    witness  (N,) negative where an image is more like the second side
    """

    p_value: float
    effect: float
    witness: Floats


def measure_drift(
    features: NDArray[np.floating], labels: NDArray[np.int64], second: NDArray[np.bool_], *, seed: int
) -> Drift | None:
    """Compare the images with `second` to those without, class by class; None when no class is on both sides.

    features (N, F), any scale; labels (N,); second (N,).
    """
    used = _on_both_sides(labels, second)
    if not used.any():
        return None
    rows = np.flatnonzero(used)
    kernel = _kernel(features[rows].astype(np.float64))
    weights = _weights(labels[rows], second[rows])
    observed = float(weights @ kernel @ weights)
    chance = _permuted(kernel, weights, labels[rows], seed)
    p_value = (1 + np.count_nonzero(chance >= observed)) / (1 + len(chance))
    witness = np.zeros(len(labels))
    witness[rows] = kernel @ weights
    spread = _spread(kernel, labels[rows])
    effect = (observed - float(chance.mean())) / spread if spread > 0 else 0.0
    return Drift(float(p_value), effect, witness)


def _on_both_sides(labels: NDArray[np.int64], second: NDArray[np.bool_]) -> NDArray[np.bool_]:
    both = np.intersect1d(labels[second], labels[~second])
    return np.isin(labels, both)


def _kernel(features: Floats) -> NDArray[np.float32]:
    """exp(-d^2 / median of d^2) of features of about unit variance: (N, N)."""
    scaled = (features - features.mean(axis=0)) / deviations(features)
    lengths = (scaled * scaled).sum(axis=1)
    squares = np.maximum(lengths[:, None] + lengths[None, :] - 2 * scaled @ scaled.T, 0)
    median = float(np.median(squares[np.triu_indices(len(squares), 1)]))
    return np.asarray(np.exp(-squares / max(median, 1e-12)), dtype=np.float32)


def _weights(labels: NDArray[np.int64], second: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(N,) positive on the first side, negative on the second, each summing to one; every class weighs the same on
    both, in proportion to its smaller side."""
    weights = np.zeros(len(labels))
    for label in np.unique(labels):
        first_side, second_side = (labels == label) & ~second, (labels == label) & second
        share = min(np.count_nonzero(first_side), np.count_nonzero(second_side))
        weights[first_side] = share / np.count_nonzero(first_side)
        weights[second_side] = -share / np.count_nonzero(second_side)
    return np.asarray(weights / weights[weights > 0].sum(), dtype=np.float32)


def _permuted(
    kernel: NDArray[np.float32], weights: NDArray[np.float32], labels: NDArray[np.int64], seed: int
) -> Floats:
    """(PERMUTATIONS,) the statistic with the sides exchanged at random within each class."""
    generator = np.random.default_rng(seed)
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    values: list[Floats] = []
    for start in range(0, PERMUTATIONS, _CHUNK):
        count = min(_CHUNK, PERMUTATIONS - start)
        drawn = np.empty((count, len(labels)), dtype=np.float32)
        for rows in members:
            drawn[:, rows] = generator.permuted(np.tile(weights[rows], (count, 1)), axis=1)
        values.append(np.einsum("rn,rn->r", drawn @ kernel, drawn, dtype=np.float64))
    return np.concatenate(values)


def _spread(kernel: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Mean over classes of the variance inside a class in the kernel's space: 1 - mean kernel of two of its images."""
    spreads: list[float] = []
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        if len(rows) > 1:
            block = kernel[np.ix_(rows, rows)]
            spreads.append(1 - (float(block.sum()) - float(block.trace())) / (len(rows) * (len(rows) - 1)))
    return float(np.mean(spreads)) if spreads else 0.0
