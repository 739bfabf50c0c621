"""Whether a target's INT8 build is worth a repair."""

from __future__ import annotations

from edgetl.bench.gates import judge_build
from edgetl.bench.result import TargetBench
from edgetl.recipes.recipe import Gates
from edgetl.tasks.classification import accuracy_gates


def is_needed(bench: TargetBench, gates: Gates) -> bool:
    """Whether the target's INT8 build missed an accuracy gate that the float network meets, on all validation images:
    on its own runtime here, or, of an absent CPU, by what the host answered and emulation bore out."""
    int8 = bench.build("int8")
    if int8 is None or int8.accuracy is None or bench.backend == "null":
        return False  # what answers zeros answers them in float as well
    if not (bench.measured or int8.host):
        return False
    reached = within_reach(bench, gates)
    judged = accuracy_gates.names(reached)
    return any(check.verdict == "fail" and check.gate in judged for check in judge_build(int8, bench, reached).checks)


def within_reach(bench: TargetBench, gates: Gates) -> Gates:
    """The gates without those that the float network misses itself on the images of the INT8 build."""
    int8 = bench.build("int8")
    if int8 is None or int8.accuracy is None:
        return gates
    accuracy = int8.accuracy
    float_top1 = accuracy.top1.value + accuracy.drop_points.value / 100
    return accuracy_gates.within_reach(gates, float_top1, bench.recalls(int8))
