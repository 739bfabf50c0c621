"""Heads on cached features."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import nn

from edgetl.adapt.trials import write_head
from edgetl.tasks.classification.folds import Fold, stratified_folds
from edgetl.tasks.classification.heads import cosine, ridge
from edgetl.tasks.classification.heads.by_name import HEADS, fit_head, held_out_logits, prepare
from edgetl.tasks.classification.heads.head import Head
from edgetl.tasks.classification.heads.rounds import rounds
from edgetl.tasks.classification.heads.softmax import fit_softmax
from edgetl.tasks.classification.heads.space import fit_space
from edgetl.tasks.classification.heads.temperature import best_scale, cross_entropy

Labels = NDArray[np.int64]


pytestmark = pytest.mark.usefixtures("one_thread")


def _blobs(
    classes: int, shots: int, *, views: int = 1, seed: int = 0, distance: float = 3.0
) -> tuple[NDArray[np.float32], Labels]:
    """Clusters; features of very different size, as in real networks."""
    generator = np.random.default_rng(seed)
    width = 20
    centers = np.random.default_rng(7).normal(size=(classes, width)) * distance
    labels = np.repeat(np.arange(classes, dtype=np.int64), shots)
    noisy = centers[labels] + generator.normal(size=(views, len(labels), width))
    return (noisy * np.logspace(-0.5, 0.5, width) + 5).astype(np.float32), labels


def _top1(head: Head, features: NDArray[np.float32], labels: Labels) -> float:
    return float((head.logits(features).argmax(1) == labels).mean())


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize(("classes", "shots", "views"), [(2, 5, 3), (4, 6, 1), (5, 1, 3), (2, 1, 1)])
def test_a_head_learns_from_few_shots(name: str, classes: int, shots: int, views: int) -> None:
    features, labels = _blobs(classes, shots, views=views)
    head = fit_head(name, prepare(features, labels, classes), seed=0)
    fresh, expected = _blobs(classes, 30, seed=1)
    assert _top1(head, fresh[0], expected) > (0.8 if name == "firm" and shots == 1 else 0.9)
    assert all(np.isfinite(array).all() and array.dtype == np.float64 for array in (head.weight, head.bias))
    assert (head.weight.shape, head.bias.shape) == ((classes, 20), (classes,))
    assert head.name == name
    assert head.setting


@pytest.mark.parametrize("name", HEADS)
def test_the_same_seed_gives_the_same_bytes(name: str) -> None:
    features, labels = _blobs(3, 4, views=2)
    one, two = (fit_head(name, prepare(features, labels, 3), seed=3) for _ in range(2))
    assert (one.weight.tobytes(), one.bias.tobytes()) == (two.weight.tobytes(), two.bias.tobytes())


@pytest.mark.parametrize("name", HEADS)
def test_the_order_of_the_images_says_nothing_about_classes(name: str) -> None:
    features, labels = _blobs(3, 6, views=2)
    order = np.random.default_rng(0).permutation(len(labels))
    head = fit_head(name, prepare(features[:, order], labels[order], 3), seed=0)
    assert _top1(head, features[0], labels) == 1.0


@pytest.mark.parametrize("name", HEADS)
def test_features_that_never_move_do_no_harm(name: str) -> None:
    features, labels = _blobs(3, 5)
    features[:, :, 3] = 17.0
    head = fit_head(name, prepare(features, labels, 3), seed=0)
    assert _top1(head, features[0], labels) == 1.0


@pytest.mark.parametrize("name", HEADS)
def test_features_that_are_all_alike_give_finite_logits(name: str) -> None:
    labels = np.repeat(np.arange(2, dtype=np.int64), 3)
    head = fit_head(name, prepare(np.ones((2, 6, 4), np.float32), labels, 2), seed=0)
    assert np.isfinite(head.logits(np.ones((1, 4), np.float32))).all()


@pytest.mark.parametrize("name", HEADS)
def test_held_out_confidence_is_about_as_large_as_held_out_accuracy(name: str) -> None:
    features, labels = _blobs(4, 12, views=2, distance=0.6)
    logits = held_out_logits(name, prepare(features, labels, 4), stratified_folds(labels.tolist(), 3, 0), seed=0)
    chances = np.exp(logits - logits.max(1, keepdims=True))
    confidence = float((chances.max(1) / chances.sum(1)).mean())
    accuracy = float((logits.argmax(1) == labels).mean())
    assert 0.3 < accuracy < 1.0
    assert abs(confidence - accuracy) < 0.25


def test_a_head_never_sees_what_it_is_judged_on() -> None:
    noise = np.random.default_rng(0).normal(size=(1, 60, 40)).astype(np.float32)
    labels = np.tile(np.arange(2, dtype=np.int64), 30)
    for name in HEADS:
        shots = prepare(noise, labels, 2)
        logits = held_out_logits(name, shots, stratified_folds(labels.tolist(), 5, 0), seed=0)
        assert 0.25 < (logits.argmax(1) == labels).mean() < 0.75, name
        assert _top1(fit_head(name, shots, seed=0), noise[0], labels) > 0.75, name


@settings(max_examples=40)
@given(
    seed=st.integers(0, 10_000),
    classes=st.integers(2, 4),
    views=st.integers(1, 3),
    width=st.integers(1, 30),
    penalty=st.sampled_from(ridge.PENALTIES),
    together=st.booleans(),
)
def test_left_out_ridge_logits_are_those_of_a_ridge_fitted_without_them(
    seed: int, classes: int, views: int, width: int, penalty: float, together: bool
) -> None:
    generator = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes), generator.integers(0, classes, 7)]).astype(np.int64)
    features = generator.normal(size=(views, len(labels), width)) + labels[:, None]
    blocks = rounds(labels, 0) if together else tuple(np.array([index]) for index in range(len(labels)))
    found = ridge._decompose(features, labels, classes).left_out(penalty, blocks)
    flat = features.transpose(1, 0, 2).reshape(-1, width)
    absolute = penalty * ((flat - flat.mean(0)) ** 2).sum() / len(labels)
    for block in blocks:
        kept = np.setdiff1d(np.arange(len(labels)), block)
        weight, bias = _ridge_by_hand(features[:, kept], labels[kept], classes, absolute)
        np.testing.assert_allclose(found[block], features[0, block] @ weight.T + bias, atol=1e-6)


def _ridge_by_hand(
    views: NDArray[np.float64], labels: Labels, classes: int, absolute: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Normal equations of all rows with a column of ones that is not penalised."""
    rows = np.concatenate([np.hstack([view, np.ones((len(labels), 1))]) for view in views])
    targets = np.tile(2.0 * np.eye(classes)[labels] - 1, (len(views), 1))
    matrix = rows.T @ rows + np.diag([absolute] * views.shape[2] + [0.0])
    solution = np.linalg.solve(matrix, rows.T @ targets)
    return solution[:-1].T, solution[-1]


def test_ridge_is_the_solution_of_the_normal_equations_up_to_its_scale() -> None:
    views, labels = _blobs(3, 5, views=2)
    compact = fit_space(views).compact(views)
    head = ridge.fit(compact, labels, 3, seed=0)
    penalty, scale = (float(part.split()[1]) for part in head.setting.split(", "))
    flat = compact.reshape(-1, compact.shape[2])
    absolute = penalty * ((flat - flat.mean(0)) ** 2).sum() / len(labels)
    weight, bias = _ridge_by_hand(compact, labels, 3, absolute)
    np.testing.assert_allclose(head.weight, scale * weight, rtol=0.01, atol=0.01 * np.abs(head.weight).max())
    np.testing.assert_allclose(head.bias, scale * bias, rtol=0.01, atol=0.01)


@given(seed=st.integers(0, 10_000), classes=st.integers(2, 5), shots=st.integers(1, 4), views=st.integers(1, 3))
def test_the_cosine_head_decides_as_the_cosine_does(seed: int, classes: int, shots: int, views: int) -> None:
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes, dtype=np.int64), shots)
    features = generator.normal(size=(views, len(labels), 8)) + 2 * generator.normal(size=8)
    center = features.mean((0, 1))
    directions = (features - center) / np.linalg.norm(features - center, axis=-1, keepdims=True)
    prototypes = np.stack([directions[:, labels == label].mean((0, 1)) for label in range(classes)])
    prototypes /= np.linalg.norm(prototypes, axis=1, keepdims=True)
    fresh = generator.normal(size=(50, 8)) * 3
    similarity = (fresh - center) @ prototypes.T / np.linalg.norm(fresh - center, axis=1, keepdims=True)
    head = cosine.fit(features, labels, classes, 0)
    assert (head.logits(fresh).argmax(1) == similarity.argmax(1)).all()


@given(seed=st.integers(0, 1000), classes=st.integers(2, 5), size=st.floats(1e-3, 1e3))
def test_no_other_scale_has_less_cross_entropy(seed: int, classes: int, size: float) -> None:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, 200)
    logits = size * (generator.normal(size=(200, classes)) + 1.5 * np.eye(classes)[labels])
    best = best_scale(logits, labels)
    least = cross_entropy(best * logits, labels).mean()
    for other in (0.5, 0.8, 1.25, 2.0):
        assert cross_entropy(other * best * logits, labels).mean() > least - 2e-3


def test_logits_that_are_all_right_have_a_finite_scale_and_wrong_ones_a_positive_one() -> None:
    labels = np.arange(3, dtype=np.int64)
    assert 0 < best_scale(np.eye(3), labels) < 100
    assert 0 < best_scale(-np.eye(3), labels) < 1


def test_a_round_leaves_out_one_image_of_every_class_that_still_has_any() -> None:
    labels = np.array([0, 0, 0, 1, 1, 2])
    parts = rounds(labels, 0)
    assert [sorted(labels[part].tolist()) for part in parts] == [[0, 1, 2], [0, 1], [0]]
    assert sorted(np.concatenate(parts).tolist()) == list(range(6))


def test_the_space_keeps_distances_between_standardised_features() -> None:
    views, _ = _blobs(3, 10, views=2)
    space = fit_space(views)
    compact = space.compact(views).reshape(60, -1)
    flat = views.reshape(60, -1).astype(np.float64)
    scaled = (flat - flat.mean(0)) / np.maximum(flat.std(0), 0.1 * flat.std(0).mean())
    expected = np.linalg.norm(scaled[:, None] - scaled[None], axis=2)
    found = np.linalg.norm(compact[:, None] - compact[None], axis=2)
    assert np.abs(found - expected).max() < 0.15 * expected.max()
    assert (compact**2).sum() >= 0.99 * (scaled**2).sum()


def test_features_that_vary_more_count_more_where_the_space_is_not_standardised() -> None:
    views, _ = _blobs(3, 10, views=2)
    space = fit_space(views, standardise=False)
    flat = views.reshape(60, -1).astype(np.float64)
    expected = np.linalg.norm(flat[:, None] - flat[None], axis=2) / flat.std(0).mean()
    compact = space.compact(views).reshape(60, -1)
    found = np.linalg.norm(compact[:, None] - compact[None], axis=2)
    assert np.abs(found - expected).max() < 0.15 * expected.max()


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("strength", [0.01, 1.0])
def test_softmax_regression_is_that_of_scikit_learn(classes: int, strength: float) -> None:
    generator = np.random.default_rng(classes)
    labels = np.arange(30) % classes
    rows = generator.normal(size=(30, 8)) + generator.normal(size=(classes, 8))[labels]
    theirs = LogisticRegression(C=strength, tol=1e-3).fit(rows, labels).predict_proba(rows)
    weight, bias = fit_softmax(rows, labels, strength=strength, iterations=100)
    shares = np.exp(rows @ weight.T + bias)
    np.testing.assert_allclose(shares / shares.sum(axis=1, keepdims=True), theirs, atol=0.01)


def test_logistic_is_the_mean_of_a_fit_with_and_one_without_augmented_views() -> None:
    views, labels = _blobs(3, 6, views=3)
    views[1:] += np.random.default_rng(1).normal(scale=3, size=views[1:].shape).astype(np.float32)
    shots = prepare(views, labels, 3)
    found = fit_head("logistic", shots, seed=0)
    strength = float(found.setting.removeprefix("C "))
    fitted = []
    for part in (shots.compact, shots.compact[:1]):
        model = LogisticRegression(C=strength / len(part), max_iter=500, tol=1e-3)
        model.fit(part.reshape(-1, part.shape[-1]), np.tile(labels, len(part)))
        fitted.append(shots.compact[0] @ model.coef_.T + model.intercept_)
    assert found.logits(views[0]) == pytest.approx((fitted[0] + fitted[1]) / 2, abs=1e-3)


def test_more_features_than_images_are_reduced_to_the_span_of_the_images() -> None:
    views = np.random.default_rng(0).normal(size=(2, 6, 300)).astype(np.float32)
    assert fit_space(views).compact(views).shape[2] <= 11


def test_a_head_in_a_network_gives_its_logits() -> None:
    features, labels = _blobs(3, 4, views=2)
    features /= 50
    head = fit_head("logistic", prepare(features, labels, 3), seed=0)
    module = nn.Sequential(nn.Identity(), nn.Linear(features.shape[2], 3))
    write_head(module, "1", head)
    with torch.no_grad():
        found = module(torch.from_numpy(features[0])).numpy()
    np.testing.assert_allclose(found, head.logits(features[0]), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("views", "labels", "classes", "message"),
    [
        (np.zeros((1, 2, 3)), np.array([0, 1, 1]), 2, "expected views"),
        (np.zeros((1, 2, 3)), np.array([0, 0]), 2, "all of 2 classes"),
        (np.zeros((1, 2, 3)), np.array([0, 2]), 2, "all of 2 classes"),
        (np.full((1, 2, 3), np.inf), np.array([0, 1]), 2, "finite features"),
    ],
)
def test_what_cannot_be_fitted_is_refused(views: np.ndarray, labels: Labels, classes: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        prepare(views.astype(np.float32), labels, classes)


def test_folds_that_forget_an_image_are_refused() -> None:
    features, labels = _blobs(2, 3)
    with pytest.raises(ValueError, match="each of 6 images once"):
        held_out_logits("ncm", prepare(features, labels, 2), [Fold((0, 1, 3, 4), (2,))], seed=0)
