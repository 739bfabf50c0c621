"""Improbable labels: a planted one is found, clean sets stay quiet however hard they are."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edgetl.checks.labels import FEWEST_IMAGES, find_mislabeled


def clusters(classes: int, count: int, spread: float, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), count)
    centers = generator.normal(0, 1, (classes, 16))
    return (centers[labels] + generator.normal(0, spread, (len(labels), 16))).astype(np.float32), labels


@pytest.mark.parametrize(("classes", "count"), [(2, 20), (4, 12), (10, 30)])
def test_a_planted_wrong_label_is_found_with_the_class_it_belongs_to(classes: int, count: int) -> None:
    points, labels = clusters(classes, count, 0.3)
    wrong = labels.copy()
    wrong[5] = 1
    found = find_mislabeled(points, wrong, seed=0)
    assert found is not None
    assert [(item.index, item.label, item.suggested) for item in found] == [(5, 1, 0)]
    assert found[0].label_probability < 0.1 < found[0].suggested_probability


@pytest.mark.parametrize("spread", [0.3, 1.0, 2.0, 5.0])
def test_clean_sets_raise_nothing_or_next_to_nothing_however_much_classes_overlap(spread: float) -> None:
    raised = 0
    for seed in range(5):
        points, labels = clusters(4, 40, spread, seed)
        found = find_mislabeled(points, labels, seed=seed)
        assert found is not None
        raised += len(found)
    assert raised <= 5  # of 800 images


def test_where_classes_cannot_be_told_apart_a_wrong_label_is_not_guessed_at() -> None:
    points, labels = clusters(3, 30, 50.0)
    wrong = labels.copy()
    wrong[:5] = 2
    found = find_mislabeled(points, wrong, seed=0)
    assert found is not None
    assert len(found) <= 1


def test_small_classes_are_not_judged() -> None:
    points, labels = clusters(3, 20, 0.3)
    kept = np.concatenate([np.arange(40), np.arange(40, 40 + FEWEST_IMAGES - 1)])
    found = find_mislabeled(points[kept], labels[kept], seed=0)
    assert found is not None
    assert all(item.label != 2 for item in found)
    assert find_mislabeled(points[:22], labels[:22], seed=0) is None


def test_two_runs_are_equal() -> None:
    points, labels = clusters(3, 30, 0.5)
    labels[7] = 2
    assert find_mislabeled(points, labels, seed=3) == find_mislabeled(points, labels, seed=3)


def test_a_feature_that_never_moves_is_no_evidence() -> None:
    points, labels = clusters(2, 20, 0.3)
    constant = np.concatenate([points, np.full((len(points), 3), 7.0, np.float32)], axis=1)
    labels[3] = 1
    found = find_mislabeled(constant, labels, seed=0)
    assert found is not None
    assert [item.index for item in found] == [3]
