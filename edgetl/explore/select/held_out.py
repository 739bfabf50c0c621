"""Predictions of the ridge probe on images it was not fitted to: repeated stratified cross-validation."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgetl.tasks.classification.folds import deal, stratified_folds
from edgetl.tasks.classification.heads import ridge
from edgetl.tasks.classification.heads.head import Floats, Head, Labels
from edgetl.tasks.classification.heads.space import Space, fit_space
from edgetl.types import Interval, stats

FOLDS = 5
_REPEATS = 5
_MANY_FITTED_IMAGES = 1500  # repeats times images: beyond this, another repeat costs more than it gains


@dataclass(frozen=True)
class HeldOut:
    """Cross-validated top-1 of the probe, a fraction, with details.

    right  of each image: the share of repeats in which it was predicted correctly; of each group the mean of its own
    """

    top1: Interval
    right: tuple[float, ...]
    images: int
    folds: int
    repeats: int


def cross_validate(
    features: NDArray[np.floating],
    labels: Labels,
    num_classes: int,
    *,
    seed: int,
    groups: Sequence[Hashable] | None = None,
) -> HeldOut | None:
    """Top-1 of ridge probes on held-out folds; None if a class has a single image, or is in a single group.

    features (N, D); labels (N,), every class present. An image counts with the share of repeats that predicted it
    correctly. The interval is Wilson's over images: more repeats make the value steadier, but do not add images.
    groups  of the rows: those of one, the objects of an image, are held out together, and all groups count the same
    """
    fewest = int(np.bincount(labels, minlength=num_classes).min())
    if fewest < 2 or (groups is not None and not stratified_folds(labels.tolist(), FOLDS, seed, groups)):
        return None
    folds, images = min(FOLDS, fewest), len(labels)
    repeats = max(1, min(_REPEATS, _MANY_FITTED_IMAGES // images))
    space, right = fit_space(features[None]), np.zeros(images)
    for repeat in range(repeats):
        draw = seed * 1000 + repeat
        logits = out_of_fold(features, labels, num_classes, folds=folds, seed=draw, space=space, groups=groups)
        right += logits.argmax(1) == labels
    right = right if groups is None else _means(right, groups)
    images = len(right)
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
    groups: Sequence[Hashable] | None = None,
) -> Floats:
    """Logits (N, classes) of every image from a probe fitted to the other folds.

    groups  of the rows; there must be two folds that both train on every class
    Only the feature space, which uses no labels, is computed from all images.
    """
    compact = (space or fit_space(features[None])).compact(features)
    fold = deal(labels, folds, seed) if groups is None else _dealt(labels, folds, seed, groups)
    logits = np.zeros((len(labels), num_classes))
    for number in range(folds):
        held = fold == number
        if held.any() and not held.all():
            logits[held] = ridge.fit(compact[None, ~held], labels[~held], num_classes, seed).logits(compact[held])
    return logits


def _dealt(labels: Labels, folds: int, seed: int, groups: Sequence[Hashable]) -> Labels:
    """(N,) fold of every row, whole groups only."""
    fold_of = np.zeros(len(labels), np.int64)
    for number, fold in enumerate(stratified_folds(labels.tolist(), folds, seed, groups)):
        fold_of[list(fold.held_out)] = number
    return fold_of


def _means(values: Floats, groups: Sequence[Hashable]) -> Floats:
    """(G,): the mean of each group, in the order in which they first occur."""
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    member = np.array([numbers[group] for group in groups])
    means: Floats = np.bincount(member, weights=values) / np.bincount(member)
    return means
