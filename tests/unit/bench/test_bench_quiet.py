"""Whether a machine was busy: the rule on given numbers, and the system's counters on written files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgetl.bench.gate_checks import check_gates
from edgetl.bench.machine import Machine, describe
from edgetl.bench.quiet import (
    Conditions,
    Snapshot,
    busy,
    conditions,
    round_spread,
    snapshot,
    too_many_threads,
)
from edgetl.bench.result import BuildBench, Latency, TargetBench
from edgetl.recipes.gates import Gates
from edgetl.types import Estimate, Interval

MACHINE: Machine = replace(describe(), logical_cores=2, usable_cores=2.0, load_average=0.4)
QUIET = Conditions(waited=0.01, stolen=0.0)


class TestBusy:
    def test_an_idle_machine_gives_no_warning(self) -> None:
        assert busy(MACHINE, QUIET, [0.03, 0.05], 1) == ""
        assert busy(MACHINE, None, [None], 1) == ""

    def test_a_load_that_left_a_core_free_gives_none_either(self) -> None:
        after_training = replace(MACHINE, load_average=4.0)
        assert busy(after_training, QUIET, [0.03], 1) == ""

    def test_waiting_for_a_core_is_told_with_the_load(self) -> None:
        loaded = replace(MACHINE, load_average=20.3)
        assert busy(loaded, Conditions(0.38, 0.0), [0.05], 1) == (
            "busy machine: the timed runs waited 38 % of the time for a core (load average 20.3 on 2 cores)"
        )

    def test_the_load_decides_where_waiting_cannot_be_read(self) -> None:
        unknown = Conditions(None, None)
        assert busy(replace(MACHINE, load_average=3.1), unknown, [], 1) == "busy machine: load average 3.1 on 2 cores"
        assert busy(replace(MACHINE, load_average=2.9), unknown, [], 1) == ""

    def test_a_host_that_takes_time_is_told(self) -> None:
        assert "the host took 5 % of the CPU time for others" in busy(MACHINE, Conditions(0.0, 0.05), [], 1)

    def test_rounds_that_differ_are_told(self) -> None:
        assert busy(MACHINE, QUIET, [0.04, 0.23, None], 1) == (
            "busy machine: the middle half of the rounds spans 23 % of the median time"
        )

    def test_threads_that_wait_for_each_other_are_not_another_programs_doing(self) -> None:
        assert busy(MACHINE, Conditions(0.9, 0.0), [0.5], 64) == ""


class TestMoreThreadsThanCores:
    def test_case_more_threads_than_cores_is_told(self) -> None:
        assert too_many_threads(MACHINE, 64) == "64 threads on 2 usable cores: they wait for each other"

    @pytest.mark.parametrize(("cores", "threads"), [(2.0, 2), (1.5, 2), (None, 64), (64.0, 64)])
    def test_threads_that_fit_are_not(self, cores: float | None, threads: int) -> None:
        assert too_many_threads(replace(MACHINE, usable_cores=cores), threads) == ""


class TestLatencyGate:
    def check(self, p99: Estimate, met: Conditions | None = QUIET, threads: int = 1, limit: float = 5.0) -> str:
        ms = Interval(3, 2.9, 3.1)
        build = BuildBench("int8", 1, latency=Latency(ms, ms, p99, 6000, threads, round_spread=0.02))
        bench = TargetBench("t", "b", "1", True, False, "", MACHINE, (), (build,), conditions=met)
        (check,) = check_gates(build, bench, Gates(max_drop_points=None, max_p99_ms=limit))
        return f"{check.verdict}: {check.reason}"

    def test_an_interval_is_told(self) -> None:
        assert self.check(Estimate(4, 3.8, 4.4)) == "pass: p99 4 ms (3.8 to 4.4), within the allowed 5 ms"

    def test_an_indication_is_called_one(self) -> None:
        assert self.check(Estimate(4)) == "pass: p99 4 ms (an indication: 6000 runs), within the allowed 5 ms"

    def test_a_busy_machine_is_told_whether_the_gate_is_met_or_missed(self) -> None:
        for value, verdict in ((4, "pass"), (6, "fail")):
            told = self.check(Estimate(value, value, value), Conditions(0.2, 0.0))
            assert told.startswith(f"{verdict}: ")
            assert "; busy machine: the timed runs waited 20 % of the time for a core" in told

    def test_case_more_threads_than_cores_is_not_judged_in_silence(self) -> None:
        told = self.check(Estimate(705), threads=64)
        assert told.startswith("fail: p99 705 ms")
        assert told.endswith("; 64 threads on 2 usable cores: they wait for each other")


class TestCounters:
    def test_shares_are_of_the_time_between_two_snapshots(self) -> None:
        before = Snapshot(clock_s=10, waited_s=1.0, stolen_ticks=100, all_ticks=1000)
        after = Snapshot(clock_s=20, waited_s=3.0, stolen_ticks=150, all_ticks=3000)
        assert conditions(before, after, threads=1) == Conditions(waited=0.2, stolen=0.025)
        assert conditions(before, after, threads=2) == Conditions(waited=0.1, stolen=0.025)

    def test_what_the_system_does_not_say_is_none(self, tmp_path: Path) -> None:
        nothing = snapshot(tmp_path)
        assert conditions(nothing, nothing, threads=1) == Conditions(None, None)

    def test_they_are_read_from_proc(self, tmp_path: Path) -> None:
        for task, waited_ns in (("7", 1_500_000_000), ("8", 500_000_000)):
            (tmp_path / "proc/self/task" / task).mkdir(parents=True)
            (tmp_path / "proc/self/task" / task / "schedstat").write_text(f"123 {waited_ns} 9\n")
        (tmp_path / "proc/stat").write_text("cpu  10 0 20 50 5 0 5 10 3 0\ncpu0 1 2 3\n")
        found = snapshot(tmp_path)
        assert (found.waited_s, found.stolen_ticks, found.all_ticks) == (2.0, 10, 100)

    def test_this_machine_has_them(self) -> None:
        met = conditions(snapshot(), snapshot(), threads=1)
        assert met.waited is None or 0 <= met.waited <= 1


class TestRoundSpread:
    def test_equal_rounds_have_none(self) -> None:
        assert round_spread(np.full(300, 1000, np.int64)) == 0

    def test_it_is_the_middle_half_of_the_rounds_medians(self) -> None:
        rounds = np.repeat([900, 1000, 1000, 1000, 1100], 10).astype(np.int64)
        assert round_spread(rounds) == 0
        assert round_spread(np.repeat([900, 950, 1000, 1050, 1100], 10).astype(np.int64)) == pytest.approx(0.1)

    def test_three_rounds_do_not_say(self) -> None:
        assert round_spread(np.arange(39, dtype=np.int64)) is None
