"""The bench stage: measures accuracy and latency of every build of one target, together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgetl.files.digest import value_digest
from edgetl.pivot.float_answers import REFERENCE_LOGITS
from edgetl.recipes.recipe import Recipe
from edgetl.recipes.run import Run
from edgetl.stages.keys import samples_digest, this_machine
from edgetl.store.results import StageResult, Store
from edgetl.types import Target


def bench_stage(run: Run, target: Target, builds: Sequence[StageResult], pivot: StageResult) -> StageResult:
    """Accuracy and latency of every build of one target, on its own runtime, together so that they are comparable."""
    from edgetl.backends.base import load
    from edgetl.data.groups import val_groups

    recipe, backend = run.job.recipe, load(target.backend)
    groups = val_groups(run)
    obstacle = backend.cannot_run(target)

    def make(out: Path) -> None:
        import onnx

        from edgetl.bench.builds import Candidate, TargetBuilds
        from edgetl.bench.measure_builds import measure_builds
        from edgetl.bundle.read import read_bundle
        from edgetl.pivot.float_answers import read_reference
        from edgetl.pivot.layer_view import View
        from edgetl.pivot.pivot import model_for, read_pivot
        from edgetl.tasks.base import load_task

        task = load_task(recipe.task, run.split.heads)
        bundles = [read_bundle(result.folder) for result in builds]
        candidates = tuple(
            Candidate(each.folder, each.manifest.compiled, each.manifest.postprocess) for each in bundles
        )
        reference = read_reference(pivot.folder / REFERENCE_LOGITS, task.kept, len(run.split.val))
        known = read_pivot(pivot.folder)
        in_float = frozenset[str]()
        if any(candidate.precision == "int8" for candidate in candidates):
            model = onnx.load_model(pivot.folder / model_for(known, target, "int8").file)
            in_float = View(model).meant_for_float()
            if known.preprocessing.front == "text":
                in_float |= View(model).products_of_values()
        measured = TargetBuilds(target, candidates, known.preprocessing, reference, task, groups, in_float)
        measure_builds(run, measured, out)

    config = {
        "bench": recipe.bench.model_dump(mode="json"),
        "target": asdict(target),
        "here": this_machine(),
        "obstacle": obstacle.reason if obstacle else "",
        "emulation": _emulation(recipe, target) if obstacle else None,
        "backend_version": backend.version(),
    }
    inputs = {"val": samples_digest(run.split, run.split.val), "pivot": pivot.digest}
    inputs |= {f"build-{index}": result.digest for index, result in enumerate(builds)}
    inputs |= {"groups": value_digest(groups)} if groups else {}
    return _once_measured(run.store, config, make, inputs, target.name)


def _once_measured(
    store: Store,
    config: Mapping[str, Any],
    run: Callable[[Path], None],
    inputs: Mapping[str, str],
    what: str,
    attempt: int = 0,
) -> StageResult:
    """The stored bench, or a new one. A stored one that was interrupted (a time limit, a failed emulator) is used only
    by the run that made it; the next run measures again."""
    from edgetl.bench.result import BENCH_FILE, read_bench

    found = store.once("bench", 10, {**config, "attempt": attempt}, run, inputs=inputs, what=what)
    if found.reused and not read_bench(found.folder / BENCH_FILE).finished:
        return _once_measured(store, config, run, inputs, what, attempt + 1)
    return found


def _emulation(recipe: Recipe, target: Target) -> dict[str, Any] | None:
    """What emulated accuracies depend on besides builds and images; None if nothing is emulated."""
    from edgetl.bench import qemu

    if not (recipe.bench.emulate and qemu.takes(target)) or qemu.missing() is not None:
        return None
    # they determine which build ships, and that one is emulated on more images
    gates = recipe.gates.model_dump(mode="json")
    return {"emulator": qemu.identity(), "gates": gates, "choose": recipe.choose}
