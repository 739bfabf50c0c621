from __future__ import annotations

import numpy as np
import pytest

from edgetl.tasks.bootstrap import Floats, interval_of, resampled
from edgetl.types import Interval


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


def test_the_interval_lies_around_the_value_less_the_bias_of_the_draws() -> None:
    draws = np.random.default_rng(0).normal(0.52, 0.01, 100_000)
    interval = interval_of(0.5, draws, 1_000_000, 0.0, 1.0)
    assert (interval.low, interval.high) == pytest.approx((0.48 - 0.0196, 0.5), abs=2e-4)  # the value is in it
    centered = interval_of(0.52, draws, 1_000_000, 0.0, 1.0)
    assert (centered.low, centered.high) == pytest.approx((0.5004, 0.5396), abs=2e-4)
    assert interval_of(0.999, draws + 0.479, 1_000_000, 0.0, 1.0).high == 1.0


def test_few_units_have_a_wider_interval_and_one_has_none() -> None:
    draws = np.random.default_rng(0).normal(0.5, 0.01, 100_000)
    widths = [interval.high - interval.low for interval in (interval_of(0.5, draws, n, 0.0, 1.0) for n in (4, 25, 500))]
    assert widths[0] / widths[2] == pytest.approx(3.182 / 1.965 * (4 / 3) ** 0.5, abs=0.02)
    assert widths[0] > widths[1] > widths[2]
    assert interval_of(0.5, draws, 1, 0.0, 1.0) == Interval(0.5, 0.0, 1.0)


def test_draws_without_a_value_are_left_out() -> None:
    draws = np.array([0.1, 0.3])
    assert interval_of(0.2, np.append(draws, np.nan), 9, 0.0, 1.0) == interval_of(0.2, draws, 9, 0.0, 1.0)
    assert interval_of(0.2, np.array([np.nan]), 9, 0.0, 1.0) == Interval(0.2, 0.0, 1.0)


def test_a_group_is_needed_for_every_image() -> None:
    with pytest.raises(ValueError, match="found 3 images and 2 groups"):
        resampled(total, 3, ["a", "b"])
    with pytest.raises(ValueError, match="found 0 images"):
        resampled(total, 0)
