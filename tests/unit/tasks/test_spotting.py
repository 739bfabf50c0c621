"""Detections against events, and thresholds chosen on clips."""

from __future__ import annotations

import numpy as np
import pytest

from edgetl.tasks.classification.spotting import Event, choose_thresholds, score
from edgetl.tasks.classification.stream import Detection, Hops
from edgetl.types import stats

HOPS = Hops(100, 25)


def counts(*found: Detection, events: list[Event], smoothing: int = 1) -> tuple[int, int, int, int]:
    whole = score(found, events, HOPS, smoothing, 2.0, 2).whole
    return whole.events, whole.found, whole.false, whole.repeated


def test_an_event_takes_one_detection_and_the_next_ones_are_repeats() -> None:
    said = [Event(100, 200, 0)]
    assert counts(Detection(150, 0, 0.9), Detection(250, 0, 0.9), events=said) == (1, 1, 0, 1)


def test_a_detection_of_another_class_or_at_another_time_is_a_false_accept() -> None:
    said = [Event(100, 200, 0)]
    assert counts(Detection(150, 1, 0.9), events=said) == (1, 0, 1, 0)
    assert counts(Detection(90, 0, 0.9), Detection(301, 0, 0.9), events=said) == (1, 0, 2, 0)


def test_a_detection_heard_all_windows_of_its_mean() -> None:
    said = [Event(100, 200, 0)]
    assert counts(Detection(375, 0, 0.9), events=said, smoothing=4) == (1, 1, 0, 0)
    assert counts(Detection(376, 0, 0.9), events=said, smoothing=4) == (1, 0, 1, 0)


def test_two_events_need_two_detections() -> None:
    said = [Event(100, 150, 0), Event(160, 200, 0)]
    assert counts(Detection(180, 0, 0.9), events=said) == (2, 1, 0, 0)
    assert counts(Detection(140, 0, 0.9), Detection(240, 0, 0.9), events=said) == (2, 2, 0, 0)


def test_false_accepts_are_per_hour_of_the_recording() -> None:
    whole = score([Detection(500, 0, 0.9)] * 4, [], HOPS, 1, 2.0, 2).whole
    assert whole.false_per_hour.value == 2
    assert whole.missed is None


def test_thresholds_let_one_percent_of_other_clips_pass() -> None:
    foreign = np.linspace(0, 0.95, 200)
    shares = np.concatenate([np.stack([foreign, 1 - foreign], 1), np.tile([0.99, 0.01], (5, 1))])
    labels = np.array([1] * 200 + [0] * 5)
    first, second = choose_thresholds(shares, labels)
    assert (foreign >= first).sum() == 2
    assert second == 0.5


@pytest.mark.parametrize(("count", "low", "high"), [(0, 0.0, 3.6889), (1, 0.0253, 5.5716), (10, 4.7954, 18.3904)])
def test_the_interval_of_a_count_is_garwoods(count: int, low: float, high: float) -> None:
    found = stats.poisson_rate(count, 1.0)
    assert found.low == pytest.approx(low, abs=1e-4)
    assert found.high == pytest.approx(high, abs=1e-4)
    assert stats.poisson_rate(count, 4.0).high == pytest.approx(found.high / 4)


def test_many_events_have_the_interval_of_a_normal_count() -> None:
    found = stats.poisson_rate(5000, 1.0)
    assert found.low == pytest.approx(4862, abs=3)
    assert found.high == pytest.approx(5141, abs=3)
