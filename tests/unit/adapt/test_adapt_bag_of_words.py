"""The baseline for texts without pretraining: counts of words, weighted on the other folds."""

from __future__ import annotations

import numpy as np
import pytest

from edgetl.adapt.baselines import bag_of_words_logits
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
