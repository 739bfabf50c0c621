"""Groups of directions by cosine similarity, and their number, over rows that need not fit into memory."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import silhouette_score
from sklearn.metrics.pairwise import cosine_distances
from threadpoolctl import threadpool_limits

Vectors = NDArray[np.float32]
Labels = NDArray[np.int64]

SAMPLE = 4096
"""Rows that centers are found on."""

JUDGED = 1000
"""Rows that the number of clusters is chosen on."""

MOST = 20
"""Clusters that are tried."""

_JUDGED_RESTARTS = 4
_CHUNK = 2048
_TINY = 1e-12


class Readable(Protocol):
    """What `Rows` offers."""

    def __len__(self) -> int: ...

    def read(self, indices: Sequence[int] | None = None) -> Vectors: ...


@dataclass(frozen=True)
class Clusters:
    """centers (K, F), unit length; labels (N,); similarity (N,) is the cosine to the own center."""

    centers: Vectors
    labels: Labels
    similarity: NDArray[np.float64]

    @property
    def cohesion(self) -> float:
        """Mean cosine of the rows to their centers."""
        return float(self.similarity.mean())


class Directions:
    """Rows as unit vectors around their common mean, read in chunks.

    Activations after a rectifier all point in similar directions; without their mean the angles say more.
    """

    def __init__(self, rows: Readable) -> None:
        self._rows = rows
        total = sum(rows.read(range(chunk.start, chunk.stop)).sum(0, dtype=np.float64) for chunk in _chunks(len(rows)))
        self._mean = (total / max(len(rows), 1)).astype(np.float32)

    def __len__(self) -> int:
        return len(self._rows)

    def read(self, indices: Sequence[int] | None = None) -> Vectors:
        """float32 (n, F) of unit length, in the order of `indices`, or all rows without them."""
        return unit(np.subtract(self._rows.read(indices), self._mean, dtype=np.float32))


@dataclass(frozen=True)
class Loaded:
    """Rows that are in memory already."""

    array: Vectors

    def __len__(self) -> int:
        return len(self.array)

    def read(self, indices: Sequence[int] | None = None) -> Vectors:
        return self.array if indices is None else self.array[np.asarray(indices, np.int64)]


def unit(vectors: Vectors) -> Vectors:
    """(N, F) with rows of length 1; rows of zeros stay."""
    lengths = np.sqrt((vectors.astype(np.float64) ** 2).sum(1, keepdims=True))
    scaled: Vectors = (vectors / np.maximum(lengths, _TINY)).astype(np.float32)
    return scaled


def spherical_kmeans(rows: Readable, count: int, *, restarts: int = 8, seed: int = 0) -> Clusters:
    """Split unit vectors into `count` clusters by their cosine to the clusters' mean directions.

    rows  (N, F), 1 <= count <= N. Centers are found on at most SAMPLE rows, drawn by `seed`; of the others no more
          than a chunk is in memory at once. Clusters are numbered by size, largest first.
    The squared distance of unit vectors is twice 1 - cosine, so scikit-learn's k-means on them is spherical (Dhillon
    and Modha 2001, Machine Learning 42:143-175) but for the length of the means, which are brought to 1 in the end.
    Raises ValueError for a count out of range.
    """
    if not 1 <= count <= len(rows):
        raise ValueError(f"expected 1 to {len(rows)} clusters for {len(rows)} rows; found {count}")
    fitted = _fitted(_sample(rows, max(SAMPLE, count), seed), count, restarts, seed)
    return _by_size(_assign(rows, unit(fitted.cluster_centers_)))


def choose_count(rows: Readable, *, seed: int = 0) -> tuple[int, dict[int, float]]:
    """The number of clusters from 2 to MOST with the greatest mean silhouette, and the silhouette of each.

    rows  (N, F) unit vectors; at most JUDGED of them, drawn by `seed`, are looked at. Fewer than 4 are one cluster.
    Source: Rousseeuw 1987, "Silhouettes", Journal of Computational and Applied Mathematics 20:53-65.
    """
    if len(rows) < 4:
        return 1, {}
    sample = _sample(rows, JUDGED, seed)
    distances = cosine_distances(sample)
    scores: dict[int, float] = {}
    for count in range(2, min(MOST, len(sample) // 2) + 1):
        labels = _fitted(sample, count, _JUDGED_RESTARTS, seed).labels_
        split = len(np.unique(labels)) > 1  # copies of one image are not
        scores[count] = float(silhouette_score(distances, labels, metric="precomputed")) if split else 0.0
    return max(scores, key=lambda count: scores[count]), scores


def _sample(rows: Readable, most: int, seed: int) -> Vectors:
    if len(rows) <= most:
        return rows.read()
    return rows.read(np.sort(np.random.default_rng(seed).choice(len(rows), most, replace=False)).tolist())


def _fitted(sample: Vectors, count: int, restarts: int, seed: int) -> KMeans:
    # threads add up in any order, and equal runs are to give equal bytes
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different rows than clusters
        return KMeans(count, n_init=restarts, random_state=seed).fit(sample)


def _assign(rows: Readable, centers: Vectors) -> Clusters:
    labels, similarity = np.empty(len(rows), np.int64), np.empty(len(rows), np.float64)
    for chunk in _chunks(len(rows)):
        cosines = rows.read(range(chunk.start, chunk.stop)) @ centers.T
        labels[chunk] = cosines.argmax(1)
        similarity[chunk] = cosines.max(1)
    return Clusters(centers, labels, similarity)


def _by_size(found: Clusters) -> Clusters:
    sizes = np.bincount(found.labels, minlength=len(found.centers))
    order = np.argsort(-sizes, kind="stable")
    number = np.empty_like(order)
    number[order] = np.arange(len(order))
    return Clusters(found.centers[order], number[found.labels], found.similarity)


def _chunks(count: int) -> Iterator[slice]:
    for start in range(0, count, _CHUNK):
        yield slice(start, min(start + _CHUNK, count))
