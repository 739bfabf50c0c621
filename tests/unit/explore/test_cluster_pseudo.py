"""Pseudo-labels are given only where held-out labels prove them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binomtest

from edgetl.explore.cluster.kmeans import Loaded, unit
from edgetl.explore.cluster.pseudo import FEWEST, choose_threshold, confidence, proves, pseudo_labels
from edgetl.tasks.classification.heads.temperature import best_scale

CLASSES = ("a", "b", "c")


def _groups(each: int, spread: float, seed: int = 0) -> tuple[Loaded, NDArray[np.int64]]:
    generator = np.random.default_rng(seed)
    labels = generator.permutation(np.repeat(np.arange(3), each))
    return Loaded(unit((np.eye(12)[labels] + spread * generator.normal(size=(len(labels), 12))).astype(np.float32))), (
        labels.astype(np.int64)
    )


def test_the_fewest_answers_that_can_prove_95_percent_are_59() -> None:
    assert FEWEST == 59
    assert proves(59, 59)
    assert not proves(58, 58)


@settings(max_examples=60)
@given(count=st.integers(59, 4000), wrong=st.integers(0, 200))
def test_a_proof_is_an_exact_one_sided_test(count: int, wrong: int) -> None:
    hits = count - min(wrong, count)
    assert proves(hits, count) == (binomtest(hits, count, 0.95, alternative="greater").pvalue <= 0.05)


def test_clear_groups_are_labeled_rightly_and_equally_often() -> None:
    rows, labels = _groups(100, 0.12)
    known = np.arange(90)
    found = pseudo_labels(rows, known, labels[known], CLASSES, per_class=20)
    assert np.bincount(found.labels).tolist() == [20, 20, 20]
    assert (labels[list(found.indices)] == found.labels).mean() >= 0.95
    assert not set(found.indices) & set(known.tolist())
    assert found.threshold.value is not None
    assert min(found.confidences) >= found.threshold.value


def test_too_few_labels_give_none_and_say_how_many_are_needed() -> None:
    rows, labels = _groups(100, 0.12)
    found = pseudo_labels(rows, np.arange(58), labels[:58], CLASSES, per_class=20)
    assert found.indices == ()
    assert "58 labeled images; at least 59" in found.reason


def test_noise_is_never_labeled() -> None:
    rows, labels = _groups(100, 5.0)
    found = pseudo_labels(rows, np.arange(120), labels[:120], CLASSES, per_class=20)
    assert found.indices == ()
    assert "does not prove" in found.reason


def test_a_class_without_a_certain_image_stops_all_of_them() -> None:
    rows, labels = _groups(100, 0.12)
    known = np.concatenate([np.flatnonzero(labels == 2), np.flatnonzero(labels < 2)[:60]])
    found = pseudo_labels(rows, np.sort(known), labels[np.sort(known)], CLASSES, per_class=20)
    assert found.indices == ()
    assert found.reason == "no image is certain enough for `c`"


def test_the_threshold_ends_before_the_answers_that_are_wrong() -> None:
    confidences = np.linspace(1.0, 0.0, 200)
    right = np.arange(200) < 100
    found = choose_threshold(confidences, right)
    assert found.value is not None
    assert 95 <= found.right <= 100
    assert found.proven <= 103
    assert (confidences >= found.value).sum() == found.proven


def test_the_threshold_never_splits_equal_confidences() -> None:
    confidences = np.concatenate([np.full(70, 0.9), np.full(70, 0.8)])
    found = choose_threshold(confidences, np.arange(140) < 71)
    assert (found.value, found.proven) == (0.9, 70)


def test_confidences_are_the_share_of_right_answers_once_sharpened() -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(20_000, 3))
    labels = (8 * logits + generator.gumbel(size=logits.shape)).argmax(1)
    sure, answers = confidence(logits, best_scale(logits, labels))
    assert (answers == labels).mean() == pytest.approx(sure.mean(), abs=0.02)
