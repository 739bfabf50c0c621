"""The search for the most examples a second under a limit of p99, on machines whose answer is known."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from cli_calls import Shell
from pivot_folder import make_pivot

from edgetl.bench.throughput import BATCHES, Point, Setting, best, explored, side_by_side
from edgetl.bundle.compile import compile_targets
from edgetl.errors import BackendError

EVERY = [
    Setting(streams, threads, batch)
    for streams in (1, 2, 4)
    for threads in (1, 2, 4)
    for batch in BATCHES
    if streams * threads <= 4
]


def machine(setting: Setting) -> Point:
    """A machine on which a batch costs 1 ms and each example 4 ms of one thread, and threads help by 80 %."""
    ms = 1 + 4 * setting.batch / (1 + 0.8 * (setting.threads - 1))
    return Point(setting, 1e3 * setting.streams * setting.batch / ms, ms, 1.2 * ms, 100)


@pytest.mark.parametrize("limit_ms", [None, 5.0, 7.0, 12.0, 40.0])
def test_it_finds_what_an_exhaustive_search_finds(limit_ms: float | None) -> None:
    found = best(list(explored(4, limit_ms, machine)), limit_ms)
    assert found == best([machine(setting) for setting in EVERY], limit_ms)
    assert found is not None


def test_a_limit_that_nothing_meets_has_no_best() -> None:
    points = list(explored(4, 0.1, machine))
    assert best(points, 0.1) is None
    assert {point.setting.batch for point in points} == {1}, "larger batches are slower still"


def test_all_cores_are_tried_also_if_their_number_is_no_power_of_two() -> None:
    seen = {(point.setting.streams, point.setting.threads) for point in explored(6, None, machine)}
    assert seen == {(1, 1), (1, 2), (1, 4), (1, 6), (2, 1), (2, 2), (2, 3), (4, 1), (6, 1)}


def test_a_batch_that_is_much_slower_ends_the_growth() -> None:
    def slower(setting: Setting) -> Point:
        return Point(setting, 100.0 / setting.batch, 1.0, 1.0, 10)

    assert [point.setting.batch for point in explored(1, None, slower)] == [1, 2]


def test_streams_run_at_the_same_time() -> None:
    meeting = threading.Barrier(2, timeout=30)
    times, seconds = side_by_side([lambda: meeting.wait(), lambda: meeting.wait()], 0.0)
    assert [each.size for each in times] == [1, 1]
    assert seconds > 0


@pytest.mark.parametrize("error", [BackendError("no"), RuntimeError("no"), MemoryError("no"), SystemExit("no")])
@pytest.mark.parametrize("after", [0, 3, 20])
def test_an_engine_that_fails_ends_all_streams_and_its_error_is_raised(error: BaseException, after: int) -> None:
    """In its warm-up or later; the other streams wait for the common start or would run for an hour."""
    left = iter(range(after))

    def fail() -> None:
        if next(left, None) is None:
            raise error

    with pytest.raises(type(error), match="no"):
        side_by_side([lambda: None, fail, lambda: None], 3600.0)


@pytest.mark.stage
def test_the_command_names_the_best_setting(shell: Shell, tmp_path: Path) -> None:
    (folder,) = [
        each
        for each in compile_targets(make_pivot(tmp_path / "pivot"), ["null"], tmp_path / "bundles")
        if each.name == "null-int8"
    ]
    quick = ("throughput", folder, "--duration", "0.01", "--quiet")
    found = shell(*quick, "--json").json()
    assert found["best"]["per_second"] == max(point["per_second"] for point in found["points"])
    assert "best" in shell(*quick).out
    assert shell(*quick, "--p99-limit-ms", "1000000").code == 0
