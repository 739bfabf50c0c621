"""Ridge regression on one-hot targets of -1 and 1, in closed form; exact held-out logits choose the penalty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgetl.tasks.classification.heads.head import Floats, Head, Labels
from edgetl.tasks.classification.heads.rounds import has_company, rounds
from edgetl.tasks.classification.heads.temperature import best_scale, blind_scale, cross_entropy

NAME = "ridge"
PENALTIES = tuple(10.0**power for power in np.arange(-3, 2.01, 0.5))  # of the views' energy per image
_BLIND_PENALTY = 1.0


def fit(views: Floats, labels: Labels, num_classes: int, seed: int) -> Head:
    """Least squares with a penalty on the weights (none on the bias) over all views.

    The penalty and the scale of the logits are those with the least cross entropy of the plain views of images that
    were left out, one of every class in turn; `seed` orders the rounds.
    """
    problem = _decompose(views, labels, num_classes)
    company = has_company(labels)
    if not company.any():
        weight, bias = problem.solve(_BLIND_PENALTY)
        scale = blind_scale(views[0] @ weight.T + bias, labels)
        return Head(NAME, scale * weight, scale * bias, f"penalty {_BLIND_PENALTY:.3g}, scale {scale:.3g}")
    _, penalty, scale, _ = _choose(problem, labels, seed)
    weight, bias = problem.solve(penalty)
    return Head(NAME, scale * weight, scale * bias, f"penalty {penalty:.3g}, scale {scale:.3g}")


def judge(views: Floats, labels: Labels, num_classes: int, seed: int) -> Floats | None:
    """(N, C): scaled logits of the plain view of every image, each left out of the ridge that judges it.

    None where a class has a single image. Penalty and scale are the best for these very logits: fit to compare
    features with each other, a little better than on new images.
    """
    if not has_company(labels).all():
        return None
    _, _, scale, logits = _choose(_decompose(views, labels, num_classes), labels, seed)
    return scale * logits


def _choose(problem: _Problem, labels: Labels, seed: int) -> tuple[float, float, float, Floats]:
    """(loss, penalty, scale, left-out logits (N, C) before the scale) of the penalty with the least loss."""
    company, blocks, best = has_company(labels), rounds(labels, seed), None
    for penalty in PENALTIES:
        logits = problem.left_out(penalty, blocks)
        scale = best_scale(logits[company], labels[company])
        loss = float(cross_entropy(scale * logits[company], labels[company]).mean())
        if best is None or loss < best[0]:
            best = loss, penalty, scale, logits
    assert best is not None
    return best


@dataclass(frozen=True)
class _Problem:
    """The centered rows X (N V, D), image by image, as left @ diag(values) @ right.T, so that every penalty is cheap.

    left (N V, R), values (R,), right (D, R), mean (D,), targets (N V, C), unit: the energy of all views per image.
    """

    left: Floats
    values: Floats
    right: Floats
    mean: Floats
    targets: Floats
    views: int
    unit: float

    def solve(self, penalty: float) -> tuple[Floats, Floats]:
        """weight (C, D), bias (C,)."""
        factors = self.values / (self.values**2 + penalty * self.unit)
        weight = ((self.left.T @ self.targets) * factors[:, None]).T @ self.right.T
        return weight, self.targets.mean(axis=0) - weight @ self.mean

    def left_out(self, penalty: float, blocks: Sequence[Labels]) -> Floats:
        """(N, C): the plain view of each image judged by the ridge fitted on all views of the images of other blocks;
        unscaled. `blocks` hold every image once; the penalty's unit stays that of all images.

        With the fitted values H y of all rows, those of a block B of rows that was left out have the residuals
        (I - H_BB)^-1 (y - H y)_B, exactly: An, Liu and Venkatesh 2007, "Fast cross-validation algorithms for least
        squares support vector machine and kernel ridge regression", Pattern Recognition 40:2154-2162, theorem 1.
        Here the rows of a block are all views of its images, and H includes the bias: 1/M everywhere.
        """
        shrink = self.values**2 / (self.values**2 + penalty * self.unit)
        fitted = self.targets.mean(axis=0) + self.left @ (shrink[:, None] * (self.left.T @ self.targets))
        logits = np.empty((len(self.targets) // self.views, self.targets.shape[1]))
        for images in blocks:
            rows = (images[:, None] * self.views + np.arange(self.views)).ravel()
            part = self.left[rows]
            kept = np.eye(len(rows)) - 1 / len(self.targets) - (part * shrink) @ part.T
            residuals = np.linalg.solve(kept, (self.targets - fitted)[rows])
            logits[images] = (self.targets[rows] - residuals)[:: self.views]
        return logits


def _decompose(views: Floats, labels: Labels, num_classes: int) -> _Problem:
    rows = views.transpose(1, 0, 2).reshape(-1, views.shape[2])
    mean = rows.mean(axis=0)
    left, values, right = _thin(rows - mean)
    targets = np.repeat(2.0 * np.eye(num_classes)[labels] - 1.0, len(views), axis=0)
    unit = max(float((values**2).sum()) / views.shape[1], np.finfo(np.float64).tiny)
    return _Problem(left, values, right, mean, targets, len(views), unit)


def _thin(rows: Floats) -> tuple[Floats, Floats, Floats]:
    """The singular value decomposition without its zeros, by the smaller of the two Gram matrices."""
    wide = rows.shape[0] < rows.shape[1]
    squares, vectors = np.linalg.eigh(rows @ rows.T if wide else rows.T @ rows)
    kept = squares > 1e-12 * max(float(squares[-1]), np.finfo(np.float64).tiny)
    values, vectors = np.sqrt(squares[kept]), vectors[:, kept]
    if wide:
        return vectors, values, rows.T @ vectors / values
    return rows @ vectors / values, values, vectors
