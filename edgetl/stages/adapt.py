"""Adapting: fit a head, fine-tune the backbone, or both, on the shots."""

from __future__ import annotations

from pathlib import Path

from edgetl.files.digest import value_digest
from edgetl.fronts.image.augment_policy import resize_choices, resolve_policy
from edgetl.recipes.run import Run
from edgetl.stages.estimate import sentence, stage_seconds
from edgetl.stages.keys import TRAINING_TOOLS, samples_digest, versions
from edgetl.stages.weights import Weights
from edgetl.store.results import StageResult


def adapt_stage(run: Run, weights: Weights | None = None, until: str = "adapt") -> StageResult:
    """Fit a head, fine-tune the backbone, or both, on the shots. Says first how long all up to `until` will take."""
    from edgetl.data.groups import shot_keys

    recipe = run.job.recipe
    groups = shot_keys(recipe.data, run.job.base, run.split)
    weights = weights or Weights.of(run.job, run.progress)
    source = weights.source
    policy = resolve_policy(recipe.data.augment, run.split.classes)
    resizes = resize_choices(recipe.data.resize, run.split.resize, croppable=run.split.croppable)

    def make(out: Path) -> None:
        opened = weights.to_open()  # first: where they are gone, nothing heavy is imported to say so
        from edgetl.adapt import adapt

        adapt_job = adapt.AdaptJob(
            split=run.split,
            backbone=recipe.backbone,
            source=opened,
            config=recipe.adapt,
            augment=policy,
            resizes=resizes,
            cache=run.store.cache,
            groups=groups,
            plan=lambda macs, minutes, looks: sentence(stage_seconds(run.job, run.split, macs, minutes, looks), until),
        )
        adapt.run(adapt_job, out, run.progress)

    config = {
        "adapt": recipe.adapt.model_dump(mode="json"),
        "backbone": recipe.backbone.identity(),
        "weights": source.kind,
        "augment": policy,
        "resizes": list(resizes),
        "tools": versions(TRAINING_TOOLS),
    }
    inputs = {"shots": samples_digest(run.split, run.split.shots), "weights": source.digest}
    inputs |= {"groups": value_digest(groups)} if groups else {}
    return run.store.once("adapt", 9, config, make, inputs=inputs)
