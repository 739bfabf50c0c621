"""A linear classifier that counts words: the baseline without pretraining that a network for texts has to beat."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgetl.tasks.classification.folds import Fold

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
