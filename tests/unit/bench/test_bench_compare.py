"""Two bundles against each other: the ratio, its interval over repeats, and what it shows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pivot_folder import make_pivot
from test_bench_bundle_gates import INT8, MEASURED

from edgetl.bench.bundles import Measured
from edgetl.bench.compare import Comparison, compare, compared, two_bundles
from edgetl.bench.timed import Timing
from edgetl.bundle.compile import compile_targets
from edgetl.errors import UsageError
from edgetl.types import Silent

Times = NDArray[np.int64]


def repeats(generator: np.random.Generator, ratio: float, noise: float, count: int = 5) -> tuple[list[Times], ...]:
    """Times of two bundles on a machine whose speed changes by 20 % between repeats, that of both alike but `noise`."""
    first: list[Times] = []
    second: list[Times] = []
    for _ in range(count):
        machine = 1e6 * np.exp(generator.normal(0, 0.2))
        for found, slower in ((first, 1.0), (second, ratio)):
            own = np.exp(generator.normal(0, noise))
            found.append((machine * slower * own * np.exp(generator.normal(0, 0.01, 300))).astype(np.int64))
    return first, second


def found(first: list[Times], second: list[Times]) -> Comparison:
    rows = (replace(INT8, bundle="one"), replace(INT8, bundle="two"))
    return compared(Measured(replace(MEASURED, bundles=rows), (tuple(first), tuple(second))))


def test_a_bundle_that_takes_a_tenth_less_time_is_faster() -> None:
    ratio = found(*repeats(np.random.default_rng(1), 0.9, 0.01)).ratios[0]
    assert ratio.figure == "p50_ms"
    assert ratio.ratio.low <= 0.9 <= ratio.ratio.high < 1
    assert ratio.found == "the second is faster"
    assert len(ratio.repeats) == 5


def test_the_other_way_around_the_first_is_faster() -> None:
    first, second = repeats(np.random.default_rng(1), 0.9, 0.01)
    assert {each.found for each in found(second, first).ratios} == {"the first is faster"}


def test_no_difference_is_seen_in_a_bundle_against_itself() -> None:
    first, _ = repeats(np.random.default_rng(2), 1.0, 0.0)
    assert {each.found for each in found(first, first).ratios} == {"no difference seen"}


@pytest.mark.parametrize("figure", [0, 1, 2])
def test_of_100_intervals_93_to_97_hold_the_true_ratio(figure: int) -> None:
    generator = np.random.default_rng(3)
    ratios = [found(*repeats(generator, 1.1, 0.02)).ratios[figure].ratio for _ in range(300)]
    assert 0.93 <= sum(each.low <= 1.1 <= each.high for each in ratios) / 300 <= 0.97


@pytest.mark.stage
def test_bundles_in_one_folder_are_compared_in_the_same_rounds(tmp_path: Path) -> None:
    compile_targets(make_pivot(tmp_path / "pivot"), ["null"], tmp_path / "bundles")
    both = compare([tmp_path / "bundles"], Timing(20, 1, 1), 2, Silent())
    assert (Path(both.first).name, Path(both.second).name) == ("null-float32", "null-int8")
    assert [len(each.repeats) for each in both.ratios] == [2, 2, 2]
    assert both.measurement.bundles[0].runs == 40
    with pytest.raises(UsageError, match="expected two bundles to compare, found 1: null-int8"):
        two_bundles([tmp_path / "bundles/null-int8"])
