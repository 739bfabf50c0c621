"""Whether a target's INT8 build is worth a repair."""

from __future__ import annotations

from edgetl.bench.gates import judge_build
from edgetl.bench.result import TargetBench
from edgetl.recipe import Gates


def is_needed(bench: TargetBench, gates: Gates) -> bool:
    """Whether the target's INT8 build missed an accuracy gate on all validation images: on its own runtime here, or, of
    an absent CPU, by what the host answered and emulation bore out."""
    int8 = bench.build("int8")
    if int8 is None or int8.accuracy is None or bench.backend == "null":
        return False  # what answers zeros answers them in float as well
    if not (bench.measured or int8.host):
        return False
    checks = judge_build(int8, bench, gates).checks
    return any(check.verdict == "fail" and check.gate in ("max_drop_points", "min_top1") for check in checks)
