"""Logistic regression under one firm penalty, which few examples cannot choose badly."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgetl.tasks.classification.folds import stratified_folds
from edgetl.tasks.classification.heads.head import Floats, Head, Labels
from edgetl.tasks.classification.heads.logistic import Layer, fit_mean
from edgetl.tasks.classification.heads.temperature import best_scale, blind_scale

NAME = "firm"

STRENGTH = 3e-3  # inverse penalty; measured on vectors of texts (docs/decisions/0030-text-networks.md)
_FOLDS = 5
_MAX_ITERATIONS = 500


def fit(views: Floats, labels: Labels, num_classes: int, seed: int) -> Head:
    return fit_firmly(NAME, fit_mean, STRENGTH, views, labels, num_classes, seed)


def fit_firmly(
    name: str,
    fitted: Callable[[Floats, Labels, float, int], Layer],
    strength: float,
    views: Floats,
    labels: Labels,
    num_classes: int,
    seed: int,
) -> Head:
    """The direction of each class, as `fitted` finds it, and the scale that suits logits of left-out examples best: so
    strong a penalty makes all logits small.

    fitted  of views (V, N, D), labels (N,), an inverse penalty and a number of iterations
    """
    weight, bias = fitted(views, labels, strength, _MAX_ITERATIONS)
    folds = stratified_folds(labels.tolist(), _FOLDS, seed)
    if folds:
        left_out = np.empty((len(labels), num_classes))
        for fold in folds:
            train, held_out = list(fold.train), list(fold.held_out)
            inner, offset = fitted(views[:, train], labels[train], strength, _MAX_ITERATIONS)
            left_out[held_out] = views[0, held_out] @ inner.T + offset
        scale = best_scale(left_out, labels)
    else:
        scale = blind_scale(views[0] @ weight.T + bias, labels)
    return Head(name, scale * weight, scale * bias, f"scale {scale:.3g}")
