"""The repair stage (mixed precision): the layers that must stay in float for INT8 to pass, and whether it is needed."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from edgetl.backends.base import about
from edgetl.bench.gates import judge_build
from edgetl.bench.result import TargetBench
from edgetl.files.digest import value_digest
from edgetl.recipes.gates import Gates
from edgetl.recipes.run import Run
from edgetl.stages.keys import accuracy_gates as gate_values
from edgetl.stages.keys import samples_digest, this_machine, versions
from edgetl.store.results import StageResult
from edgetl.tasks import accuracy_gates
from edgetl.types import Target


def repair_stage(run: Run, target: Target, pivot: StageResult, gates: Gates) -> StageResult:
    """The layers that must stay in float for INT8 to pass on this target, and the model with them.

    gates  those that the float network itself meets
    """
    from edgetl.backends.base import load
    from edgetl.data.groups import val_groups

    def make(out: Path) -> None:
        from edgetl.diagnose.repair.repair import repair_int8

        repair_int8(run, target, pivot.folder, gates, out)

    config = {
        "target": asdict(target),
        "gates": gate_values(gates),
        "bench": run.job.recipe.bench.model_dump(mode="json"),
        "here": this_machine(),
        "backend_version": load(target.backend).version(),
        "tools": versions(("onnxruntime", "onnx")),
    }
    inputs = {"pivot": pivot.digest, "shots": samples_digest(run.split, run.split.shots)}
    inputs["val"] = samples_digest(run.split, run.split.val)
    groups = val_groups(run)
    inputs |= {"groups": value_digest(groups)} if groups else {}
    return run.store.once("repair", 4, config, make, inputs=inputs, what=target.name)


def needs_repair(run: Run, benched: StageResult) -> bool:
    """Whether the target's INT8 build is known to miss an accuracy gate, and the recipe allows a repair."""
    from edgetl.bench.result import BENCH_FILE, read_bench

    recipe = run.job.recipe
    return recipe.repair == "auto" and missed_by_int8(read_bench(benched.folder / BENCH_FILE), recipe.gates)


def gates_to_repair_for(run: Run, benched: StageResult) -> Gates:
    """The recipe's gates without those that the float network misses itself."""
    from edgetl.bench.result import BENCH_FILE, read_bench

    return within_reach(read_bench(benched.folder / BENCH_FILE), run.job.recipe.gates)


def repaired_pivot(repaired: StageResult) -> Path | None:
    """The pivot with the mixed model; None if no choice of layers meets the gates."""
    from edgetl.pivot.pivot import FOLDER

    folder = repaired.folder / FOLDER
    return folder if folder.is_dir() else None


def cannot_repair(target: Target) -> str:
    """Why a missed gate is not repaired on this machine; empty if it is."""
    from edgetl.bench.machine import saturates

    if target.scheme.is_dynamic:
        return (
            "INT8 is not repaired: where ranges are found when the network runs, no single layers are moved to float; "
            "the float build ships"
        )
    if not saturates(target):
        return ""
    return "INT8 is not repaired here: this CPU has no VNNI and saturates; build for x86-avx2 or intel-avx2"


def missed_by_int8(bench: TargetBench, gates: Gates) -> bool:
    """Whether the target's INT8 build missed an accuracy gate that the float network meets, on all validation images:
    on its own runtime here or, for an absent CPU, by the host's predictions as bounded by emulation."""
    int8 = bench.build("int8")
    if int8 is None or int8.accuracy is None or about(bench.backend).gives_zeros:
        return False  # a backend that gives zeros also gives them in float
    if not (bench.measured or int8.host):
        return False
    reached = within_reach(bench, gates)
    of_heads = ("max_drop_points", "min_score") if reached.heads else ()
    judged = (*accuracy_gates.names(reached), *of_heads)
    return any(check.verdict == "fail" and check.gate in judged for check in judge_build(int8, bench, reached).checks)


def within_reach(bench: TargetBench, gates: Gates) -> Gates:
    """The gates without those that the float network itself misses on the images of the INT8 build."""
    int8 = bench.build("int8")
    if int8 is None or int8.accuracy is None:
        return gates
    accuracy = int8.accuracy
    of_float = accuracy.score.value.value + accuracy.drop_points.value / 100
    return accuracy_gates.within_reach(gates, of_float, bench.recalls(int8), accuracy_gates.heads_of(accuracy))
