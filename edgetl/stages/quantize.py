"""The quantize stage: one training or calibration per number scheme."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgetl.errors import UsageError
from edgetl.files.digest import file_digest
from edgetl.fronts.views import augment_of
from edgetl.recipes.gates import Gates
from edgetl.recipes.job import schemes_of
from edgetl.recipes.run import Run
from edgetl.stages.keys import accuracy_gates as gate_values
from edgetl.stages.keys import network_tools, samples_digest
from edgetl.store.results import StageResult


def quantize_stage(run: Run, adapted: StageResult, scheme: str, gates: Gates) -> StageResult:
    """One training (or calibration) for one scheme, shared by the targets that have it.

    adapted  the adapt stage, or the surgery stage
    gates    those that the float network itself meets
    """

    numbers = schemes_of(run.job)[scheme]
    # a file of ranges belongs to the adapted network
    given = run.job.recipe.quantize.ranges if adapted.stage == "adapt" else None
    ranges = run.job.base / given if given else None
    if ranges is not None and not ranges.is_file():
        raise UsageError(f"{ranges}: no such file of observed ranges (quantize.ranges)")

    def make(out: Path) -> None:
        if run.job.recipe.network is not None:
            from edgetl.imported.quantize import quantize_imported

            return quantize_imported(run, adapted.folder, numbers, out)
        from edgetl.quant.quantize import quantize_network

        return quantize_network(run, adapted.folder, numbers, gates, ranges, out)

    config: dict[str, Any] = {
        "scheme": asdict(numbers),
        "profile": asdict(run.job.profile),
        # a file counts by its content
        "quantize": run.job.recipe.quantize.model_dump(mode="json", exclude={"ranges"}),
        "augment": augment_of(run),
        "tools": network_tools(run.job.recipe),
    }
    if run.job.recipe.network is not None:
        config["imported"] = 2
    inputs = {"shots": samples_digest(run.split, run.split.shots), "adapted": adapted.digest}
    inputs |= {"ranges": file_digest(ranges)} if ranges else {}
    if run.job.recipe.quantize.method == "auto":
        config["gates"] = gate_values(gates)
        inputs["val"] = samples_digest(run.split, run.split.val)
    what = scheme if adapted.stage in ("adapt", "import") else f"{scheme}, {adapted.stage}"
    return run.store.once("quantize", 12, config, make, inputs=inputs, what=what)
