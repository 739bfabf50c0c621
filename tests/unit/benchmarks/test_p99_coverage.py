from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "benchmarks"))

from p99_coverage import Drift, measure, simulate, truth

from edgetl.bench.timed import P99_RUNS


def test_an_interval_is_given_from_enough_rounds_on_and_never_of_a_slow_drift() -> None:
    assert measure(Drift(0.03), 300, series=3).given == 0
    assert measure(Drift(0.03), P99_RUNS, series=3).given == 1
    assert measure(Drift(0.03, memory=0.9), P99_RUNS, series=3).given == 0


def test_equal_seeds_give_equal_coverage() -> None:
    assert measure(Drift(0.01), P99_RUNS, series=5, seed=4) == measure(Drift(0.01), P99_RUNS, series=5, seed=4)


@pytest.mark.parametrize("drift", [Drift(0.0), Drift(0.03), Drift(0.03, stalls=True)])
def test_the_truth_is_the_quantile_of_the_simulated_runs(drift: Drift) -> None:
    runs = simulate(drift, 400_000, np.random.default_rng(0))
    assert math.isclose(float(np.quantile(runs, 0.99)), truth(drift), rel_tol=0.01)
