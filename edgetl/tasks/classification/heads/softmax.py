"""Softmax regression for the few rows and columns that shots have: hundreds of fits of a few milliseconds each."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from threadpoolctl import ThreadpoolController

from edgetl.tasks.classification.heads.head import Floats, Labels

_LARGEST_SLOPE = 1e-3  # at which a fit is done
_SMALLEST_GAIN = 64 * np.finfo(np.float64).eps


def fit_softmax(rows: Floats, labels: Labels, *, strength: float, iterations: int) -> tuple[Floats, Floats]:
    """Weights (C, D) and biases (C,) of multinomial logistic regression on rows (N, D) with labels (N,) of 0 to C - 1.

    The least mean cross entropy plus |weights|^2 / (2 strength N), by L-BFGS from zero: what scikit-learn's
    LogisticRegression minimizes, which spends most of such a fit on checks of its input. Of two classes the difference
    of the two rows counts in the penalty, as there.

    strength  inverse penalty, scikit-learn's C; iterations  at most: what is not quite optimal is still a head
    """
    count, classes = len(rows), int(labels.max()) + 1
    problem = _Problem(rows, np.eye(classes)[labels], (2 if classes == 2 else 1) / (strength * count))
    options = {"maxiter": iterations, "gtol": _LARGEST_SLOPE, "ftol": _SMALLEST_GAIN, "maxls": 50}
    start = np.zeros(classes * (rows.shape[1] + 1))
    with _blas().limit(limits=1, user_api="blas"):
        found = minimize(problem, start, jac=True, method="L-BFGS-B", options=options)
    table = found.x.reshape(classes, -1)
    return table[:, :-1], table[:, -1]


@cache
def _blas() -> ThreadpoolController:
    """NumPy and SciPy each bring a pool of threads, and the two wait for each other's cores at every small product: on
    two cores a fit took ten times as long. To find the pools takes as long as a fit."""
    return ThreadpoolController()


class _Problem:
    """What is minimized and its gradient, at one table (C, D + 1) of weights and biases."""

    def __init__(self, rows: Floats, chosen: Floats, penalty: float) -> None:
        self._rows, self._chosen, self._penalty = rows, chosen, penalty

    def __call__(self, flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        table, count = flat.reshape(self._chosen.shape[1], -1), len(self._rows)
        weight = table[:, :-1]
        logits = self._rows @ weight.T + table[:, -1]
        logits -= np.max(logits, axis=1, keepdims=True)
        shares = np.exp(logits)
        sums = np.add.reduce(shares, axis=1, keepdims=True)
        loss = (np.add.reduce(np.log(sums), axis=None) - np.vdot(logits, self._chosen)) / count
        errors = (shares / sums - self._chosen) / count
        slope = np.empty_like(table)
        np.add(errors.T @ self._rows, self._penalty * weight, out=slope[:, :-1])
        np.add.reduce(errors, axis=0, out=slope[:, -1])
        return float(loss + 0.5 * self._penalty * np.einsum("cd,cd->", weight, weight)), slope.ravel()
