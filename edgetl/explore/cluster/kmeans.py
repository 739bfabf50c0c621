"""Spherical k-means: groups of directions, by cosine similarity, over rows that need not fit into memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Labels = NDArray[np.int64]

SAMPLE = 4096
"""Number of rows for trying restarts; the best is then refined on all rows."""

_CHUNK = 2048
_ROUNDS = 100
_SETTLED = 1e-5  # gain in mean similarity at which a run has converged
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
        """Mean cosine of the rows to their centers, which is maximized."""
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
    """Split unit vectors into `count` clusters so that the mean cosine to the cluster's direction is greatest.

    rows  (N, F), 1 <= count <= N. Restarts with different seeds are tried on at most SAMPLE rows; no more than a chunk
          of the others is in memory at once. Clusters are numbered by size, largest first.
    Source: Dhillon and Modha 2001, "Concept decompositions for large sparse text data using clustering", Machine
    Learning 42:143-175; seeds as in Arthur and Vassilvitskii 2007, "k-means++", with 1 - cosine as the distance,
    which is half the squared distance of unit vectors. Raises ValueError for a count out of range.
    """
    if not 1 <= count <= len(rows):
        raise ValueError(f"expected 1 to {len(rows)} clusters for {len(rows)} rows; found {count}")
    generator = np.random.default_rng(seed)
    sample = rows
    if len(rows) > max(SAMPLE, count):
        sample = Loaded(rows.read(np.sort(generator.choice(len(rows), max(SAMPLE, count), replace=False)).tolist()))
    elif not isinstance(rows, Loaded):
        sample = Loaded(rows.read())
    best: Clusters | None = None
    for _ in range(max(1, restarts)):
        found = _lloyd(sample, _seeds(sample.read(), count, generator))
        if best is None or found.cohesion > best.cohesion:
            best = found
    assert best is not None
    return _by_size(best if len(sample) == len(rows) else _lloyd(rows, best.centers))


def _seeds(vectors: Vectors, count: int, generator: np.random.Generator) -> Vectors:
    """k-means++: each further seed is drawn with a chance that grows with its distance to the nearest one."""
    chosen = [int(generator.integers(len(vectors)))]
    distance = np.full(len(vectors), np.inf)
    for _ in range(1, count):
        distance = np.minimum(distance, 1 - vectors @ vectors[chosen[-1]].astype(np.float64))
        distance[chosen] = 0.0
        chances = np.maximum(distance, 0.0)
        if chances.sum() <= _TINY:  # only copies are left
            chances = np.ones(len(vectors))
            chances[chosen] = 0.0
        chosen.append(int(generator.choice(len(vectors), p=chances / chances.sum())))
    return vectors[chosen]


def _lloyd(rows: Readable, centers: Vectors) -> Clusters:
    found = _assign(rows, centers)
    for _ in range(_ROUNDS):
        following = _assign(rows, _move(rows, found))
        gain = following.cohesion - found.cohesion
        if gain > 0 or len(np.unique(following.labels)) > len(np.unique(found.labels)):
            found = following
        if gain <= _SETTLED:
            break
    return found


def _assign(rows: Readable, centers: Vectors) -> Clusters:
    labels, similarity = np.empty(len(rows), np.int64), np.empty(len(rows), np.float64)
    for chunk in _chunks(len(rows)):
        cosines = rows.read(range(chunk.start, chunk.stop)) @ centers.T
        labels[chunk] = cosines.argmax(1)
        similarity[chunk] = cosines.max(1)
    return Clusters(centers, labels, similarity)


def _move(rows: Readable, found: Clusters) -> Vectors:
    """Centers as the directions of the sums; a cluster without rows restarts at the worst placed one."""
    count = len(found.centers)
    sums = np.zeros(found.centers.shape, np.float64)
    for chunk in _chunks(len(rows)):
        member = (found.labels[chunk, None] == np.arange(count)).astype(np.float32)
        sums += member.T @ rows.read(range(chunk.start, chunk.stop))
    empty = np.flatnonzero(np.bincount(found.labels, minlength=count) == 0)
    if len(empty):
        worst = np.argsort(found.similarity, kind="stable")[: len(empty)]
        sums[empty] = rows.read(worst.tolist())
    return unit(sums.astype(np.float32))


def _by_size(found: Clusters) -> Clusters:
    sizes = np.bincount(found.labels, minlength=len(found.centers))
    order = np.argsort(-sizes, kind="stable")
    number = np.empty_like(order)
    number[order] = np.arange(len(order))
    return Clusters(found.centers[order], number[found.labels], found.similarity)


def _chunks(count: int) -> Iterator[slice]:
    for start in range(0, count, _CHUNK):
        yield slice(start, min(start + _CHUNK, count))
