"""Baselines without pretraining that a network has to beat: the nearest neighbor among the shots, which trains nothing,
and for texts a linear classifier that counts words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgetl.tasks.classification.folds import Fold


def neighbor_logits(
    windows: NDArray[np.float32], labels: NDArray[np.int64], folds: Sequence[Fold]
) -> NDArray[np.float64]:
    """Held-out logits (N, C) of windows (N, ...): minus the distance to the nearest shot of each class in the other
    folds, in units of the mean distance to the nearest of all. Euclidean, on values as they are stored."""
    flat = windows.reshape(len(windows), -1).astype(np.float64)
    logits = np.zeros((len(flat), int(labels.max()) + 1))
    for fold in folds:
        train, held_out = np.array(fold.train), np.array(fold.held_out)
        distances = np.stack([np.linalg.norm(flat[train] - flat[index], axis=1) for index in held_out])
        unit = max(float(distances.min(axis=1).mean()), 1e-12)
        for label in range(logits.shape[1]):
            of_class = distances[:, labels[train] == label]
            logits[held_out, label] = -of_class.min(axis=1, initial=1e6 * unit) / unit
    return logits


_WORD = r"(?u)\w+|[^\w\s]"  # signs count too: a text may have no letter
_STRENGTH = 10.0  # inverse of the penalty on the squared weights


def bag_of_words_logits(
    texts: Sequence[str], labels: NDArray[np.int64], folds: Sequence[Fold], num_classes: int
) -> NDArray[np.float64]:
    """Held-out logits (N, C): logistic regression on TF-IDF of words and pairs of words, weighted on the other folds
    only. Raises ValueError unless every class is among a fold's training texts."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    logits = np.zeros((len(texts), num_classes))
    for fold in folds:
        if len(set(labels[list(fold.train)].tolist())) != num_classes:
            raise ValueError("expected every class among the training texts of a fold")
        counting = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=_WORD)
        seen = counting.fit_transform([texts[index] for index in fold.train])
        fitted = LogisticRegression(C=_STRENGTH, max_iter=1000).fit(seen, labels[list(fold.train)])
        held_out = counting.transform([texts[index] for index in fold.held_out])
        logits[list(fold.held_out)] = fitted.predict_log_proba(held_out)
    return logits
