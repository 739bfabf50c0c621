"""The stages that make builds of the pivot and measure them: compiling, benching, and repairing INT8."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgetl.recipes.recipe import Gates, Recipe
from edgetl.stages.job import Job
from edgetl.stages.keys import accuracy_gates, samples_digest, this_machine, versions
from edgetl.store.results import StageResult, Store
from edgetl.types import Precision, Progress, Split, Target


def precisions_of(pivot: StageResult, target: Target) -> tuple[Precision, ...]:
    """The builds to make for a target: those that the pivot has a model for."""
    from edgetl.pivot.pivot import read_pivot
    from edgetl.pivot.pivot_models import available

    return available(read_pivot(pivot.folder), target)


def compile_stage(
    store: Store, job: Job, target: Target, precision: Precision, pivot: StageResult, models: Path | None = None
) -> StageResult:
    """One build of the pivot for one target, as a complete bundle without measurements.

    models  the pivot folder to take the model from where `pivot` is a stage that holds it as a part of its result
    """
    from edgetl.backends.base import load

    name = f"{job.recipe.name}-{target.name}"

    def run(out: Path) -> None:
        from edgetl.bundle.compile import compile_pivot

        compile_pivot(models or pivot.folder, target, precision, name, out)

    config = {
        "name": name,
        "target": asdict(target),
        "precision": precision,
        "backend_version": load(target.backend).version(),
        "tools": versions(("edgetl", "onnx")),
    }
    return store.once("compile", 4, config, run, inputs={"pivot": pivot.digest}, what=f"{target.name} {precision}")


def bench_stage(
    store: Store,
    job: Job,
    split: Split,
    target: Target,
    builds: Sequence[StageResult],
    pivot: StageResult,
    progress: Progress,
) -> StageResult:
    """Accuracy and latency of every build of one target, on its own runtime, together so that they can be compared."""
    from edgetl.backends.base import load

    recipe, backend = job.recipe, load(target.backend)
    obstacle = backend.missing() or backend.cannot_run(target)

    def run(out: Path) -> None:
        from edgetl.bench import stage
        from edgetl.bundle.read import read_bundle
        from edgetl.pivot.pivot import read_pivot

        bundles = [read_bundle(result.folder) for result in builds]
        bench = stage.BenchJob(
            target=target,
            candidates=tuple(stage.Candidate(bundle.folder, bundle.manifest.compiled) for bundle in bundles),
            val=split.val,
            preprocessing=read_pivot(pivot.folder).preprocessing,
            reference=pivot.folder / "reference.safetensors",
            config=recipe.bench,
            gates=recipe.gates,
            choose=recipe.choose,
            seed=recipe.data.seed,
            labels=split.classes,
        )
        stage.run(bench, out, progress)

    config = {
        "bench": recipe.bench.model_dump(mode="json"),
        "target": asdict(target),
        "here": this_machine(),
        "obstacle": obstacle.reason if obstacle else "",
        "emulation": _emulation(recipe, target) if obstacle else None,
        "backend_version": backend.version(),
    }
    inputs = {"val": samples_digest(split, split.val), "pivot": pivot.digest}
    inputs |= {f"build-{index}": result.digest for index, result in enumerate(builds)}
    return _once_measured(store, config, run, inputs, target.name)


def _once_measured(
    store: Store,
    config: Mapping[str, Any],
    run: Callable[[Path], None],
    inputs: Mapping[str, str],
    what: str,
    attempt: int = 0,
) -> StageResult:
    """The stored bench, or a new one: a stored one that was cut short (a time limit, an emulator that failed) does for
    the run that made it, and the next run measures again."""
    from edgetl.bench.result import BENCH_FILE, read_bench

    found = store.once("bench", 8, {**config, "attempt": attempt}, run, inputs=inputs, what=what)
    if found.reused and not read_bench(found.folder / BENCH_FILE).finished:
        return _once_measured(store, config, run, inputs, what, attempt + 1)
    return found


def _emulation(recipe: Recipe, target: Target) -> dict[str, Any] | None:
    """What emulated accuracies depend on besides builds and images; None where nothing is emulated."""
    from edgetl.bench import qemu as emulate

    if not (recipe.bench.emulate and emulate.takes(target)) or emulate.missing() is not None:
        return None
    # they decide which build ships, and that one is looked at on more images
    gates = recipe.gates.model_dump(mode="json")
    return {"emulator": emulate.identity(), "gates": gates, "choose": recipe.choose}


def needs_repair(job: Job, benched: StageResult) -> bool:
    """Whether the target's INT8 build is known to miss an accuracy gate, and the recipe allows a repair."""
    from edgetl.bench.result import BENCH_FILE, read_bench
    from edgetl.stages.repair_needed import is_needed

    return job.recipe.repair == "auto" and is_needed(read_bench(benched.folder / BENCH_FILE), job.recipe.gates)


def gates_to_repair_for(job: Job, benched: StageResult) -> Gates:
    """The recipe's gates without those that the float network misses itself."""
    from edgetl.bench.result import BENCH_FILE, read_bench
    from edgetl.stages.repair_needed import within_reach

    return within_reach(read_bench(benched.folder / BENCH_FILE), job.recipe.gates)


def repair_stage(
    store: Store,
    job: Job,
    split: Split,
    target: Target,
    pivot: StageResult,
    gates: Gates,
    progress: Progress,
) -> StageResult:
    """The layers that must stay float for INT8 to pass on this target, and the model that has them.

    gates  those that the float network meets itself
    """
    from edgetl.backends.base import load

    recipe = job.recipe

    def run(out: Path) -> None:
        from edgetl.diagnose.repair import stage

        repair = stage.RepairJob(
            target=target,
            pivot=pivot.folder,
            shots=split.shots,
            val=split.val,
            gates=gates,
            bench=recipe.bench,
            seed=recipe.data.seed,
            cache=store.cache / "blame",
        )
        stage.run(repair, out, progress)

    config = {
        "target": asdict(target),
        "gates": accuracy_gates(gates),
        "bench": recipe.bench.model_dump(mode="json"),
        "here": this_machine(),
        "backend_version": load(target.backend).version(),
        "tools": versions(("onnxruntime", "onnx")),
    }
    inputs = {"pivot": pivot.digest, "shots": samples_digest(split, split.shots)}
    inputs["val"] = samples_digest(split, split.val)
    return store.once("repair", 4, config, run, inputs=inputs, what=target.name)
