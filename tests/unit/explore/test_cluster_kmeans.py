"""Spherical k-means and the number of clusters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score

from edgetl.explore.cluster import kmeans
from edgetl.explore.cluster.kmeans import Directions, Loaded, choose_count, spherical_kmeans, unit

Vectors = NDArray[np.float32]


def _cones(groups: int, each: int, width: int = 24, spread: float = 0.1, seed: int = 0) -> tuple[Vectors, list[int]]:
    """Directions around orthogonal axes, in mixed order."""
    generator = np.random.default_rng(seed)
    labels = generator.permutation(np.repeat(np.arange(groups), each))
    return unit((np.eye(width)[labels] + spread * generator.normal(size=(len(labels), width))).astype(np.float32)), (
        labels.tolist()
    )


class Watched:
    """Rows that remember how many were asked for at once."""

    def __init__(self, array: Vectors) -> None:
        self.array, self.most = array, 0

    def __len__(self) -> int:
        return len(self.array)

    def read(self, indices: Sequence[int] | None = None) -> Vectors:
        found = self.array if indices is None else self.array[np.asarray(indices)]
        self.most = max(self.most, len(found))
        return found


def test_groups_of_directions_are_found_and_numbered_by_size() -> None:
    vectors, labels = _cones(4, 20)
    vectors, labels = np.concatenate([vectors, vectors[:1]]), [*labels, labels[0]]
    found = spherical_kmeans(Loaded(vectors), 4)
    assert adjusted_rand_score(labels, found.labels) == 1.0
    assert np.bincount(found.labels).tolist() == [21, 20, 20, 20]
    np.testing.assert_allclose(np.linalg.norm(found.centers, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(found.similarity, (vectors * found.centers[found.labels]).sum(1), atol=1e-5)


def test_each_center_is_the_direction_of_the_mean_of_its_rows() -> None:
    vectors, _ = _cones(3, 30, spread=0.4)
    found = spherical_kmeans(Loaded(vectors), 3)
    means = unit(np.stack([vectors[found.labels == cluster].mean(0) for cluster in range(3)]))
    assert ((means * found.centers).sum(1) > 0.999).all()


def test_the_same_seed_gives_the_same_clusters() -> None:
    vectors, _ = _cones(5, 10, spread=0.6)
    one, two = (spherical_kmeans(Loaded(vectors), 5, seed=3) for _ in range(2))
    assert (one.labels == two.labels).all()


def test_many_rows_are_read_in_chunks_and_still_grouped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kmeans, "SAMPLE", 60)
    monkeypatch.setattr(kmeans, "_CHUNK", 32)
    vectors, labels = _cones(4, 100)
    rows = Watched(vectors)
    found = spherical_kmeans(rows, 4)
    assert rows.most <= 60
    assert adjusted_rand_score(labels, found.labels) == 1.0


@settings(max_examples=30)
@given(rows=st.integers(1, 12), count=st.integers(1, 12), copies=st.integers(1, 3), seed=st.integers(0, 99))
def test_copies_and_as_many_clusters_as_rows_do_no_harm(rows: int, count: int, copies: int, seed: int) -> None:
    once = unit(np.random.default_rng(seed).normal(size=(rows, 3)).astype(np.float32))
    vectors = np.tile(once, (copies, 1))
    found = spherical_kmeans(Loaded(vectors), min(count, len(vectors)), seed=seed)
    assert np.isfinite(found.similarity).all()
    assert found.labels.max() < len(found.centers) == min(count, len(vectors))
    assert (found.labels[:rows] == found.labels[-rows:]).all()


def test_a_count_that_no_split_can_have_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 1 to 3"):
        spherical_kmeans(Loaded(np.eye(3, dtype=np.float32)), 4)


def test_directions_are_taken_around_the_common_mean() -> None:
    vectors, labels = _cones(3, 20)
    rows = Directions(Loaded(vectors * 2 + 100))
    np.testing.assert_allclose(np.linalg.norm(rows.read(), axis=1), 1, atol=1e-5)
    assert adjusted_rand_score(labels, spherical_kmeans(rows, 3).labels) == 1.0
    np.testing.assert_array_equal(rows.read([5, 2]), rows.read()[[5, 2]])


@pytest.mark.parametrize("groups", [2, 5, 9])
def test_the_number_of_clusters_is_found(groups: int) -> None:
    count, scores = choose_count(Loaded(_cones(groups, 20)[0]))
    assert count == groups
    assert max(scores, key=lambda each: scores[each]) == groups


def test_three_images_are_one_cluster() -> None:
    assert choose_count(Loaded(np.eye(3, dtype=np.float32))) == (1, {})


def test_nothing_but_copies_has_no_number_of_clusters() -> None:
    assert choose_count(Loaded(np.tile(np.eye(3, dtype=np.float32)[0], (8, 1)))) == (2, {2: 0.0, 3: 0.0, 4: 0.0})
