"""Baselines without pretraining, weighted on the other folds: the nearest neighbor, and for texts counts of words."""

from __future__ import annotations

import numpy as np
import pytest

from edgetl.adapt.baselines import bag_of_words_logits, neighbor_logits
from edgetl.tasks.classification.folds import Fold, stratified_folds

GOOD = [f"good {word} !" for word in ("film", "plot", "cast", "score", "script", "end")]
BAD = [f"bad {word} !" for word in ("book", "story", "voice", "light", "cut", "joke")]
LABELS = np.array([0] * len(GOOD) + [1] * len(BAD), np.int64)


def test_words_that_tell_classes_apart_are_found() -> None:
    folds = stratified_folds(LABELS.tolist(), 3, 0, None)
    logits = bag_of_words_logits([*GOOD, *BAD], LABELS, folds, 2)
    assert (logits.argmax(1) == LABELS).all()


def test_held_out_texts_are_not_learned_from() -> None:
    texts = [f"{letter} same" for letter in "abcdefghijkl"]  # each with a word of its own
    folds = stratified_folds(LABELS.tolist(), 3, 0, None)
    logits = bag_of_words_logits(texts, LABELS, folds, 2)
    assert np.ptp(logits[:, 0]) < 1e-6


def test_texts_without_letters_count_too() -> None:
    folds = stratified_folds([0, 0, 1, 1], 2, 0, None)
    logits = bag_of_words_logits([":)", ":) :)", ":(", ":( :("], np.array([0, 0, 1, 1]), folds, 2)
    assert logits.argmax(1).tolist() == [0, 0, 1, 1]


def test_a_fold_without_a_class_is_an_error() -> None:
    with pytest.raises(ValueError, match="every class"):
        bag_of_words_logits(["a", "b", "c"], np.array([0, 0, 1]), [Fold((0, 1), (2,))], 2)


def test_each_window_gets_the_class_of_the_nearest_one_in_the_other_folds() -> None:
    draws = np.random.default_rng(0)
    labels = np.arange(30) % 3
    windows = draws.normal(size=(30, 8, 2)).astype(np.float32) + labels[:, None, None]
    folds = stratified_folds(labels.tolist(), 5, 0, None)
    logits = neighbor_logits(windows, labels, folds)
    flat = windows.reshape(30, -1)
    for fold in folds:
        train = np.array(fold.train)
        for index in fold.held_out:
            nearest = train[np.linalg.norm(flat[train] - flat[index], axis=1).argmin()]
            assert logits[index].argmax() == labels[nearest]
