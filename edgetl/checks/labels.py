"""Images that are probably in the wrong class, by cross-validated probabilities of a linear probe.

Confident learning (Northcutt, Jiang and Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels",
arXiv:1911.00068): an image may belong to class k if its held-out probability of k reaches the mean of the images
labeled k. If the probe is often wrong, that alone would report the probe's own mistakes. So the probabilities are
calibrated first (one temperature, Guo et al. 2017, arXiv:1706.04599), and a label is suspected only if it is so
improbable that fewer than `EXPECTED_FALSE` such labels would be expected in the whole set if all were correct.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgetl.tasks.classification.folds import deal
from edgetl.tasks.classification.heads.softmax import fit_softmax
from edgetl.tasks.classification.heads.space import deviations

EXPECTED_FALSE = 0.5
"""Expected number of correct labels among the suspects of one set, by the calibrated probabilities."""
FEWEST_IMAGES = 3
"""A class with fewer images, both sides together, is not judged."""

_FOLDS = 5
_STRENGTHS = (1e-3, 1e-2)  # inverse regularization (scikit-learn's C) on features of unit variance
_DIMENSIONS = 128  # principal components for the probe; more only cost time
_TEMPERATURES = np.exp(np.linspace(-3.0, 4.0, 141))
_ITERATIONS = 100

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Mislabeled:
    """Image `index` has the class `label`; the others suggest `suggested`. Held-out, calibrated probabilities of
    both."""

    index: int
    label: int
    suggested: int
    label_probability: float
    suggested_probability: float


def find_mislabeled(features: NDArray[np.float32], labels: Labels, *, seed: int) -> tuple[Mislabeled, ...] | None:
    """Suspects, the most improbable label first; None if fewer than two classes have `FEWEST_IMAGES` images.

    features  (N, F) of all labeled images of both sides; labels  (N,) class indices
    """
    counts = np.bincount(labels)
    judged = np.flatnonzero(counts[labels] >= FEWEST_IMAGES)
    present, compact = np.unique(labels[judged], return_inverse=True)
    if len(present) < 2:
        return None
    chances = _held_out_probabilities(_components(features[judged].astype(np.float64)), compact, seed)
    own = chances[np.arange(len(compact)), compact]
    likeliest = chances.argmax(axis=1)
    confident = np.array([own[compact == label].mean() for label in range(len(present))])
    suspected = (own <= _improbable(chances)) & (likeliest != compact) & (chances.max(axis=1) >= confident[likeliest])
    found = [
        Mislabeled(
            index=int(judged[row]),
            label=int(present[compact[row]]),
            suggested=int(present[likeliest[row]]),
            label_probability=float(own[row]),
            suggested_probability=float(chances[row].max()),
        )
        for row in np.flatnonzero(suspected)
    ]
    return tuple(sorted(found, key=lambda item: (item.label_probability, item.index)))


def _improbable(chances: Floats) -> float:
    """The largest t for which labels of probability at most t are expected `EXPECTED_FALSE` times or less.

    By calibrated probabilities p (N, classes) the true label of an image is k with p_k: the expected number of images
    whose true label has a probability of at most t is the sum of all p_k <= t.
    """
    ordered = np.sort(chances, axis=None)
    within = int(np.searchsorted(np.cumsum(ordered), EXPECTED_FALSE, side="right"))
    return float(ordered[within - 1]) if within else 0.0


def _components(features: Floats) -> Floats:
    """Features of about unit variance, rotated to their principal components and cut to the first of them."""
    scaled = (features - features.mean(axis=0)) / deviations(features)
    left, sizes, _ = np.linalg.svd(scaled, full_matrices=False)
    kept = min(_DIMENSIONS, len(sizes))
    return np.asarray(left[:, :kept] * sizes[:kept], dtype=np.float64)


def _held_out_probabilities(inputs: Floats, labels: Labels, seed: int) -> Floats:
    """(N, classes), each row from a probe that never saw the image; strength and temperature with the lowest log
    loss."""
    fold = deal(labels, _FOLDS, seed)
    best, chosen = np.inf, np.empty(0)
    for strength in _STRENGTHS:
        logits = _held_out_logits(inputs, labels, fold, strength)
        for temperature in _TEMPERATURES:
            chances = _softmax(logits / temperature)
            loss = -float(np.log(np.maximum(chances[np.arange(len(labels)), labels], 1e-300)).mean())
            if loss < best:
                best, chosen = loss, chances
    return chosen


def _held_out_logits(inputs: Floats, labels: Labels, fold: Labels, strength: float) -> Floats:
    logits = np.zeros((len(labels), int(labels.max()) + 1))
    for number in np.unique(fold):
        train, test = fold != number, fold == number
        weight, bias = fit_softmax(inputs[train], labels[train], strength=strength, iterations=_ITERATIONS)
        logits[test] = inputs[test] @ weight.T + bias
    return logits


def _softmax(logits: Floats) -> Floats:
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True), dtype=np.float64)
