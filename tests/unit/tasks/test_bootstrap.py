from __future__ import annotations

import numpy as np
import pytest

from edgetl.tasks.bootstrap import Floats, moved_interval, resampled


def total(weights: Floats) -> Floats:
    return np.asarray(weights.sum(axis=1), np.float64)


def all_weights(weights: Floats) -> Floats:
    return weights


def test_every_draw_has_as_many_images_as_there_are() -> None:
    assert set(resampled(total, 7, resamples=50).tolist()) == {7.0}


def test_the_same_seed_gives_the_same_draws_whatever_is_computed() -> None:
    weights = resampled(all_weights, 9, resamples=30, seed=4)
    assert np.array_equal(resampled(lambda drawn: drawn[:, 2:4], 9, resamples=30, seed=4), weights[:, 2:4])
    assert not np.array_equal(resampled(all_weights, 9, resamples=30, seed=5), weights)


def test_the_images_of_a_group_are_drawn_together() -> None:
    weights = resampled(all_weights, 5, ["b", "a", "b", "c", "b"], resamples=40)
    assert np.array_equal(weights[:, 0], weights[:, 2])
    assert np.array_equal(weights[:, 0], weights[:, 4])
    assert set(weights[:, [0, 1, 3]].sum(axis=1).tolist()) == {3.0}


def test_many_images_are_drawn_in_parts() -> None:
    assert resampled(total, 300_000, resamples=10).shape == (10,)


def test_the_interval_is_moved_by_the_bias_of_the_draws() -> None:
    draws = np.linspace(0.2, 0.4, 1001)
    interval = moved_interval(0.5, draws)
    assert (interval.low, interval.high) == pytest.approx((0.405, 0.595), abs=1e-9)
    assert moved_interval(0.95, draws, 0.0, 1.0).high == 1.0


def test_draws_without_a_value_are_left_out() -> None:
    draws = np.array([0.1, np.nan, 0.3])
    assert moved_interval(0.2, draws).low == pytest.approx(0.105)
    alone = moved_interval(0.2, np.array([np.nan]))
    assert (alone.low, alone.high) == (0.2, 0.2)


def test_a_group_is_needed_for_every_image() -> None:
    with pytest.raises(ValueError, match="found 3 images and 2 groups"):
        resampled(total, 3, ["a", "b"])
    with pytest.raises(ValueError, match="found 0 images"):
        resampled(total, 0)
