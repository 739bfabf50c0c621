"""What more shots would bring."""

from __future__ import annotations

import numpy as np
import pytest

from edgetl.adapt.learning_curve import learning_curve
from edgetl.adapt.record import LearningCurve
from edgetl.tasks.classification.folds import stratified_folds

CLASSES = 4


def _curve(shots: int, noise: float, seed: int = 0, *, groups: list[int] | None = None) -> LearningCurve | None:
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(CLASSES), shots)
    means = np.random.default_rng(99).normal(size=(CLASSES, 32))
    features = (means[labels] + noise * generator.normal(size=(len(labels), 32))).astype(np.float32)
    folds = stratified_folds(labels.tolist(), 3, 0, groups)
    return learning_curve("ncm", features, labels.astype(np.int64), CLASSES, folds, 0)


def test_where_shots_help_the_trend_says_so_and_holds() -> None:
    curve, twice = _curve(12, 2.5), _curve(24, 2.5)
    assert curve is not None
    assert twice is not None
    assert list(curve.shots_per_class) == sorted(curve.shots_per_class)
    assert curve.top1[0] < curve.top1[-1]
    assert curve.doubled_points.low <= curve.doubled_points.value <= curve.doubled_points.high
    assert curve.doubled_points.high > 0
    brought = 100 * (twice.top1[-1] - curve.top1[-1])
    assert curve.doubled_points.low - 8 <= brought <= curve.doubled_points.high + 8  # 48 and 96 images
    assert "Twice as many shots (24 per class) would add about" in curve.sentence


def test_where_all_is_right_already_more_shots_bring_little() -> None:
    curve = _curve(12, 0.1)
    assert curve is not None
    assert curve.top1 == (1.0, 1.0, 1.0)
    assert curve.doubled_points.value == pytest.approx(0.0)
    assert "would add little" in curve.sentence


def test_equal_shots_give_an_equal_curve() -> None:
    assert _curve(8, 2.0) == _curve(8, 2.0)


def test_too_few_shots_to_leave_some_out_have_no_curve() -> None:
    assert _curve(4, 1.0) is None
    assert _curve(1, 1.0) is None
