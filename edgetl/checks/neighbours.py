"""Pairs across the split that show the same scene: closer in feature space than any neighbor, and confirmed.

In a set of similar textures all distances are small, so no absolute limit works. A pair stands out if each is the
other's nearest across the split and its cosine distance is far below that to the next image on either side: the ratio
test of Lowe 2004, "Distinctive Image Features from Scale-Invariant Keypoints", section 7.1. Thumbnails confirm such a
pair (`aligned_correlation`), unless the images have only a few pixels. These pairs are weaker than copies (another
crop, another moment), so they are warnings and are not refused.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgetl.checks.alignment import aligned_correlation
from edgetl.checks.copies.near_duplicates import COARSE, fine_detail
from edgetl.tasks.classification.heads.space import deviations

MAX_RATIO = 0.6
"""Distance of a suspected pair over the distance to the next image. Measured on six sets: pairs of different images
are above 0.7 in dense sets; a crop to 80 % has 0.3 to 0.5."""
MIN_CORRELATION = 0.85
"""Correlation of aligned thumbnails: centered crops to 75-92 % have 0.85 to 0.98, random pairs of one set up to 0.65,
two printed digits of one kind about 0.8."""


@dataclass(frozen=True)
class Neighbours:
    """Indices of a shot and a validation image, their distance ratio, and the correlation of their thumbnails."""

    shot: int
    val: int
    ratio: float
    correlation: float


def find_neighbours(
    features: NDArray[np.float32], is_val: NDArray[np.bool_], thumbnails: NDArray[np.uint8]
) -> tuple[Neighbours, ...]:
    """Suspected pairs, the most outstanding first.

    features (N, F), is_val (N,), thumbnails uint8 (N, S, S) gray. O(N^2) memory: the caller limits N.
    """
    distances = _cosine_distances(features)
    np.fill_diagonal(distances, np.inf)
    found: list[Neighbours] = []
    for shot, val, ratio in _outstanding(distances, is_val):
        if fine_detail(thumbnails[[shot, val]]).min() < COARSE:
            continue  # two digits of 8x8 pixels agree once aligned
        correlation = aligned_correlation(thumbnails[shot], thumbnails[val])
        if correlation >= MIN_CORRELATION:
            found.append(Neighbours(shot, val, ratio, correlation))
    return tuple(sorted(found, key=lambda pair: (pair.ratio, pair.shot)))


def _outstanding(distances: NDArray[np.float32], is_val: NDArray[np.bool_]) -> list[tuple[int, int, float]]:
    shots, measured = np.flatnonzero(~is_val), np.flatnonzero(is_val)
    if not len(shots) or not len(measured):
        return []
    crossing = distances[np.ix_(shots, measured)]
    pairs: list[tuple[int, int, float]] = []
    for row, column in enumerate(crossing.argmin(axis=1)):
        if crossing[:, column].argmin() != row:
            continue
        shot, val = int(shots[row]), int(measured[column])
        around = np.concatenate([np.delete(distances[shot], val), np.delete(distances[val], shot)])
        nearest = float(around.min())
        ratio = float(crossing[row, column]) / nearest if nearest > 0 else 1.0
        if np.isfinite(nearest) and ratio <= MAX_RATIO:
            pairs.append((shot, val, ratio))
    return pairs


def _cosine_distances(features: NDArray[np.float32]) -> NDArray[np.float32]:
    scaled = (features - features.mean(axis=0)) / deviations(features)
    unit = scaled / np.maximum(np.linalg.norm(scaled, axis=1, keepdims=True), 1e-9)
    return np.asarray(np.maximum(1 - unit @ unit.T, 0), dtype=np.float32)
