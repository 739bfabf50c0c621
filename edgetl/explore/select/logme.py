"""LogME: how well linear models of features explain labels; an evidence that needs no held-out images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_ROUNDS = 2000
_SETTLED = 1e-8  # relative change of alpha / beta at which the fixed point is reached
_TINY = 1e-12
_FLATTEST = 1e12  # largest alpha / beta: features that explain nothing

Floats = NDArray[np.float64]


def logme(features: NDArray[np.floating], labels: NDArray[np.int64], num_classes: int) -> float:
    """Maximum log evidence per image, averaged over one-against-rest labels; higher transfers better.

    features  (N, D), N >= 2, as they enter the classifier; labels (N,) in 0..num_classes-1.
    raises    ValueError if shapes do not match or a feature is not finite.

    Per class the label y in {0, 1} is modeled as N(F m, 1/beta) with the prior m ~ N(0, 1/alpha). With t = alpha/beta
    and the singular values s of F, gamma = sum s^2 / (t + s^2); alpha <- gamma / |m|^2 and beta <- (N - gamma) /
    |F m - y|^2 until t settles. Source: You et al. 2021, "LogME: Practical Assessment of Pre-trained Models for
    Transfer Learning", arXiv:2102.11005, equations 2 to 4 and algorithm 1.
    """
    matrix = np.asarray(features, np.float64)
    if matrix.ndim != 2 or labels.shape != matrix.shape[:1] or len(labels) < 2:
        raise ValueError(f"expected features (N, D) and labels (N,), N >= 2; found {matrix.shape} and {labels.shape}")
    if not np.isfinite(matrix).all():
        raise ValueError("expected finite features")
    targets = (labels[:, None] == np.arange(num_classes)).astype(np.float64)
    left, singular, _ = np.linalg.svd(matrix, full_matrices=False)
    inside = (left.T @ targets) ** 2  # (rank, classes): the labels' energy along each direction of the features
    outside = np.maximum((targets**2).sum(0) - inside.sum(0), 0.0)
    evidence = _maximise(singular**2, inside, outside, len(labels), matrix.shape[1])
    return float(evidence.mean() / len(labels))


def _maximise(energies: Floats, inside: Floats, outside: Floats, images: int, width: int) -> Floats:
    """Log evidence (classes,) at its fixed point, all classes at once. energies (R,) are squared singular values."""
    ratio = np.ones(inside.shape[1])  # t = alpha / beta
    alpha, beta = np.ones_like(ratio), np.ones_like(ratio)
    for _ in range(_ROUNDS):
        gamma, weights, residual = _posterior(energies, inside, outside, ratio)
        alpha = gamma / np.maximum(weights, _TINY)
        beta = np.maximum(images - gamma, _TINY) / np.maximum(residual, _TINY)
        found = np.clip(alpha / beta, _TINY, _FLATTEST)
        settled = np.abs(found - ratio) <= _SETTLED * ratio
        ratio = found
        if settled.all():
            break
    _, weights, residual = _posterior(energies, inside, outside, ratio)
    alpha = ratio * beta
    log_determinant = np.log(alpha + beta * energies[:, None]).sum(0) + (width - len(energies)) * np.log(alpha)
    return np.asarray(
        0.5
        * (
            images * np.log(beta)
            + width * np.log(alpha)
            - images * np.log(2 * np.pi)
            - beta * residual
            - alpha * weights
            - log_determinant
        )
    )


def _posterior(energies: Floats, inside: Floats, outside: Floats, ratio: Floats) -> tuple[Floats, Floats, Floats]:
    """gamma, |m|^2 and |F m - y|^2, each (classes,), for alpha / beta = ratio (classes,)."""
    reach = ratio + energies[:, None]
    gamma = (energies[:, None] / reach).sum(0)
    weights = (inside * energies[:, None] / reach**2).sum(0)
    residual = (inside * (ratio / reach) ** 2).sum(0) + outside
    return gamma, weights, residual
