"""Adapting: fit a head, fine-tune the backbone, or both, on the shots."""

from __future__ import annotations

from pathlib import Path

from edgetl.files.digest import value_digest
from edgetl.fronts.image.augment_policy import augment_of, resizes_of
from edgetl.recipes.run import Run
from edgetl.stages.estimate import sentence, stage_seconds
from edgetl.stages.keys import TRAINING_TOOLS, samples_digest, versions
from edgetl.stages.weights import Weights
from edgetl.store.results import StageResult


def adapt_stage(run: Run, weights: Weights | None = None, until: str = "adapt") -> StageResult:
    """Fit a head, fine-tune the backbone, or both, on the shots. Says first how long all up to `until` will take."""
    from edgetl.data.groups import shot_keys

    recipe = run.job.recipe
    groups = shot_keys(run)
    weights = weights or Weights.of(run.job, run.progress)
    source = weights.source

    def plan(macs: int, minutes: float, looks: int) -> str:
        return sentence(stage_seconds(run.job, run.split, macs, minutes, looks), until)

    def make(out: Path) -> None:
        opened = weights.to_open()  # first: where they are gone, nothing heavy is imported to say so
        from edgetl.adapt.adapt import adapt_network

        adapt_network(run, opened, out, plan)

    config = {
        "adapt": recipe.adapt.model_dump(mode="json"),
        "backbone": recipe.backbone.identity(),
        "weights": source.kind,
        "augment": augment_of(run),
        "resizes": list(resizes_of(run)),
        "tools": versions(TRAINING_TOOLS),
    }
    inputs = {"shots": samples_digest(run.split, run.split.shots), "weights": source.digest}
    inputs |= {"groups": value_digest(groups)} if groups else {}
    return run.store.once("adapt", 10, config, make, inputs=inputs)
