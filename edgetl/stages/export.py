"""The export stage: writes the pivot, proven equal to the torch networks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgetl.recipes.job import wants_float16
from edgetl.recipes.run import Run
from edgetl.stages.keys import network_tools, samples_digest, versions
from edgetl.store.results import StageResult


def export_stage(
    run: Run, adapted: StageResult, quantized: Mapping[str, StageResult], floated: StageResult | None = None
) -> StageResult:
    """The pivot: ONNX models with the preprocessing inside, proven equal to the torch networks.

    floated  the float stage of the same network, whose logits need not be computed again
    """
    half = wants_float16(run.job)

    def make(out: Path) -> None:
        folders = {name: result.folder for name, result in quantized.items()}
        if run.job.recipe.network is not None:
            from edgetl.imported.export import export_imported

            return export_imported(run, adapted.folder, folders, out, floated.folder if floated else None)
        from edgetl.pivot.export import export_pivot

        return export_pivot(run, adapted.folder, folders, out, floated.folder if floated else None)

    inputs = {"adapted": adapted.digest, "val": samples_digest(run.split, run.split.val)}
    inputs |= {f"quantized-{name}": result.digest for name, result in quantized.items()}
    inputs |= {"shots": samples_digest(run.split, run.split.shots)} if half else {}
    config = {"half": half, "tools": network_tools(run.job.recipe) | versions(("onnxruntime",))}
    return run.store.once(
        "export", 7, config, make, inputs=inputs, what="" if adapted.stage in ("adapt", "import") else adapted.stage
    )
