"""The nearest neighbor among the shots: a baseline that trains nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgetl.tasks.classification.folds import Fold


def neighbor_logits(
    windows: NDArray[np.float32], labels: NDArray[np.int64], folds: Sequence[Fold]
) -> NDArray[np.float64]:
    """Held-out logits (N, C) of windows (N, ...): minus the distance to the nearest shot of each class in the other
    folds, in units of the mean distance to the nearest of all. Euclidean, on values as they are stored."""
    flat = windows.reshape(len(windows), -1).astype(np.float64)
    logits = np.zeros((len(flat), int(labels.max()) + 1))
    for fold in folds:
        train, held_out = np.array(fold.train), np.array(fold.held_out)
        distances = np.stack([np.linalg.norm(flat[train] - flat[index], axis=1) for index in held_out])
        unit = max(float(distances.min(axis=1).mean()), 1e-12)
        for label in range(logits.shape[1]):
            of_class = distances[:, labels[train] == label]
            logits[held_out, label] = -of_class.min(axis=1, initial=1e6 * unit) / unit
    return logits
