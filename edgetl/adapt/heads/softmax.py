"""Softmax regression of scikit-learn, for the few rows and columns that shots have."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from edgetl.adapt.heads.head import Floats, Labels

_TOLERANCE = 1e-3


def fit_softmax(rows: Floats, labels: Labels, *, strength: float, iterations: int) -> tuple[Floats, Floats]:
    """Weights (C, D) and biases (C,) of multinomial logistic regression on rows (N, D) with labels (N,).

    strength  inverse penalty, scikit-learn's C; iterations  at most: what is not quite optimal is still a head
    """
    model = LogisticRegression(C=strength, max_iter=iterations, tol=_TOLERANCE)
    # One BLAS thread: NumPy and SciPy each bring a pool, and the two wait for each other's cores at every small
    # product. On two cores a fit took ten times as long.
    with warnings.catch_warnings(), threadpool_limits(1, user_api="blas"):
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(rows, labels)
    weight, bias = model.coef_, model.intercept_
    if len(weight) == 1:  # one row of odds: softmax over (-x/2, x/2) is the same as sigmoid of x
        return np.concatenate([-weight / 2, weight / 2]), np.concatenate([-bias / 2, bias / 2])
    return weight, bias
