"""Predictions of the ridge probe on images it was not fitted to: repeated stratified cross-validation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgetl import stats
from edgetl.tasks.classification.folds import deal
from edgetl.tasks.classification.heads import ridge
from edgetl.tasks.classification.heads.head import Floats, Head, Labels
from edgetl.tasks.classification.heads.space import Space, fit_space
from edgetl.types import Interval

FOLDS = 5
_REPEATS = 5
_MANY_FITTED_IMAGES = 1500  # repeats times images: beyond this, another repeat costs more than it gains


@dataclass(frozen=True)
class HeldOut:
    """Cross-validated top-1 of the probe, a fraction, with details.

    right  of each image: the share of repeats in which it was predicted correctly
    """

    top1: Interval
    right: tuple[float, ...]
    images: int
    folds: int
    repeats: int


def cross_validate(features: NDArray[np.floating], labels: Labels, num_classes: int, *, seed: int) -> HeldOut | None:
    """Top-1 of ridge probes on held-out folds; None if a class has a single image.

    features (N, D); labels (N,), every class present. An image counts with the share of repeats that predicted it
    correctly. The interval is Wilson's over images: more repeats make the value steadier, but do not add images.
    """
    fewest = int(np.bincount(labels, minlength=num_classes).min())
    if fewest < 2:
        return None
    folds, images = min(FOLDS, fewest), len(labels)
    repeats = max(1, min(_REPEATS, _MANY_FITTED_IMAGES // images))
    space, right = fit_space(features[None]), np.zeros(images)
    for repeat in range(repeats):
        logits = out_of_fold(features, labels, num_classes, folds=folds, seed=seed * 1000 + repeat, space=space)
        right += logits.argmax(1) == labels
    total = float(right.sum()) / repeats
    low, high = stats.wilson(int(np.floor(total)), images).low, stats.wilson(int(np.ceil(total)), images).high
    return HeldOut(Interval(total / images, low, high), tuple((right / repeats).tolist()), images, folds, repeats)


def fit_probe(features: NDArray[np.floating], labels: Labels, num_classes: int) -> Head:
    """The ridge head of `adapt` on unchanged features (N, D); labels (N,)."""
    space = fit_space(features[None])
    return space.outside(ridge.fit(space.compact(features)[None], labels, num_classes, seed=0))


def out_of_fold(
    features: NDArray[np.floating],
    labels: Labels,
    num_classes: int,
    *,
    folds: int = FOLDS,
    seed: int,
    space: Space | None = None,
) -> Floats:
    """Logits (N, classes) of every image from a probe fitted to the other folds.

    Only the feature space, which uses no labels, is computed from all images.
    """
    compact = (space or fit_space(features[None])).compact(features)
    fold = deal(labels, folds, seed)
    logits = np.zeros((len(labels), num_classes))
    for number in range(folds):
        held = fold == number
        if held.any() and not held.all():
            logits[held] = ridge.fit(compact[None, ~held], labels[~held], num_classes, seed).logits(compact[held])
    return logits
