"""Windows of a stream become mean probabilities and detections."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edgetl.errors import DataError
from edgetl.tasks.classification.stream import OFF, Detection, Hops, detections, smoothed

HOPS = Hops(window=100, hop=25)


def logits(*shares: float) -> np.ndarray:
    """Of two classes, the first of which has these probabilities."""
    return np.array([[math.log(share / (1 - share)), 0] for share in shares], np.float32)


def found(means: list[list[float]], thresholds: list[float], refractory: int) -> list[tuple[int, int]]:
    heard = detections(np.array(means, np.float32), np.array(thresholds, np.float32), refractory, HOPS)
    return [(each.end, each.label) for each in heard]


def test_probabilities_are_the_mean_over_the_last_windows_or_as_many_as_there_were() -> None:
    means = smoothed(logits(0.9, 0.5, 0.1, 0.1), 2)
    assert means[:, 0] == pytest.approx([0.9, 0.7, 0.3, 0.1], abs=1e-6)
    assert means.sum(axis=1) == pytest.approx(1, abs=1e-6)
    assert smoothed(logits(0.9, 0.5), 100)[:, 0] == pytest.approx([0.9, 0.7], abs=1e-6)


def test_probabilities_are_those_of_an_exact_softmax() -> None:
    values = np.random.default_rng(0).normal(0, 30, (500, 7)).astype(np.float32)
    exact = [[math.exp(float(v) - float(row.max())) for v in row] for row in values]
    expected = np.array([[share / math.fsum(row) for share in row] for row in exact])
    assert smoothed(values, 1) == pytest.approx(expected, rel=1e-7)


def test_extreme_logits_have_probabilities_and_others_are_refused() -> None:
    most = float(np.finfo(np.float32).max)
    assert smoothed(np.array([[most, -most]], np.float32), 1).tolist() == [[1, 0]]
    for bad in (math.nan, math.inf):
        with pytest.raises(DataError, match="not finite"):
            smoothed(np.array([[0, bad]], np.float32), 1)


def test_a_class_is_detected_when_its_mean_reaches_its_threshold() -> None:
    assert found([[0.59, 0.41], [0.6, 0.4], [0.9, 0.1]], [0.6, OFF], 1) == [(125, 0), (150, 0)]
    assert found([[0.9, 0.1]], [OFF, OFF], 1) == []


def test_of_several_classes_the_most_probable_that_reaches_its_threshold_is_detected() -> None:
    assert found([[0.2, 0.3, 0.5]], [0.1, 0.2, OFF], 1) == [(100, 1)]
    assert found([[0.4, 0.4, 0.2]], [0.1, 0.1, 0.1], 1) == [(100, 0)]


def test_after_a_detection_there_is_none_until_the_refractory_time_is_over() -> None:
    loud = [[0.9, 0.1]] * 9
    assert found(loud, [0.5, OFF], 75) == [(100, 0), (175, 0), (250, 0)]
    assert found(loud, [0.5, OFF], 76) == [(100, 0), (200, 0), (300, 0)]
    assert [end for end, _ in found(loud, [0.5, OFF], 1)] == [HOPS.end(index) for index in range(9)]


def test_a_detection_says_how_probable_it_was() -> None:
    (heard,) = detections(np.array([[0.25, 0.75]], np.float32), np.array([OFF, 0.5], np.float32), 1, HOPS)
    assert heard == Detection(end=100, label=1, probability=0.75)


@pytest.mark.parametrize(
    ("samples", "starts"), [(99, []), (100, [0]), (124, [0]), (125, [0, 25]), (175, [0, 25, 50, 75])]
)
def test_a_recording_has_the_windows_that_lie_in_it(samples: int, starts: list[int]) -> None:
    assert list(HOPS.starts(samples)) == starts
    assert HOPS.count(samples) == len(starts)
