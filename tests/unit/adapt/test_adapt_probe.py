"""The linear probe."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edgetl.adapt.probe import Labels, Probe, fit_probe


def _blobs(
    classes: int, shots: int, *, views: int = 1, width: int = 20, seed: int = 0
) -> tuple[NDArray[np.float32], Labels]:
    """Separable clusters; features of very different size, as in real networks."""
    generator = np.random.default_rng(seed)
    centres = np.random.default_rng(7).normal(size=(classes, width)) * 3
    labels = np.repeat(np.arange(classes, dtype=np.int64), shots)
    scale = np.logspace(-2, 2, width)
    noisy = centres[labels] + generator.normal(size=(views, len(labels), width))
    return (noisy * scale + 5).astype(np.float32), labels


def _top1(probe: Probe, features: NDArray[np.float32], labels: Labels) -> float:
    return float(((features @ probe.weight.T + probe.bias).argmax(1) == labels).mean())


@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize(("shots", "views"), [(5, 1), (5, 3), (2, 2), (1, 3)])
def test_a_probe_learns_from_few_shots(classes: int, shots: int, views: int) -> None:
    features, labels = _blobs(classes, shots, views=views)
    probe = fit_probe(features, labels, classes, seed=0)
    assert probe.weight.shape == (classes, 20)
    assert probe.bias.shape == (classes,)
    fresh, expected = _blobs(classes, 30, seed=1)
    assert _top1(probe, fresh[0], expected) > 0.9


def test_rotating_into_the_span_of_the_data_changes_nothing() -> None:
    narrow, labels = _blobs(3, 20)
    wide = np.concatenate([narrow, np.zeros((1, len(labels), 100), np.float32)], 2)  # more features than images
    one, two = fit_probe(narrow, labels, 3, seed=0), fit_probe(wide, labels, 3, seed=0)
    assert one.strength == two.strength
    expected, found = narrow[0] @ one.weight.T + one.bias, wide[0] @ two.weight.T + two.bias
    assert (expected.argmax(1) == found.argmax(1)).all()


def test_features_that_never_move_do_no_harm() -> None:
    features, labels = _blobs(3, 5)
    features[:, :, 3] = 17.0
    probe = fit_probe(features, labels, 3, seed=0)
    assert np.isfinite(probe.weight).all()
    assert _top1(probe, features[0], labels) == 1.0


def test_the_same_shots_give_the_same_probe() -> None:
    features, labels = _blobs(4, 5, views=2)
    one, two = (fit_probe(features, labels, 4, seed=3) for _ in range(2))
    assert (one.weight == two.weight).all()
    assert (one.bias == two.bias).all()


def test_noise_is_regularised_more_than_signal() -> None:
    signal, labels = _blobs(3, 12)
    noise = np.random.default_rng(0).normal(size=signal.shape).astype(np.float32)
    assert fit_probe(noise, labels, 3, seed=0).strength < fit_probe(signal, labels, 3, seed=0).strength
