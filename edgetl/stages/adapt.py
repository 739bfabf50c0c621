"""The adapt stage: fits a head, fine-tunes the backbone, or both, on the shots; or trains a detector on them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgetl.adapt.suited import suited
from edgetl.files.digest import value_digest
from edgetl.fronts.image.augment_policy import resizes_of
from edgetl.fronts.views import augment_of
from edgetl.recipes.run import Run
from edgetl.stages.estimate import sentence, stage_seconds
from edgetl.stages.keys import TRAINING_TOOLS, samples_digest, versions
from edgetl.stages.weights import Weights
from edgetl.store.results import StageResult


def adapt_stage(run: Run, weights: Weights | None = None, until: str = "adapt") -> StageResult:
    """Fit a head, fine-tune the backbone, or both, on the shots, or train a detector. First prints the estimated time
    up to `until`."""
    from edgetl.data.groups import shot_keys

    recipe = run.job.recipe
    groups = shot_keys(run)
    weights = weights or Weights.of(run.job, run.progress)
    source = weights.source

    def plan(macs: int, minutes: float, looks: int) -> str:
        return sentence(stage_seconds(run.job, run.split, macs, minutes, looks), until)

    def make(out: Path) -> None:
        opened = weights.to_open()  # first: if they are gone, fail before importing anything heavy
        if recipe.task == "detection":
            from edgetl.adapt.detection.adapt import adapt_detector

            adapt_detector(run, opened, out, plan)
        else:
            from edgetl.adapt.adapt import adapt_network

            adapt_network(run, opened, out, plan)

    config: dict[str, Any] = {
        "adapt": recipe.adapt.model_dump(mode="json"),
        "backbone": recipe.backbone.identity(),
        "weights": source.kind,
        "augment": augment_of(run),
        "resizes": list(resizes_of(run)),
        "tools": versions(TRAINING_TOOLS),
    }
    if run.split.clips:
        config |= {"audio": recipe.audio.model_dump(mode="json"), "rate_hz": run.split.clips.rate_hz}
    if run.split.windows:
        config |= {"windows": asdict(run.split.windows), "series": recipe.series.model_dump(mode="json")}
    if recipe.front == "text":
        config |= {"text": recipe.text.model_dump(mode="json"), "training": 2}
    if recipe.front in ("series", "text"):
        config |= {"suited": suited(run).model_dump(mode="json")}
    if recipe.task == "detection":
        config |= {"task": recipe.task, "detector": recipe.detector.model_dump(mode="json"), "training": 3}
    inputs = {"shots": samples_digest(run.split, run.split.shots), "weights": source.digest}
    inputs |= {"groups": value_digest(groups)} if groups else {}
    return run.store.once("adapt", 14, config, make, inputs=inputs)
