"""Whether two sets of images differ by more than chance: the kernel two-sample test.

Maximum mean discrepancy with a Gaussian kernel at the median distance (Gretton et al. 2012, "A Kernel Two-Sample Test",
JMLR 13:723-773), with a permutation p-value. Sides are exchanged within classes only and classes weigh the same on
both sides, so that different class proportions alone do not count as drift. Images of one group (a video, a site) are
alike, so they are exchanged together, with groups that have images of the same classes (restricted permutation of whole
units; Good 2005, "Permutation, Parametric and Bootstrap Tests of Hypotheses", chapter 6). The p-value is valid for any
sizes; because with many images it would make much of a trifle, a verdict needs an effect as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.typing import NDArray

from edgetl.tasks.classification.heads.space import deviations

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
    least    the smallest p-value that so few images or groups can have: one over the number of ways to exchange them
    effect   squared distance of the two means in the kernel's space beyond what chance gives, as a share of the
             variance inside a class there
    witness  (N,) negative where an image is more like the second side
    """

    p_value: float
    least: float
    effect: float
    witness: Floats


def measure_drift(
    features: NDArray[np.floating],
    labels: NDArray[np.int64],
    second: NDArray[np.bool_],
    *,
    seed: int,
    groups: Sequence[str] | None = None,
) -> Drift | None:
    """Compare the images with `second` to those without, class by class; None if no class is on both sides.

    features (N, F), any scale; labels (N,); second (N,); groups: N keys of images that belong together, None if each
    is independent. A group on both sides counts as two.
    """
    used = _on_both_sides(labels, second)
    if not used.any():
        return None
    rows = np.flatnonzero(used)
    kernel = _kernel(features[rows].astype(np.float64))
    own = labels[rows]
    units = _units(own, second[rows], None if groups is None else [groups[row] for row in rows.tolist()])
    weights = _weights(own, second[rows][None])[0]
    observed = float(weights @ kernel @ weights)
    chance = _permuted(kernel, own, units, seed)
    # equal values may come from different sums; values that differ only by rounding are ties, and ties count
    p_value = (1 + np.count_nonzero(chance >= observed - 1e-9 * abs(observed) - 1e-12)) / (1 + len(chance))
    witness = np.zeros(len(labels))
    witness[rows] = kernel @ weights
    spread = _spread(kernel, own)
    effect = (observed - float(chance.mean())) / spread if spread > 0 else 0.0
    return Drift(float(p_value), 1 / units.arrangements, effect, witness)


@dataclass(frozen=True)
class _Units:
    """The units that are exchanged. `of`: (N,) the unit of each image; `second`: (U,) its side; `strata`: units that
    may be exchanged for each other."""

    of: NDArray[np.intp]
    second: NDArray[np.bool_]
    strata: tuple[NDArray[np.intp], ...]

    @property
    def arrangements(self) -> int:
        ways = 1
        for stratum in self.strata:
            ways *= comb(len(stratum), int(np.count_nonzero(self.second[stratum])))
        return ways


def _units(labels: NDArray[np.int64], second: NDArray[np.bool_], groups: Sequence[str] | None) -> _Units:
    """Images or groups; a stratum has those with images of the same classes."""
    names: Sequence[object] = range(len(labels)) if groups is None else list(zip(groups, second.tolist(), strict=True))
    number: dict[object, int] = {}
    of = np.array([number.setdefault(name, len(number)) for name in names], dtype=np.intp)
    side = np.zeros(len(number), dtype=np.bool_)
    side[of] = second
    classes: list[set[int]] = [set() for _ in number]
    for unit, label in zip(of.tolist(), labels.tolist(), strict=True):
        classes[unit].add(label)
    strata: dict[tuple[int, ...], list[int]] = {}
    for unit, own in enumerate(classes):
        strata.setdefault(tuple(sorted(own)), []).append(unit)
    return _Units(of, side, tuple(np.array(stratum, dtype=np.intp) for stratum in strata.values()))


def _on_both_sides(labels: NDArray[np.int64], second: NDArray[np.bool_]) -> NDArray[np.bool_]:
    both = np.intersect1d(labels[second], labels[~second])
    return np.isin(labels, both)


def _kernel(features: Floats) -> Floats:
    """exp(-d^2 / median of d^2) of features of about unit variance: (N, N)."""
    scaled = (features - features.mean(axis=0)) / deviations(features)
    lengths = (scaled * scaled).sum(axis=1)
    squares = np.maximum(lengths[:, None] + lengths[None, :] - 2 * scaled @ scaled.T, 0)
    median = float(np.median(squares[np.triu_indices(len(squares), 1)]))
    return np.asarray(np.exp(-squares / max(median, 1e-12)), dtype=np.float64)


def _weights(labels: NDArray[np.int64], second: NDArray[np.bool_]) -> Floats:
    """(R, N) for R ways to divide N images, `second` (R, N): positive on the first side, negative on the second, each
    summing to one; every class has the same weight on both, in proportion to its smaller side."""
    weights = np.zeros(second.shape)
    total = np.zeros((len(second), 1))
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        on_second = second[:, rows]
        many = on_second.sum(axis=1, keepdims=True)
        few = len(rows) - many
        share = np.minimum(many, few)
        weights[:, rows] = np.where(on_second, -share / np.maximum(many, 1), share / np.maximum(few, 1))
        total += share
    return np.asarray(weights / total, dtype=np.float64)


def _permuted(kernel: Floats, labels: NDArray[np.int64], units: _Units, seed: int) -> Floats:
    """(PERMUTATIONS,) the statistic with the sides exchanged at random within each stratum."""
    generator = np.random.default_rng(seed)
    values: list[Floats] = []
    for start in range(0, PERMUTATIONS, _CHUNK):
        count = min(_CHUNK, PERMUTATIONS - start)
        drawn = np.tile(units.second, (count, 1))
        for stratum in units.strata:
            drawn[:, stratum] = generator.permuted(drawn[:, stratum], axis=1)
        weights = _weights(labels, drawn[:, units.of])
        values.append(np.einsum("rn,rn->r", weights @ kernel, weights))
    return np.concatenate(values)


def _spread(kernel: Floats, labels: NDArray[np.int64]) -> float:
    """Mean over classes of the variance inside a class in the kernel's space: 1 - mean kernel of two of its images."""
    spreads: list[float] = []
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        if len(rows) > 1:
            block = kernel[np.ix_(rows, rows)]
            spreads.append(1 - (float(block.sum()) - float(block.trace())) / (len(rows) * (len(rows) - 1)))
    return float(np.mean(spreads)) if spreads else 0.0
