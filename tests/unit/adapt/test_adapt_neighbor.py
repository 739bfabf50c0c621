"""The nearest neighbor as a baseline."""

from __future__ import annotations

import numpy as np

from edgetl.adapt.baselines import neighbor_logits
from edgetl.tasks.classification.folds import stratified_folds


def test_each_window_gets_the_class_of_the_nearest_one_in_the_other_folds() -> None:
    draws = np.random.default_rng(0)
    labels = np.arange(30) % 3
    windows = draws.normal(size=(30, 8, 2)).astype(np.float32) + labels[:, None, None]
    folds = stratified_folds(labels.tolist(), 5, 0, None)
    logits = neighbor_logits(windows, labels, folds)
    flat = windows.reshape(30, -1)
    for fold in folds:
        train = np.array(fold.train)
        for index in fold.held_out:
            nearest = train[np.linalg.norm(flat[train] - flat[index], axis=1).argmin()]
            assert logits[index].argmax() == labels[nearest]
