"""The linear probe: a regularised logistic regression on features of the frozen backbone."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

_STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0, 10.0)  # inverse regularisation, sklearn's C, on features of unit variance
_ONE_SHOT_STRENGTH = 1e-1  # nothing to validate on: the middle
_FOLDS = 5
_MAX_ITERATIONS = 1000


@dataclass(frozen=True)
class Probe:
    """logits = features @ weight.T + bias; weight (classes, F), bias (classes,). `strength` is the chosen C."""

    weight: Floats
    bias: Floats
    strength: float


def fit_probe(views: NDArray[np.float32], labels: Labels, num_classes: int, *, seed: int) -> Probe:
    """Fit on features (V, N, F) of V views of N images; view 0 is the plain one. labels (N,), every class present.

    Features are standardised; the standardisation is folded into weight and bias. C is chosen by stratified
    cross-validation over images: trained on all views of some, judged on the plain view of the others.
    """
    scaled, mean, deviation = _standardise(views.astype(np.float64))
    # the solution lies in the span of the data: rotating into it changes nothing and makes few shots cheap
    flat = scaled.reshape(-1, scaled.shape[-1])
    basis = np.linalg.qr(flat.T)[0] if flat.shape[0] < flat.shape[1] else np.eye(flat.shape[1])
    compact = scaled @ basis
    strength = _choose(compact, labels, num_classes, seed)
    model = _fit(compact, labels, strength)
    weight, bias = _rows(model, num_classes)
    weight = weight @ basis.T / deviation
    return Probe(weight, bias - weight @ mean, strength)


def _standardise(views: Floats) -> tuple[Floats, Floats, Floats]:
    mean = views.mean((0, 1))
    deviation = views.std((0, 1))
    # features that hardly move carry no evidence, and dividing by their spread would make noise of it
    deviation = np.maximum(deviation, 0.1 * max(float(deviation.mean()), 1e-6))
    return (views - mean) / deviation, mean, deviation


def _choose(views: Floats, labels: Labels, num_classes: int, seed: int) -> float:
    fewest = int(np.bincount(labels, minlength=num_classes).min())
    if fewest < 2:
        return _ONE_SHOT_STRENGTH
    losses = np.zeros(len(_STRENGTHS))
    for train, test in _folds(labels, min(_FOLDS, fewest), seed):
        for index, strength in enumerate(_STRENGTHS):
            model = _fit(views[:, train], labels[train], strength)
            chances = model.predict_proba(views[0, test])[np.arange(len(test)), labels[test]]
            losses[index] -= np.log(np.maximum(chances, 1e-12)).sum()
    return _STRENGTHS[int(losses.argmin())]


def _folds(labels: Labels, count: int, seed: int) -> Iterator[tuple[Labels, Labels]]:
    yield from StratifiedKFold(count, shuffle=True, random_state=seed).split(np.zeros(len(labels)), labels)


def _fit(views: Floats, labels: Labels, strength: float) -> LogisticRegression:
    # V views weigh as one image
    model = LogisticRegression(C=strength / len(views), max_iter=_MAX_ITERATIONS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a probe that is not quite optimal is still a probe
        return model.fit(views.reshape(-1, views.shape[-1]), np.tile(labels, len(views)))


def _rows(model: LogisticRegression, num_classes: int) -> tuple[Floats, Floats]:
    weight, bias = model.coef_, model.intercept_
    if num_classes == 2:  # one row of odds: softmax over (-x/2, x/2) is the same as sigmoid of x
        return np.concatenate([-weight / 2, weight / 2]), np.concatenate([-bias / 2, bias / 2])
    return weight, bias
