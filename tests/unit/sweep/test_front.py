"""The Pareto front, and what its latencies must differ by."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edgetl.sweep.front import beats, front
from edgetl.sweep.row import Row, failed


def row(number: int, score: float, p50_ms: float, size: int = 1000, spread: float = 0.01) -> Row:
    low, high = p50_ms * (1 - spread), p50_ms * (1 + spread)
    return Row(number, {}, "measured", score=score, p50_ms=p50_ms, p50_ms_low=low, p50_ms_high=high, size_bytes=size)


def numbers(*rows: Row, resolution: float = 0.05) -> list[int]:
    return [each.number for each in front(rows, resolution)]


def test_the_front_has_the_trials_that_no_other_beats_fastest_first() -> None:
    slow, fast, beaten, small = row(0, 0.99, 9.0), row(1, 0.90, 1.0), row(2, 0.89, 2.0), row(3, 0.5, 9.0, size=10)
    assert numbers(slow, fast, beaten, small) == [1, 0, 3]


def test_latencies_within_the_resolution_are_equal_so_accuracy_decides() -> None:
    better, faster = row(0, 0.95, 1.04), row(1, 0.90, 1.00)
    assert numbers(better, faster) == [0]
    assert numbers(better, faster, resolution=0.0) == [1, 0]


def test_a_wide_interval_shows_no_difference() -> None:
    assert numbers(row(0, 0.95, 2.0, spread=0.6), row(1, 0.90, 1.0, spread=0.6)) == [0]


def test_equal_trials_are_all_on_the_front() -> None:
    assert numbers(row(0, 0.9, 1.0), row(1, 0.9, 1.0)) == [0, 1]


def test_failed_trials_and_those_without_latency_are_not_on_it() -> None:
    assert numbers(failed(0, {}, "no"), Row(1, {}, "not measured", score=1.0), row(2, 0.5, 1.0)) == [2]


rows = st.lists(
    st.builds(
        row,
        st.just(0),
        st.sampled_from([0.5, 0.6, 0.7]),
        st.floats(1, 2),
        st.sampled_from([1, 2]),
        st.floats(0, 0.3),
    ),
    min_size=1,
    max_size=8,
)


@given(rows, st.floats(0, 0.2))
def test_members_of_the_front_beat_all_others_and_not_each_other(found: list[Row], resolution: float) -> None:
    best = front(found, resolution)
    assert best
    for each in found:
        assert (each in best) != any(beats(other, each, resolution) for other in best)
