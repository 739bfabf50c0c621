"""Proposes which images to label next: typical ones first, then those a probe is least sure of, diverse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgetl.explore.cluster.kmeans import Clusters, Labels, Loaded, Readable, spherical_kmeans

_POOL = 10  # this many times the wanted number of uncertain images is grouped, and one of each group is taken
_WEIGHT = 0.5  # weight of being typical against being unlike the images already chosen

Reason = Literal["central", "uncertain", "spread"]


@dataclass(frozen=True)
class Proposal:
    """An image to label. `reason`: typical of its cluster; uncertain to the probe; adds to what its cluster shows."""

    index: int
    cluster: int
    reason: Reason


def propose(
    rows: Readable,
    clusters: Clusters,
    count: int,
    *,
    labeled: Labels | None = None,
    margins: NDArray[np.float64] | None = None,
    seed: int = 0,
) -> tuple[Proposal, ...]:
    """At most `count` images to label next, none of them already labeled, the most useful first.

    labeled  indices with a label; clusters without any give their most central image first, the largest cluster first
    margins   (N,) of the probe, best score minus second best: small means uncertain. Without it, the clusters take
              turns with images that are typical and unlike those already chosen.
    """
    known = set() if labeled is None else set(labeled.tolist())
    chosen = _central(clusters, known)[:count]
    taken = known | {proposal.index for proposal in chosen}
    if margins is not None:
        chosen += _uncertain(rows, clusters, margins, taken, count - len(chosen), seed)
    taken = known | {proposal.index for proposal in chosen}
    chosen += _spread(rows, clusters, taken, count - len(chosen))
    return tuple(chosen)


def _central(clusters: Clusters, known: set[int]) -> list[Proposal]:
    seen = {int(clusters.labels[index]) for index in known}
    found = []
    for cluster in range(len(clusters.centers)):
        members = np.flatnonzero(clusters.labels == cluster)
        if len(members) and cluster not in seen:
            found.append(Proposal(int(members[clusters.similarity[members].argmax()]), cluster, "central"))
    return found


def _uncertain(
    rows: Readable, clusters: Clusters, margins: NDArray[np.float64], taken: set[int], count: int, seed: int
) -> list[Proposal]:
    """The least certain image of each of `count` groups of uncertain images.

    Source: Zhdanov 2019, "Diverse mini-batch active learning", arXiv:1901.05954.
    """
    pool = [int(index) for index in np.argsort(margins, kind="stable") if int(index) not in taken][: _POOL * count]
    if not pool or count < 1:
        return []
    groups = spherical_kmeans(Loaded(rows.read(pool)), min(count, len(pool)), restarts=2, seed=seed).labels
    first = sorted(int(np.flatnonzero(groups == group)[0]) for group in np.unique(groups))
    return [Proposal(pool[place], int(clusters.labels[pool[place]]), "uncertain") for place in first]


def _spread(rows: Readable, clusters: Clusters, taken: set[int], count: int) -> list[Proposal]:
    """Maximal marginal relevance inside each cluster, in turn: Carbonell and Goldstein 1998, SIGIR, pages 335-336."""
    turns = [_Turn(rows, clusters, cluster, taken) for cluster in range(len(clusters.centers))] if count > 0 else []
    found: list[Proposal] = []
    while len(found) < count:
        round_ = [proposal for turn in turns if (proposal := turn.next()) is not None]
        if not round_:
            break
        found += round_
    return found[:count]


class _Turn:
    """The next proposal of one cluster."""

    def __init__(self, rows: Readable, clusters: Clusters, cluster: int, taken: set[int]) -> None:
        self._rows, self._cluster = rows, cluster
        members = np.flatnonzero(clusters.labels == cluster)
        known = np.array([int(index) in taken for index in members], bool)
        self._members, self._typical = members[~known], clusters.similarity[members[~known]]
        self._nearest = np.zeros(len(self._members))
        for index in members[known].tolist():
            self._look_at(index)

    def next(self) -> Proposal | None:
        if not len(self._members):
            return None
        place = int((_WEIGHT * self._typical - (1 - _WEIGHT) * self._nearest).argmax())
        index = int(self._members[place])
        self._members = np.delete(self._members, place)
        self._typical, self._nearest = np.delete(self._typical, place), np.delete(self._nearest, place)
        self._look_at(index)
        return Proposal(index, self._cluster, "spread")

    def _look_at(self, index: int) -> None:
        one = self._rows.read([index])[0]
        for start in range(0, len(self._members), 2048):
            part = slice(start, start + 2048)
            cosines = self._rows.read(self._members[part].tolist()) @ one
            self._nearest[part] = np.maximum(self._nearest[part], cosines)
