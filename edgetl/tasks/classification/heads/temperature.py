"""One factor on all logits, so that their softmax is a probability."""

from __future__ import annotations

import numpy as np

from edgetl.tasks.classification.heads.head import Floats, Labels

_STEPS = 60  # halvings, in logarithms, of an interval of 7 decades
_LEAST_SPREAD = 0.1  # of the scaled logits: all but sure of nothing; the factor 0 would leave no decision at all
_BLIND_SHARE = 0.75  # what a head that nothing could be held out of is trusted with


def best_scale(logits: Floats, labels: Labels, right_share: float | None = None) -> float:
    """The factor on logits (N, C) with the least cross entropy against labels (N,); 1.0 where all logits are equal.

    The true class has the target (N + 1) / (N + 2), as if one more image had been right and one more wrong:
    without it the best factor of logits that are all right is infinite (Platt 1999, "Probabilistic outputs for
    support vector machines", sec. 2.2). `right_share` replaces that target.
    The cross entropy is convex in the factor (Guo et al. 2017, arXiv:1706.04599, sec. 4.2, in 1 / temperature), so
    its slope is bisected.
    """
    shifted = logits - logits.max(axis=1, keepdims=True)
    size = float(np.sqrt(np.mean((logits - logits.mean(axis=1, keepdims=True)) ** 2)))
    if size == 0.0:
        return 1.0
    targets = _targets(logits.shape, labels, right_share)
    wanted = float((targets * shifted).sum(axis=1).mean())
    low, high = _LEAST_SPREAD / size, 1e6 / size
    for _ in range(_STEPS):
        middle = float(np.sqrt(low * high))
        chances = np.exp(middle * shifted)
        reached = float(((chances * shifted).sum(axis=1) / chances.sum(axis=1)).mean())
        low, high = (middle, high) if reached < wanted else (low, middle)
    return float(np.sqrt(low * high))


def blind_scale(logits: Floats, labels: Labels) -> float:
    """A factor for logits (N, C) of the training images, if there are no others: it keeps the confidence modest."""
    return best_scale(logits, labels, _BLIND_SHARE)


def cross_entropy(logits: Floats, labels: Labels) -> Floats:
    """Per image, in nats: logits (N, C), labels (N,) -> (N,)."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels])


def _targets(shape: tuple[int, ...], labels: Labels, right_share: float | None) -> Floats:
    count, classes = shape
    right = (count + 1) / (count + 2) if right_share is None else right_share
    targets = np.full(shape, (1 - right) / max(classes - 1, 1))
    targets[np.arange(count), labels] = right
    return targets
