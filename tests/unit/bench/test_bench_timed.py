from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgetl.bench import timed as module
from edgetl.bench.timed import P99_RUNS, Timed, Timing, latency, timed
from edgetl.types import Placement


class Still:
    def infer(self, inputs: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        return {}

    def placement(self) -> Placement:
        return Placement(())


IMAGES = np.zeros((1, 2, 2, 3), np.uint8)


def take(*, for_p99: bool) -> Timed:
    engines = {"a": Still(), "b": Still()}
    return timed(engines, IMAGES, Timing(300, 1, 1, for_p99=for_p99))


def test_a_gate_on_p99_takes_as_many_runs_as_its_interval_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "P99_RUNS", 1000)
    assert {name: series.size for name, series in take(for_p99=True).times.items()} == {"a": 1000, "b": 1000}
    assert {series.size for series in take(for_p99=False).times.values()} == {300}


def test_slow_builds_are_not_timed_for_more_than_the_time_that_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_SECONDS", 0.0)
    assert {series.size for series in take(for_p99=True).times.values()} == {300}


def test_p99_has_an_interval_only_with_enough_rounds() -> None:
    times = np.random.default_rng(0).permutation(P99_RUNS) + 1_000_000
    many, few = latency(times, 1), latency(times[:300], 2)
    assert many.p99_ms is not None
    assert few.p99_ms is not None
    assert many.p99_ms.low is not None
    assert (few.p99_ms.low, few.p99_ms.high) == (None, None)
    assert (few.runs, few.threads) == (300, 2)
