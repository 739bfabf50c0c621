"""Stratified folds over a few labeled images: every image is held out exactly once."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_TRIES = 20  # seeded orders that are tried before groups are given up on with this many folds

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Fold:
    """Indices of the images that train and of those that are held out, both ascending."""

    train: tuple[int, ...]
    held_out: tuple[int, ...]


def stratified_folds(
    labels: Sequence[int], count: int, seed: int, groups: Sequence[Hashable] | None = None
) -> tuple[Fold, ...]:
    """At most `count` folds, alike in their share of every class; deterministic in all arguments.

    Each fold trains on every class. Without `groups` each also holds out every class, so there are as many folds as
    the smallest class has images, if that is fewer than `count`. Images of one group (a video, a patient) are held
    out together; groups that cannot be dealt into `count` such folds are dealt into fewer. Empty where two folds are
    impossible: a class with a single shot, or with all its images in one group.
    Raises ValueError when `count` < 2 or `groups` is not as long as `labels`.
    """
    if count < 2:
        raise ValueError(f"expected at least 2 folds; found {count}")
    if groups is not None and len(groups) != len(labels):
        raise ValueError(f"expected one group per label; found {len(groups)} groups and {len(labels)} labels")
    if len(labels) == 0:
        return ()
    classes, compact = np.unique(np.asarray(labels, dtype=np.int64), return_inverse=True)
    if groups is None:
        return _folds(_deal_images(compact, len(classes), count, seed))
    return _folds(_deal_groups(compact, len(classes), groups, count, seed))


def folds_of_heads(labels: Counts, count: int, seed: int, groups: Sequence[Hashable] | None = None) -> tuple[Fold, ...]:
    """The same for labels (N, heads) of several heads, -1 for none: each fold trains on and holds out every class of
    every head. Empty where two folds are impossible."""
    columns = []
    for own in labels.T:
        classes, compact = np.unique(own[own >= 0], return_inverse=True)
        table = np.zeros((len(own), len(classes)), dtype=np.int64)
        table[np.flatnonzero(own >= 0), compact] = 1
        columns.append(table)
    images = np.concatenate(columns, axis=1)
    number_of = {group: number for number, group in enumerate(dict.fromkeys(groups or range(len(labels))))}
    group_of = np.array([number_of[group] for group in groups or range(len(labels))], dtype=np.int64)
    table = np.zeros((len(number_of), images.shape[1]), dtype=np.int64)
    np.add.at(table, group_of, images)
    return _folds(_deal_table(table, group_of, count, seed))


def deal(labels: Counts, count: int, seed: int) -> Counts:
    """(N,) fold of every image, 0..count-1: each class dealt out like cards, the next starting where the last ended.

    The sizes of the folds, and the images of a class in them, differ by one at most.
    """
    generator = np.random.default_rng(seed)
    fold_of = np.empty(len(labels), dtype=np.int64)
    dealt = 0
    for label in np.unique(labels):
        images = generator.permutation(np.flatnonzero(labels == label))
        fold_of[images] = (dealt + np.arange(len(images))) % count
        dealt += len(images)
    return fold_of


def _folds(fold_of: Counts | None) -> tuple[Fold, ...]:
    if fold_of is None:
        return ()
    return tuple(
        Fold(tuple(np.flatnonzero(fold_of != fold).tolist()), tuple(np.flatnonzero(fold_of == fold).tolist()))
        for fold in range(int(fold_of.max()) + 1)
    )


def _deal_images(labels: Counts, num_classes: int, count: int, seed: int) -> Counts | None:
    """(N,) fold of every image; None where a class has too few for two folds."""
    count = min(count, int(np.bincount(labels, minlength=num_classes).min()))
    return deal(labels, count, seed) if count >= 2 else None


def _deal_groups(labels: Counts, num_classes: int, groups: Sequence[Hashable], count: int, seed: int) -> Counts | None:
    """(N,) fold of every image, whole groups only; None when no two folds would both train on every class."""
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    group_of = np.array([numbers[group] for group in groups], dtype=np.int64)
    table = np.zeros((len(numbers), num_classes), dtype=np.int64)
    np.add.at(table, (group_of, labels), 1)
    return _deal_table(table, group_of, count, seed)


def _deal_table(table: Counts, group_of: Counts, count: int, seed: int) -> Counts | None:
    """table (groups, classes)  how many images of each class a group has; group_of (N,)  of every image"""
    count = min(count, int((table > 0).sum(axis=0).min()))
    generator = np.random.default_rng(seed)
    for folds in range(count, 1, -1):
        for _ in range(_TRIES):
            order = generator.permutation(len(table))
            # the largest first: the small ones then even out what is uneven
            order = order[np.argsort(-table[order].sum(axis=1), kind="stable")]
            fold_of_group = _greedy(table, order, folds)
            if _trains_everything(table, fold_of_group, folds):
                return fold_of_group[group_of]
    return None


def _greedy(table: Counts, order: Counts, folds: int) -> Counts:
    """(G,) fold of every group: each goes where it leaves the classes most evenly spread, then to the smallest fold."""
    share = 1 / table.sum(axis=0)
    held = np.zeros((folds, table.shape[1]))
    fold_of_group = np.empty(len(table), dtype=np.int64)
    for group in order:
        added = table[group] * share
        # the sum of squared shares grows by 2 held.added + |added|^2, the last part wherever the group goes
        growth = held @ added
        best = min(range(folds), key=lambda fold: (growth[fold], held[fold].sum(), fold))
        held[best] += added
        fold_of_group[group] = best
    return fold_of_group


def _trains_everything(table: Counts, fold_of_group: Counts, folds: int) -> bool:
    held = np.stack([table[fold_of_group == fold].sum(axis=0) for fold in range(folds)])
    return bool((held.sum(axis=1) > 0).all() and (held < table.sum(axis=0)).all())
