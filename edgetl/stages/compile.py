"""The compile stage: one build of the pivot for one target, as a complete bundle without measurements."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from edgetl.recipes.run import Run
from edgetl.stages.keys import versions
from edgetl.store.results import StageResult
from edgetl.types import Precision, Target


def precisions_of(pivot: StageResult, target: Target) -> tuple[Precision, ...]:
    """The builds to make for a target: those for which the pivot has a model."""
    from edgetl.pivot.pivot import available, read_pivot

    return available(read_pivot(pivot.folder), target)


def compile_stage(
    run: Run, target: Target, precision: Precision, pivot: StageResult, models: Path | None = None
) -> StageResult:
    """One build of the pivot for one target, as a complete bundle without measurements.

    models  the pivot folder with the model, if `pivot` is a stage that has it as a part of its result
    """
    from edgetl.backends.base import load

    name = f"{run.job.recipe.name}-{target.name}"

    def make(out: Path) -> None:
        from edgetl.bundle.compile import compile_pivot

        compile_pivot(models or pivot.folder, target, precision, name, out)

    config = {
        "name": name,
        "target": asdict(target),
        "precision": precision,
        "backend_version": load(target.backend).version(),
        "tools": versions(("edgetl", "onnx")),
    }
    return run.store.once("compile", 4, config, make, inputs={"pivot": pivot.digest}, what=f"{target.name} {precision}")
