"""Logistic regression; cross-validation over images chooses the strength of its penalty."""

from __future__ import annotations

import numpy as np

from edgetl.tasks.classification.folds import stratified_folds
from edgetl.tasks.classification.heads.head import Floats, Head, Labels
from edgetl.tasks.classification.heads.softmax import fit_softmax
from edgetl.tasks.classification.heads.temperature import cross_entropy

NAME = "logistic"

STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0, 10.0)  # inverse penalty, sklearn's C, on features of about unit variance
_BLIND_STRENGTH = 1e-1  # nothing to validate on: the middle
_FOLDS = 5
_MAX_ITERATIONS, _MAX_TRIAL_ITERATIONS = 500, 100
_MAX_TRIAL_ROWS = 1200  # of views; the choice of a strength needs no more, the final fit has all

Layer = tuple[Floats, Floats]
"""Weight (C, D) and bias (C,)."""


def fit(views: Floats, labels: Labels, num_classes: int, seed: int) -> Head:
    """Multinomial logistic regression: the mean of one on all views and one on the plain views alone.

    On some sets augmented views help and on some they harm, and few shots do not tell which; the mean of both (logits,
    and so weights) is close to the better one.

    C is chosen by stratified cross-validation over images: fitted on views of some, judged by the cross entropy of
    the plain view of the others. It is searched from the middle outwards as long as the loss falls.
    """
    trial = views[: max(1, min(len(views), _MAX_TRIAL_ROWS // len(labels)))]
    folds = stratified_folds(labels.tolist(), _FOLDS, seed)
    losses: dict[int, float] = {}

    def loss(index: int) -> float:
        if index not in losses:
            parts = []
            for fold in folds:
                train, held_out = list(fold.train), list(fold.held_out)
                weight, bias = fit_mean(trial[:, train], labels[train], STRENGTHS[index], _MAX_TRIAL_ITERATIONS)
                parts.append(cross_entropy(trial[0, held_out] @ weight.T + bias, labels[held_out]))
            losses[index] = float(np.concatenate(parts).mean())
        return losses[index]

    best = STRENGTHS.index(_BLIND_STRENGTH)
    for step in (-1, 1) if folds else ():
        while 0 <= best + step < len(STRENGTHS) and loss(best + step) < loss(best):
            best += step
    weight, bias = fit_mean(views, labels, STRENGTHS[best], _MAX_ITERATIONS)
    return Head(NAME, weight, bias, f"C {STRENGTHS[best]:g}")


def fit_mean(views: Floats, labels: Labels, strength: float, iterations: int) -> Layer:
    """The mean of a fit on all views (V, N, D) and one on the plain view alone."""
    every = fit_all(views, labels, strength, iterations)
    if len(views) == 1:
        return every
    plain = fit_all(views[:1], labels, strength, iterations)
    return (every[0] + plain[0]) / 2, (every[1] + plain[1]) / 2


def fit_all(views: Floats, labels: Labels, strength: float, iterations: int) -> Layer:
    """A fit on all views (V, N, D); those of one image weigh as one image."""
    rows, tiled = views.reshape(-1, views.shape[-1]), np.tile(labels, len(views))
    return fit_softmax(rows, tiled, strength=strength / len(views), iterations=iterations)
