"""Chooses the number of clusters by the silhouette of a sample."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgetl.explore.cluster.kmeans import Labels, Loaded, Readable, spherical_kmeans

SAMPLE = 1000
LARGEST = 20
_RESTARTS = 4


def choose_count(rows: Readable, *, seed: int = 0, largest: int = LARGEST) -> tuple[int, dict[int, float]]:
    """The number of clusters from 2 to `largest` with the greatest mean silhouette, and the silhouette of each.

    rows  (N, F) unit vectors; at most SAMPLE of them, drawn by `seed`, are used. Fewer than 4 form one cluster.
    """
    if len(rows) < 4:
        return 1, {}
    chosen = np.sort(np.random.default_rng(seed).permutation(len(rows))[:SAMPLE])
    sample = Loaded(rows.read(chosen.tolist()))
    distances = 1 - sample.array.astype(np.float64) @ sample.array.T
    scores = {
        count: silhouette(distances, spherical_kmeans(sample, count, restarts=_RESTARTS, seed=seed).labels)
        for count in range(2, min(largest, len(sample) // 2) + 1)
    }
    return max(scores, key=lambda count: scores[count]), scores


def silhouette(distances: NDArray[np.float64], labels: Labels) -> float:
    """Mean over rows of (b - a) / max(a, b): a the mean distance to the own cluster, b to the nearest other one.

    distances (N, N). A row alone in its cluster counts 0; a single cluster gives 0.
    Source: Rousseeuw 1987, "Silhouettes", Journal of Computational and Applied Mathematics 20:53-65.
    """
    names, compact = np.unique(labels, return_inverse=True)
    if len(names) < 2:
        return 0.0
    member = (compact[:, None] == np.arange(len(names))).astype(np.float64)
    sizes = member.sum(0)
    sums = distances @ member
    own = sizes[compact]
    inside = sums[np.arange(len(labels)), compact] / np.maximum(own - 1, 1)
    others = np.where(member > 0, np.inf, sums / sizes).min(1)
    widest = np.maximum(np.maximum(inside, others), 1e-12)
    return float(np.where(own > 1, (others - inside) / widest, 0.0).mean())
