"""What stands above the numbers: busy machines, threads, gates out of reach."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgetl.bench.machine import describe
from edgetl.bench.quiet import Conditions
from edgetl.bench.result import BuildBench, Latency, TargetBench
from edgetl.recipes.gates import Gates
from edgetl.report import cautions
from edgetl.tasks.classification.accuracy import compare
from edgetl.types import Interval

MACHINE = replace(describe(), logical_cores=2, usable_cores=2.0, load_average=20.0)
MS = Interval(3, 2.9, 3.1)
LABELS = np.arange(100) % 2
RIGHT = np.eye(2, dtype=np.float32)[LABELS]
REFERENCE = compare(RIGHT, LABELS, RIGHT)


def bench(target: str, waited: float = 0.0, threads: int = 1, timed: bool = True) -> TargetBench:
    latency = Latency(MS, MS, None, 300, threads, round_spread=0.02) if timed else None
    build = BuildBench("int8", 1, latency=latency)
    met = Conditions(waited, 0.0) if timed else None
    return TargetBench(target, "b", "1", timed, False, "", MACHINE, (), (build,), conditions=met)


def test_an_idle_machine_gives_none() -> None:
    benches = [bench("x86-cpu"), bench("nvidia-gpu", timed=False)]
    assert cautions.of_report(benches, REFERENCE, ("a", "b"), Gates(min_top1=0.9)) == ()


def test_a_busy_machine_is_told_once_with_its_targets() -> None:
    benches = [bench("x86-cpu", waited=0.3), bench("intel-cpu", waited=0.4), bench("arm64-cpu", timed=False)]
    (found,) = cautions.of_report(benches, REFERENCE, ("a", "b"), Gates())
    assert (found.kind, found.targets) == ("busy machine", ("x86-cpu", "intel-cpu"))
    assert found.sentence.startswith("Timed on a busy machine: x86-cpu, intel-cpu.")
    assert cautions.of_target(benches[1]) == (
        "busy machine: the timed runs waited 40 % of the time for a core (load average 20 on 2 cores)",
    )


def test_case_more_threads_than_cores_stands_at_the_reports_top() -> None:
    (found,) = cautions.of_report([bench("x86-cpu", 0.9, 64)], REFERENCE, ("a", "b"), Gates())
    assert found.kind == "threads"
    assert found.sentence == "x86-cpu: 64 threads on 2 usable cores: they wait for each other."


def test_a_gate_that_the_float_network_misses_is_told() -> None:
    wrong = RIGHT.copy()
    wrong[:10:2] = (0, 1)  # of class a
    reference = compare(wrong, LABELS, wrong)
    gates = Gates(min_top1=0.99, min_recall={"a": 0.95, "b": 0.95})
    (found,) = cautions.of_report([bench("x86-cpu")], reference, ("a", "b"), gates)
    assert found.kind == "gate out of reach"
    assert "top-1 of 95.0 %, but gates.min_top1 requires 99 %" in found.sentence
    assert "a recall of 90.0 % for `a`, but gates.min_recall requires 95 %" in found.sentence
    assert "`b`" not in found.sentence
