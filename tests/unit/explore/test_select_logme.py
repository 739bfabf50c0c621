"""LogME: the fixed point is the maximum of the evidence, and it ranks features by what they explain."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import minimize

from edgetl.explore.select.logme import logme

Floats = NDArray[np.float64]


def _features(images: int, width: int, signal: float, seed: int = 0) -> tuple[Floats, NDArray[np.int64]]:
    generator = np.random.default_rng(seed)
    labels = np.arange(images, dtype=np.int64) % 3
    centers = generator.normal(size=(3, width))
    return generator.normal(size=(images, width)) + signal * centers[labels], labels


def _evidence(features: Floats, target: Floats, alpha: float, beta: float) -> float:
    """Log of N(y | 0, I / beta + F F^T / alpha), the marginal written out without any of the paper's steps."""
    covariance = np.eye(len(target)) / beta + features @ features.T / alpha
    _, log_determinant = np.linalg.slogdet(covariance)
    quadratic = target @ np.linalg.solve(covariance, target)
    return float(-0.5 * (len(target) * np.log(2 * np.pi) + log_determinant + quadratic))


def test_the_fixed_point_is_the_maximum_that_a_plain_search_finds() -> None:
    features, labels = _features(60, 8, 0.6)
    best = []
    for label in range(3):
        target = (labels == label).astype(np.float64)
        found = minimize(
            lambda logs, y: -_evidence(features, y, *np.exp(logs)), [0.0, 0.0], args=(target,), method="Nelder-Mead"
        )
        best.append(-found.fun)
    assert logme(features, labels, 3) == pytest.approx(np.mean(best) / 60, abs=1e-4)


@pytest.mark.parametrize("width", [5, 40, 400])
def test_features_that_separate_the_classes_score_higher(width: int) -> None:
    scores = [logme(*_features(60, width, signal), 3) for signal in (0.0, 0.5, 2.0)]
    assert scores == sorted(scores)
    assert scores[2] > scores[0] + 0.1


@settings(max_examples=25)
@given(images=st.integers(2, 30), width=st.integers(1, 60), scale=st.floats(1e-3, 1e3), seed=st.integers(0, 99))
def test_every_shape_and_scale_gives_a_number(images: int, width: int, scale: float, seed: int) -> None:
    features, labels = _features(images, width, 1.0, seed)
    assert np.isfinite(logme(scale * features, labels, 3))


def test_the_unit_of_the_features_does_not_matter() -> None:
    features, labels = _features(60, 10, 1.0)
    assert logme(1000 * features, labels, 3) == pytest.approx(logme(features, labels, 3), abs=1e-5)


def test_constant_features_explain_nothing_and_do_no_harm() -> None:
    labels = np.arange(12, dtype=np.int64) % 3
    assert np.isfinite(logme(np.zeros((12, 4)), labels, 3))


def test_what_is_no_number_is_refused() -> None:
    features, labels = _features(6, 3, 1.0)
    features[2, 1] = np.nan
    with pytest.raises(ValueError, match="finite"):
        logme(features, labels, 3)
    with pytest.raises(ValueError, match="labels"):
        logme(np.ones((5, 3)), labels, 3)
