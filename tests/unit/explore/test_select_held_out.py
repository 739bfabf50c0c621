"""The ridge probe and its answers on held-out images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgetl.explore.select.held_out import cross_validate, fit_probe, out_of_fold


def _blobs(
    classes: int, each: int, width: int, spread: float = 1.0, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    centers = np.random.default_rng(7).normal(size=(classes, width)) * 3
    labels = np.repeat(np.arange(classes, dtype=np.int64), each)
    return centers[labels] + spread * np.random.default_rng(seed).normal(size=(len(labels), width)) + 5, labels


def test_what_the_probe_knows_by_heart_does_not_count() -> None:
    noise = np.random.default_rng(0).normal(size=(60, 400))
    labels = np.arange(60, dtype=np.int64) % 3
    by_heart = fit_probe(noise, labels, 3).logits(noise).argmax(1) == labels
    held_out = out_of_fold(noise, labels, 3, seed=0).argmax(1) == labels
    assert by_heart.mean() > 0.95
    assert held_out.mean() < 0.55


def test_a_class_that_a_fold_has_no_image_of_is_never_answered_there() -> None:
    features, labels = _blobs(3, 6, 10)
    kept = np.r_[:13]  # one image is left of class 2
    answers = out_of_fold(features[kept], labels[kept], 3, seed=0).argmax(1)
    assert answers[12] != 2
    assert (answers[:12] == labels[:12]).all()


def test_held_out_accuracy_is_near_chance_on_noise_and_near_one_on_blobs() -> None:
    noise = np.random.default_rng(0).normal(size=(80, 40))
    labels = np.arange(80, dtype=np.int64) % 4
    chance, clear = cross_validate(noise, labels, 4, seed=0), cross_validate(*_blobs(4, 20, 40), 4, seed=0)
    assert chance is not None
    assert clear is not None
    assert chance.top1.low <= 0.25 <= chance.top1.high
    assert clear.top1.value > 0.98
    assert clear.top1.low <= clear.top1.value <= clear.top1.high


def test_one_image_of_a_class_leaves_nothing_to_hold_out() -> None:
    features, labels = _blobs(3, 1, 10)
    assert cross_validate(features, labels, 3, seed=0) is None


def test_the_same_seed_gives_the_same_accuracy() -> None:
    features, labels = _blobs(3, 8, 10, spread=6.0)
    assert cross_validate(features, labels, 3, seed=3) == cross_validate(features, labels, 3, seed=3)
