"""All heads by name, and the two things done with them: fit one, judge one on folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgetl.tasks.classification.folds import Fold
from edgetl.tasks.classification.heads import cosine, firm, logistic, ncm, ridge, views
from edgetl.tasks.classification.heads.head import Fit, Floats, Head, Labels
from edgetl.tasks.classification.heads.space import Space, fit_space

HEADS: Mapping[str, Fit] = {
    module.NAME: module.fit
    for module in (ncm, cosine, ridge, firm, logistic, views)  # cheapest first
}


@dataclass(frozen=True)
class Shots:
    """Cached features of labeled images, brought once into the space that all heads are fitted in.

    compact float64 (V, N, D), view 0 plain; labels int64 (N,), every one of `num_classes` present.
    """

    space: Space
    compact: Floats
    labels: Labels
    num_classes: int


def prepare(views: NDArray[np.floating], labels: Labels, num_classes: int) -> Shots:
    """views (V, N, F) of V views of N images. Raises ValueError for shapes, labels or numbers that cannot be fitted."""
    if views.ndim != 3 or labels.shape != views.shape[1:2] or views.size == 0:
        raise ValueError(f"expected views (V, N, F) and labels (N,); found {views.shape} and {labels.shape}")
    if labels.min() < 0 or labels.max() >= num_classes or len(np.unique(labels)) != num_classes or num_classes < 2:
        raise ValueError(f"expected all of {num_classes} classes, at least two; found labels {np.unique(labels)}")
    if not np.isfinite(views).all():
        raise ValueError("expected finite features; found infinite ones or not-a-number: check the backbone's weights")
    # features that vary more tell more: standardized ones gave less accurate heads (docs/decisions/0009)
    space = fit_space(views, standardise=False)
    return Shots(space, space.compact(views), labels, num_classes)


def fit_head(name: str, shots: Shots, seed: int) -> Head:
    """The head `name` of `HEADS` fitted on all shots, as a function of the features that `prepare` was given."""
    return shots.space.outside(HEADS[name](shots.compact, shots.labels, shots.num_classes, seed))


def held_out_logits(name: str, shots: Shots, folds: Sequence[Fold], seed: int) -> Floats:
    """(N, C): the plain view of each image, judged by the head that was fitted on the other folds.

    Only the space, which knows no labels, has seen the held-out images. Raises ValueError when the folds hold out
    an image not at all or twice.
    """
    count = len(shots.labels)
    if sorted(index for fold in folds for index in fold.held_out) != list(range(count)):
        raise ValueError(f"expected folds that hold out each of {count} images once")
    logits = np.zeros((count, shots.num_classes))
    for fold in folds:
        train, held_out = list(fold.train), list(fold.held_out)
        head = HEADS[name](shots.compact[:, train], shots.labels[train], shots.num_classes, seed)
        logits[held_out] = head.logits(shots.compact[0, held_out])
    return logits
