"""Folds over images with several objects each."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from edgetl.tasks.classification.folds import Fold, deal, stratified_folds
from edgetl.types import Boxes


def detection_folds(
    truths: Sequence[Boxes], count: int, seed: int, groups: Sequence[Hashable] | None = None
) -> tuple[Fold, ...]:
    """At most `count` folds of images, alike in their share of the objects of every class; every fold trains on every
    class. Images of one group are held out together. Empty if two folds are impossible: a class with all its objects
    in one image or group.

    Images with only background are dealt out evenly. Raises ValueError when `count` < 2.
    """
    owners: Sequence[Hashable] = range(len(truths)) if groups is None else groups
    objects = [
        (box.label, owner) for owner, boxes in zip(owners, truths, strict=True) for box in boxes if not box.ignore
    ]
    folds = stratified_folds([label for label, _ in objects], count, seed, [owner for _, owner in objects])
    if not folds:
        return ()
    held: dict[Hashable, int] = {
        objects[index][1]: number for number, fold in enumerate(folds) for index in fold.held_out
    }
    others = [owner for owner in dict.fromkeys(owners) if owner not in held]
    held |= dict(zip(others, deal(np.zeros(len(others), np.int64), len(folds), seed).tolist(), strict=True))
    return tuple(
        Fold(
            tuple(index for index, owner in enumerate(owners) if held[owner] != number),
            tuple(index for index, owner in enumerate(owners) if held[owner] == number),
        )
        for number in range(len(folds))
    )
