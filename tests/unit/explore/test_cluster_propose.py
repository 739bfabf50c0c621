"""What to label next."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgetl.explore.cluster.kmeans import Clusters, Loaded, spherical_kmeans, unit
from edgetl.explore.cluster.propose import propose


def _groups(sizes: list[int], width: int = 16, seed: int = 0) -> tuple[Loaded, Clusters, NDArray[np.int64]]:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    noise = 0.15 * np.random.default_rng(seed).normal(size=(len(labels), width))
    rows = Loaded(unit((np.eye(width)[labels] + noise).astype(np.float32)))
    return rows, spherical_kmeans(rows, len(sizes)), labels


def test_the_most_central_image_of_each_cluster_comes_first_large_clusters_before_small() -> None:
    rows, clusters, labels = _groups([10, 30, 20])
    found = propose(rows, clusters, 3)
    assert [int(labels[each.index]) for each in found] == [1, 2, 0]
    for each in found:
        members = np.flatnonzero(clusters.labels == each.cluster)
        assert clusters.similarity[each.index] == clusters.similarity[members].max()
        assert each.reason == "central"


def test_further_images_come_from_all_clusters_in_turn_and_never_twice() -> None:
    rows, clusters, labels = _groups([10, 30, 20])
    found = propose(rows, clusters, 9)
    assert np.bincount(labels[[each.index for each in found]]).tolist() == [3, 3, 3]
    everything = propose(rows, clusters, 1000)
    assert sorted(each.index for each in everything) == list(range(60))


def test_copies_of_what_was_chosen_are_left_for_last() -> None:
    rows, clusters, _ = _groups([20])
    central = propose(rows, clusters, 1)[0].index
    copied = Loaded(np.concatenate([rows.array, np.tile(rows.array[central], (5, 1))]))
    again = spherical_kmeans(copied, 1)
    chosen = {each.index for each in propose(copied, again, 8)}
    assert len(chosen & {central, *range(20, 25)}) == 1


def test_clusters_without_a_label_come_before_uncertain_images() -> None:
    rows, clusters, labels = _groups([10, 10, 10])
    known = np.flatnonzero(labels < 2)[::4]
    margins = np.full(30, 0.9)
    margins[[1, 2, 3]] = 0.01
    found = propose(rows, clusters, 3, labeled=known, margins=margins)
    assert (found[0].reason, int(labels[found[0].index])) == ("central", 2)
    assert [each.reason for each in found[1:]] == ["uncertain"] * 2
    assert not {each.index for each in found} & set(known.tolist())


def test_uncertain_images_are_unlike_each_other() -> None:
    rows, clusters, labels = _groups([40, 40, 40, 40])
    # the forty least certain are all in one group, the next ones in the others
    margins = np.where(labels == 0, 0.1, 0.2) + 1e-4 * np.arange(160)
    known = np.array([0, 40, 80, 120])
    found = propose(rows, clusters, 8, labeled=known, margins=margins)
    assert len({int(labels[each.index]) for each in found}) >= 2
    assert min(margins[each.index] for each in found) == margins[1]


def test_nothing_is_proposed_where_nothing_is_asked_for() -> None:
    rows, clusters, _ = _groups([5, 5])
    assert propose(rows, clusters, 0) == ()
    assert propose(rows, clusters, 0, labeled=np.array([0]), margins=np.ones(10)) == ()
